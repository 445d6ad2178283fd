"""What was asked, and what a tab saw: all that a verdict is made of."""

from msgspec import Struct

from saywhatwant.message import Message


class Asked(Struct, kw_only=True):
    """A message that one tab wants on the wall. No two have the same text."""

    number: int
    tab: int
    """The tab that posts it, counted from 0."""
    text: str
    begun: float | None = None
    """When it was first tried, by the clock that ``Seen.at`` is read from."""
    begun_ms: int | None = None
    """The same moment as milliseconds since 1970."""
    id: str | None = None
    """Set once the server has accepted it."""
    refusal: str | None = None
    """Why the last try did not help."""


class Seen(Struct, frozen=True):
    """A message as it came to a tab; a tab keeps one of these each time, also when the same message comes again."""

    at: float
    message: Message
