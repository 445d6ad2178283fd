"""The exceptions of this package. Each one is data too, so that it can cross a network: a code, a detail, and fields."""

import re
from typing import ClassVar

from msgspec import Struct

Value = str | int | float | bool | None


class ErrorRecord(Struct, frozen=True):
    """An error as data: what a network carries, and what an HTTP answer shows."""

    code: str
    """The kind of error: stable, lower-case words with hyphens."""
    detail: str
    """One sentence for people."""
    fields: dict[str, Value] = {}
    """Further facts by name, such as the field of a request that was at fault."""


def code_of(cls: type[Exception]) -> str:
    """The code that a class of errors has by default: its name in kebab-case, so ``http-error`` for ``HTTPError``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", cls.__name__).lower()


class DurableObjectError(Exception):
    """The base class of this package's exceptions. A subclass has a ``code``: its class argument, else its name in kebab-case.

    A subclass may take other arguments in its constructor; it is rebuilt from a record without calling that. So what it must
    keep on its way belongs in ``fields``, not in attributes of its own.
    """

    code: ClassVar[str] = "durable-object-error"
    _by_code: ClassVar[dict[str, type["DurableObjectError"]]] = {}

    def __init__(self, detail: str = "", /, **fields: Value) -> None:
        super().__init__(detail)
        for name, value in fields.items():
            if not isinstance(value, Value):
                raise TypeError(
                    f"the field {name!r} of {type(self).__name__} is {type(value).__name__}; "
                    "text, numbers, booleans and None are allowed"
                )
        self.fields = fields

    def __init_subclass__(cls, *, code: str | None = None) -> None:
        """Raises ``TypeError`` when another class has the code."""
        super().__init_subclass__()
        cls.code = code or code_of(cls)
        known = cls._by_code.setdefault(cls.code, cls)
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise TypeError(f"{known.__module__}.{known.__qualname__} already has the error code {cls.code!r}")
        cls._by_code[cls.code] = cls

    def record(self) -> ErrorRecord:
        """This error as data."""
        return ErrorRecord(self.code, str(self), self.fields)

    @classmethod
    def from_record(cls, record: ErrorRecord) -> "DurableObjectError":
        """The error that ``record`` was made of.

        A ``Refusal`` with the same code when no class in this process has it: only refusals have classes outside this package.
        """
        found = cls._by_code.get(record.code, Refusal)
        error = found.__new__(found, record.detail)
        DurableObjectError.__init__(error, record.detail, **record.fields)
        if found.code != record.code:
            error.code = record.code  # type: ignore[misc] # of this error alone
        return error

    def __reduce__(self) -> tuple[object, ...]:
        return DurableObjectError.from_record, (self.record(),)


DurableObjectError._by_code[DurableObjectError.code] = DurableObjectError  # noqa: SLF001 - its own


class Refusal(DurableObjectError):
    """An object refuses a call that its state does not allow.

    Raise a subclass from a method before it changes anything. The object stays in memory, and the caller gets the exception
    once everything it depends on is durable (a refusal may reveal an uncommitted write). A refusal raised after a write drops
    the call's writes, and the object is rebuilt from storage.
    """


class ObjectFailed(DurableObjectError, code="failed"):
    """A method or a constructor raised an unexpected exception; its writes were dropped and the object is rebuilt."""


class CommitFailed(DurableObjectError, code="not-written"):
    """The disk refused the writes that this answer depends on (full, or an I/O error). Nobody has seen them; try again.

    After a failed fsync nobody can know what is on the disk: if the process dies before the next commit, the writes may turn
    out to be durable after all. Calls that must not run twice need an idempotency key.
    """


class OutcomeUnknown(DurableObjectError):
    """The call was sent, and nobody knows what became of it: its changes may become durable, or be lost.

    The disk did not answer within ``limits.MAX_COMMIT_WAIT_SECONDS``, or the network lost the answer. Repeat a call only if it
    changes nothing or has an idempotency key.
    """


class Overloaded(DurableObjectError):
    """Too many calls or objects wait for the disk, it has stopped answering, or too many calls that the object has sent wait.

    The call changed nothing. Try again.
    """


class RuntimeClosed(DurableObjectError, code="stopping"):
    """The runtime has stopped, or has not started; the call was not started."""


class LimitExceeded(DurableObjectError):
    """A key, a value, a name or a number of writes is over its bound (see ``limits``)."""


class KeyReused(Refusal):
    """The idempotency key belongs to another call; nothing was changed."""


class KeysFull(Refusal):
    """The object remembers as many idempotency keys as it may, and forgets none early; the call was not started."""


class EventsLost(Refusal):
    """The events after a listener's position are not available any more; read the object's state instead."""


class ConfigMismatch(DurableObjectError):
    """The objects run with another configuration than this program has."""


class DataLocked(DurableObjectError):
    """Another process holds the data directory."""


class DataBusy(DurableObjectError, code="busy"):
    """Another program has locked the data file; the call changed nothing. Try again."""


class DataUnreadable(DurableObjectError):
    """The data was written by another program or a newer version, is damaged, or cannot be made durable in its directory."""


class DataExists(DurableObjectError):
    """There is something already where objects, or a file of them, should be written."""


class SourceChanged(DurableObjectError):
    """Objects changed while they were read to be moved; stop what calls them, then read them again."""


class Unsettled(DurableObjectError):
    """Calls between objects are under way that are not part of what is stored; try again when they are taken."""
