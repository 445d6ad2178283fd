"""What can go wrong, as a small family of typed exceptions."""


class DurableObjectError(Exception):
    """The base of everything this package raises on purpose."""


class Refusal(DurableObjectError):
    """An object's own "no": the caller asked for something its state does not allow.

    Raise a subclass from a method before it changes anything. The object stays in memory and the caller gets that exception,
    after everything it was based on has become durable (a refusal may reveal an uncommitted write). A refusal raised after a
    write drops the writes, and the object is rebuilt from storage.
    """


class ObjectFailed(DurableObjectError):
    """A method or a constructor raised something unexpected; its writes were dropped and the object is rebuilt."""


class CommitFailed(DurableObjectError):
    """The disk refused the writes that this answer depends on (full, or an I/O error). Nobody has seen them; try again.

    After a failed fsync nobody can know what is on the disk: if the process dies before the next commit, the writes may turn
    out to be durable after all. Calls that must not run twice carry a key of their own.
    """


class OutcomeUnknown(DurableObjectError):
    """The call ran, but the disk did not answer in time: its changes may become durable, or be lost with the process.

    Raised after ``limits.MAX_COMMIT_WAIT_SECONDS``. Repeat only a call that changes nothing or carries a key of its own.
    """


class Overloaded(DurableObjectError):
    """Too many calls or objects wait for the disk, or it has stopped answering; the call was not begun. Try again."""


class RuntimeClosed(DurableObjectError):
    """The runtime has stopped, or has not started; the call was not begun."""


class LimitExceeded(DurableObjectError):
    """A key, a value, a name or a number of writes is over its bound (see ``limits``)."""


class DataLocked(DurableObjectError):
    """Another process holds the data directory."""


class DataBusy(DurableObjectError):
    """Another program has locked the data file; the call changed nothing. Try again."""


class DataUnreadable(DurableObjectError):
    """The data was written by another program or a newer version, is damaged, or cannot be made durable where it lies."""
