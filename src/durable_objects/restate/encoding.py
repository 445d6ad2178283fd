"""What crosses between a gateway, Restate and the objects' process, and what Restate stores of an object.

Calls and answers hold the JSON of a ``methods.Method``, so they are JSON; everything else is MessagePack.
"""

import re
from typing import Any, Final

from msgspec import Raw, Struct

from durable_objects.codec import Codec
from durable_objects.config import digest_of
from durable_objects.contract import Events
from durable_objects.disk import Head, Writes
from durable_objects.errors import ErrorRecord

HEAD_KEY = "head"
"""The state key of an object's ``StoredHead``."""
ROW_PREFIX = "row/"
"""What the state keys of an object's rows begin with; the row's own key follows."""
PREFIX = "objects"
"""What the names of services begin with, unless a program says otherwise."""
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9-]")
_ESCAPED: Final = re.compile(r"(?:_[0-9a-f]{4})+")


def service_name(prefix: str, namespace: str) -> str:
    """The name of the service that holds a namespace's objects. Restate's names have letters, digits, ``.``, ``_`` and ``-``.

    Args:
        prefix: of letters, digits and ``-``, the first a letter: what is to be apart on one cluster differs in it.
        namespace: any name; other characters become ``_`` and four hexadecimal digits for each unit of UTF-16.
    """
    return f"{prefix}.{_UNSAFE.sub(_escaped, namespace)}"


def namespace_of(prefix: str, service: str) -> str | None:
    """The namespace whose objects a service holds; None for a service of another prefix."""
    begin = f"{prefix}."
    if not service.startswith(begin):
        return None
    return _ESCAPED.sub(lambda run: bytes.fromhex(run.group().replace("_", "")).decode("utf-16-be"), service[len(begin) :])


def _escaped(found: "re.Match[str]") -> str:
    units = found.group().encode("utf-16-be").hex()
    return "".join(f"_{units[start : start + 4]}" for start in range(0, len(units), 4))


class Call(Struct, frozen=True):
    """A call on its way to its object."""

    method: str
    arguments: Raw
    key: str | None = None
    fingerprint: bytes | None = None


class Batch(Struct, frozen=True):
    """Calls of one object that become durable together, in this order; the argument of ``batch`` and of ``read``."""

    calls: list[Call]


class Answer(Struct, frozen=True):
    """What a call returned, or its error."""

    result: Raw = Raw(b"null")
    error: ErrorRecord | None = None
    repeated: bool = False
    """Whether it is the answer of an earlier call with the same key."""

    @property
    def size(self) -> int:
        """Bytes of the result, or of the error."""
        return len(self.result) if self.error is None else len(ERROR.encode(self.error))


class Answers(Struct, frozen=True):
    """The answers to a ``Batch``, in its order."""

    answers: list[Answer]
    """One for each call, or fewer when they are large: the calls after the last one were not run and must be sent again."""
    seq: int
    """The object's last commit."""
    commits: int = 0
    """How many calls of the batch changed something."""
    here: bool = True
    """False from ``read`` alone: this process does not hold the object as it is stored. Send the calls as a ``batch``."""


class Imported(Struct, frozen=True):
    """The import that an object comes from."""

    import_id: bytes
    ended: bool = False
    """Whether all its rows are there, so that it can be called."""


class StoredHead(Struct, frozen=True, omit_defaults=True):
    """What Restate stores of an object besides its rows. The last of a commit's writes."""

    seq: int
    nonce: bytes
    """Random, of this commit: two heads with the same bytes are the same commit."""
    alarm_at: int | None = None
    wake_at: int | None = None
    """When the earliest delayed call of ``alarm`` comes that is under way."""
    alarm_failures: int = 0
    imported: Imported | None = None
    """Until the object's first commit after an import: then it sends what its outbox holds, and asks to be woken."""


class Sent(Struct, frozen=True):
    """Calls that one object sends to another, as encoded ``outbox.SentCall``; the argument of ``take``."""

    sender: str
    calls: list[bytes]


class Later(Struct, frozen=True):
    """A delayed call of the object to itself."""

    handler: str
    argument: bytes
    at: int
    """When it comes, in milliseconds since 1970."""


class Wake(Struct, frozen=True):
    """The argument of ``alarm``."""

    at: int | None
    """Which delayed call this is, a ``StoredHead.wake_at``; any other is ignored. None for one that is not delayed."""


class Retake(Struct, frozen=True):
    """The argument of ``retake``: take the calls of this sender again that have failed, or that came after one that has."""

    sender: str
    failures: int
    """How often in a row."""


class HeldUp(Struct, frozen=True):
    """To a sender: how many of its calls a receiver could not take yet; the argument of ``hold_up``."""

    receiver: str
    """The receiver's id (namespace/name)."""
    calls: int
    """0 when it has taken all of them."""


class Plan(Struct, tag=True, frozen=True):
    """What one commit does; journaled before any of it is done."""

    answers: bytes
    """An encoded ``Answers``."""
    head: bytes | None = None
    """The new ``StoredHead``, encoded; None when nothing changes."""
    writes: Writes = {}
    sends: list[tuple[str, Sent]] = []
    """Receivers (namespace/name) with what is sent to each."""
    later: list[Later] = []
    held_up: list[tuple[str, HeldUp]] = []
    """Senders with what each should know."""


class Needs(Struct, tag=True, frozen=True):
    """Rows that the calls need and that are not in memory yet."""

    keys: list[str] = []
    """The rows' own keys."""
    names: bool = False
    """Whether the keys of all rows are needed; then ``keys`` is empty."""


class Follow(Struct, frozen=True):
    """A gateway asks for an object's events."""

    since: int | None = None
    """The commit after which they begin; None asks for the position alone."""
    epoch: str = ""
    """The epoch of the last answer: the life of the process that gave it."""
    signals: int = 0
    """How many signals of that epoch were received."""
    wait_ms: int = 0
    """How long it may wait for news."""


class Followed(Struct, frozen=True):
    """The events after ``Follow.since``, and signals."""

    seq: int
    """The commit up to which the events are complete."""
    epoch: str
    signals: int
    """How many signals there have been in this epoch."""
    events: list[Events] = []
    """In the order in which listeners get them; signals have no number."""
    lost: bool = False
    """Whether the events up to ``seq`` are not in memory: replay them."""


class Taken(Struct, frozen=True):
    """Has the object taken the calls of ``sender`` up to this number? The argument of ``taken``."""

    sender: str
    number: int
    wait_ms: int = 0


class Took(Struct, frozen=True):
    """The answer of ``taken``, which waits for a call that is still on its way, but not for one that fails."""

    taken: bool
    failed: str = ""
    """Why the receiver could not take it at the moment, for people; it will be tried again."""


class Described(Struct, frozen=True):
    """What runs in the objects' process; the answer of ``describe``."""

    cls: str
    """The class's qualified name."""
    config: str
    """The digest of its configuration."""

    @classmethod
    def of(cls, objects: type[Any], config: Struct | None) -> "Described":
        """What describes this class with this configuration."""
        return cls(f"{objects.__module__}.{objects.__qualname__}", digest_of(config))


class Dump(Struct, frozen=True):
    """Asks for rows of an object; the argument of ``dump``."""

    keys: list[str] | None = None
    """None asks for the keys of all rows."""


class Dumped(Struct, frozen=True):
    """An object's head with the keys of its rows, sorted, or with some of its rows."""

    head: bytes | None
    keys: list[str] = []
    rows: list[tuple[str, bytes]] = []
    """Those that were asked for, or the first of them when they are large."""


class Restore(Struct, frozen=True):
    """A piece of an object; the argument of ``restore``, for an object that was never written."""

    import_id: bytes
    head: Head | None
    """With the first piece."""
    rows: list[tuple[str, bytes]]


class Arrive(Struct, frozen=True):
    """All pieces of an object are there; the argument of ``arrive``."""

    import_id: bytes
    wake: list[str] = []
    """With the last object: the ids of all of them, which are woken."""


BATCH = Codec(Batch, json=True)
ANSWERS = Codec(Answers, json=True)
SENT = Codec(Sent)
HEAD = Codec(StoredHead)
STEP = Codec(Plan | Needs)
FOLLOW = Codec(Follow)
FOLLOWED = Codec(Followed)
TAKEN = Codec(Taken)
TOOK = Codec(Took)
SENT_NUMBERS = Codec(dict[str, int])
"""The answer of ``sent``: the number of the last call that an object sent to each receiver, by its id (namespace/name).

``sent`` has no argument."""
WAKE = Codec(Wake)
RETAKE = Codec(Retake)
HELD_UP = Codec(HeldUp)
DESCRIBED = Codec(Described)
DUMP = Codec(Dump)
DUMPED = Codec(Dumped)
RESTORE = Codec(Restore)
ARRIVE = Codec(Arrive)
ERROR = Codec(ErrorRecord, json=True)
"""The text of a ``TerminalError``."""
