"""Why something was not measured. Each failure becomes a note in the tables, and the run continues."""

MAX_NOTE = 160
"""Characters of a note."""


class NotMeasured(Exception):
    """The base class; the message is for people."""


class Missing(NotMeasured):
    """A program or package is not installed; the message has the command that installs it."""


class ServerFailed(NotMeasured):
    """A server did not start, or ended while it was measured."""


class LoadFailed(NotMeasured):
    """Requests were refused, cut off or not answered in time."""


class NotStored(NotMeasured):
    """A server acknowledged writes that it does not have."""


def note(error: Exception) -> str:
    """``error`` as one line of at most ``MAX_NOTE`` characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    if not isinstance(error, NotMeasured):
        text = f"{type(error).__name__}: {text}"
    return text if len(text) <= MAX_NOTE else text[: MAX_NOTE - 1] + "…"
