"""The exceptions of this package."""


class DurableObjectError(Exception):
    """The base class of this package's exceptions."""


class Refusal(DurableObjectError):
    """An object refuses a call that its state does not allow.

    Raise a subclass from a method before it changes anything. The object stays in memory, and the caller gets the exception
    once everything it depends on is durable (a refusal may reveal an uncommitted write). A refusal raised after a write drops
    the call's writes, and the object is rebuilt from storage.
    """


class ObjectFailed(DurableObjectError):
    """A method or a constructor raised an unexpected exception; its writes were dropped and the object is rebuilt."""


class CommitFailed(DurableObjectError):
    """The disk refused the writes that this answer depends on (full, or an I/O error). Nobody has seen them; try again.

    After a failed fsync nobody can know what is on the disk: if the process dies before the next commit, the writes may turn
    out to be durable after all. Calls that must not run twice need an idempotency key.
    """


class OutcomeUnknown(DurableObjectError):
    """The call ran, but the disk did not answer in time: its changes may become durable, or be lost with the process.

    Raised after ``limits.MAX_COMMIT_WAIT_SECONDS``. Retry a call only if it changes nothing or has an idempotency key.
    """


class Overloaded(DurableObjectError):
    """Too many calls or objects wait for the disk, or it has stopped answering; the call was not started. Try again."""


class RuntimeClosed(DurableObjectError):
    """The runtime has stopped, or has not started; the call was not started."""


class LimitExceeded(DurableObjectError):
    """A key, a value, a name or a number of writes is over its bound (see ``limits``)."""


class DataLocked(DurableObjectError):
    """Another process holds the data directory."""


class DataBusy(DurableObjectError):
    """Another program has locked the data file; the call changed nothing. Try again."""


class DataUnreadable(DurableObjectError):
    """The data was written by another program or a newer version, is damaged, or cannot be made durable in its directory."""
