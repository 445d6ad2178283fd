"""What can go wrong, as a small family of typed exceptions."""


class DurableObjectError(Exception):
    """The base of everything this package raises on purpose."""


class Refusal(DurableObjectError):
    """An object's own "no": the caller asked for something its state does not allow.

    Raise a subclass from a method before it changes anything. The object lives on untouched and the caller gets the very
    exception, after whatever it was based on has become durable (the refusal may tell of an uncommitted write). Raised after
    a write, it costs the object its memory: the writes are dropped and the object is rebuilt from storage.
    """


class ObjectFailed(DurableObjectError):
    """A method or a constructor raised something unexpected; its writes were dropped and the object is rebuilt."""


class CommitFailed(DurableObjectError):
    """The disk did not take the writes this answer depends on (full, or an I/O error). Nobody sees anything of them; try again.

    After a failed fsync nobody can know what is on the disk: if the process dies before the next commit, they may turn out to
    be written after all. Calls that must not happen twice carry a key of their own.
    """


class Overloaded(DurableObjectError):
    """More calls wait for a commit than the stated bound; the call was not begun. Try again."""


class RuntimeClosed(DurableObjectError):
    """The runtime has stopped, or has not started; the call was not begun."""


class LimitExceeded(DurableObjectError):
    """A key, a value, a name or a number of writes is over its stated bound (see ``limits``)."""


class DataLocked(DurableObjectError):
    """Another process holds the data directory."""


class DataUnreadable(DurableObjectError):
    """The data was written by another program or a newer version, or is damaged."""
