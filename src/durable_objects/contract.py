"""The contract: what a durable object is, what it may use, and how it is called.

Modelled on Cloudflare's Durable Objects <https://developers.cloudflare.com/durable-objects/>. A runtime promises, for every
object:

- one live instance per name, and one call at a time;
- a call's writes, alarm, events and calls to other objects become durable together or not at all;
- replies, reads and events are held until then (the output gate);
- an unexpected exception drops the call's writes and rebuilds the object from storage;
- alarms run at least once, also after a restart.

A runtime may drop an instance between calls at any time. It may keep one only while ``seq`` in storage is the instance's own.

All that crosses the contract can cross a network, as JSON: see ``methods`` for calls, ``errors`` for refusals, ``config`` for
configurations. The bounds are in ``limits``.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from random import Random
from types import TracebackType
from typing import Concatenate, NamedTuple, ParamSpec, Protocol, Self, TypeVar

from msgspec import Struct

from durable_objects.config import config_of
from durable_objects.errors import EventsLost
from durable_objects.limits import MAX_LIST_PAGE
from durable_objects.meter import Meter
from durable_objects.methods import methods_of, read

P = ParamSpec("P")
R = TypeVar("R")
ObjectT = TypeVar("ObjectT", bound="DurableObject")
ObjectT_co = TypeVar("ObjectT_co", bound="DurableObject", covariant=True)


class ObjectId(NamedTuple):
    """The address of an object: its namespace, and its name in it."""

    namespace: str
    name: str


class Events(NamedTuple):
    """What one call published, and the call's number; a signal has none."""

    seq: int | None
    data: tuple[bytes, ...]


class Replay(Struct, frozen=True):
    """A page of missed events."""

    seq: int
    """The commit up to which the page is complete; with ``more``, not the one it was asked for."""
    events: list[tuple[int, tuple[bytes, ...]]]
    """The number of each commit with its events, oldest first."""
    more: bool = False
    """Whether there are later ones."""


class Storage(Protocol):
    """An object's own keys and values, ordered by key (code point order). A call sees its own writes."""

    def get(self, key: str) -> bytes | None:
        """The value under ``key``, or None."""

    def put(self, key: str, value: bytes) -> None:
        """Set ``key``, 1 to 2,048 bytes of UTF-8, to ``value``, up to 131,072 bytes; raises ``LimitExceeded`` beyond.

        A key must not start with the character U+0001, which is the runtime's. One call may put and delete up to 1,000 keys.
        """

    def delete(self, key: str) -> None:
        """Remove ``key`` if it is there."""

    def list(self, prefix: str = "", *, after: str = "", limit: int = MAX_LIST_PAGE) -> Sequence[tuple[str, bytes]]:
        """Up to ``limit`` entries (1 to 1,000) in key order whose key starts with ``prefix`` and is greater than ``after``."""


class Context(Protocol):
    """Everything that an object may use. With the same calls, clock and seeds it does the same."""

    @property
    def name(self) -> str:
        """The object's name in its namespace."""

    @property
    def storage(self) -> Storage:
        """The object's durable keys and values."""

    @property
    def random(self) -> Random:
        """Randomness of the running call alone, from a seed that comes with it; not for secrets."""

    @property
    def seq(self) -> int:
        """The number of the object's last commit; part of its state. A call that changes, publishes or sends makes the next.

        That call sees the number before its own. Calls that become durable together have one number each.
        """

    @property
    def alarm_at(self) -> int | None:
        """When ``alarm()`` is due, in milliseconds since 1970; None when it is not set."""

    def now(self) -> int:
        """Milliseconds since 1970; the same throughout one call. May step back between calls."""

    def set_alarm(self, at: int | None) -> None:
        """Schedule ``alarm()`` for ``at``, in milliseconds since 1970 (up to 2**53 - 1).

        An object has one alarm: this replaces it, and ``None`` clears it.
        """

    def publish(self, event: bytes) -> None:
        """Send to the object's listeners, after the commit of this call and with its number."""

    def signal(self, event: bytes) -> None:
        """Send to those who listen now. Never stored, has no number, and may get lost: nothing may depend on it."""

    def send(
        self, to: ObjectId, method: Callable[Concatenate[ObjectT, P], object], /, *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Call another object, or this one: part of this call's commit, delivered after it, in order, and taken once.

        The calls to one object keep their order; those to others do not wait for them. The result is dropped, also a refusal;
        so is, with a warning in the log, a call that the receiver's class does not take any more. A call that fails otherwise
        is tried again until it is taken.

        Raises:
            LimitExceeded: more than ``MAX_SENDS`` calls in one, arguments of more than ``MAX_VALUE_BYTES``, or a name beyond
                bounds.
            Overloaded: ``MAX_UNTAKEN_SENDS`` calls of this object are not taken yet; let it pass, the caller should try again.
            TypeError, ObjectFailed: not a public method, or not its arguments; or the namespace is not declared.
        """


class DurableObject:
    """The base class. Every public method of a subclass can be called: a plain function that runs to its end.

    Its arguments and its result are annotated with types that msgspec encodes as JSON. Return immutable values, since callers
    may read them later. Raise a ``Refusal`` to refuse a call; mark a method that changes nothing with ``read``.

    The constructor takes the context and, if the class has one, its configuration: a struct. It loads the object's state from
    ``ctx.storage``, and may write.
    """

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    def __init_subclass__(cls) -> None:
        """Raises ``TypeError``, which names method and argument, for what cannot cross a network."""
        super().__init_subclass__()
        methods_of(cls)
        config_of(cls)

    def alarm(self) -> None:
        """Called at least once when the alarm is due, which is cleared by then. If it raises, it is called again later."""

    @read
    def replay(self, since: int) -> Replay:
        """The events of the commits after ``since``, or others to the same effect; a runtime calls this for new listeners.

        Override it to let listeners catch up. Raises ``EventsLost`` when that is not possible.
        """
        if since != self.ctx.seq:
            raise EventsLost(f"the events after commit {since} are not kept; the object is at commit {self.ctx.seq}")
        return Replay(since, [])


class EventStream(Protocol):
    """Events as they become durable, in order. Iterate over it in one task, and close it, for example with ``async with``.

    A task that is cancelled while it waits for the next events loses none. A stream that has raised an error of ``call`` may be
    read again; one that has lost events, or whose runtime has stopped, has ended.
    """

    def __aiter__(self) -> AsyncIterator[Events]: ...
    async def __anext__(self) -> Events: ...
    def get_nowait(self) -> Events | None:
        """The next events if they are here already, else None; raises the error that the stream has ended with."""

    async def aclose(self) -> None:
        """End it."""

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Stub(Protocol[ObjectT_co]):
    """A handle on one object, wherever it lives: ``await stub.call(Counter.add, 2)``."""

    async def call(self, method: Callable[Concatenate[ObjectT_co, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run ``method`` on the object and return its result once that is durable.

        Raises:
            Refusal: the object's own; nothing was changed.
            ObjectFailed: the method or the constructor raised something else; nothing was changed.
            CommitFailed: the disk refused the writes that the answer depends on.
            OutcomeUnknown: the call was sent, and its outcome is not known.
            KeyReused, KeysFull: see ``options``.
            Overloaded: too many calls wait, or too much that the object has sent; nothing was changed.
            DataBusy: another program has locked the data; nothing was changed.
            RuntimeClosed: the runtime is not running.
            TypeError: ``method`` is not a public method of the object, or does not take the arguments; nothing was changed.
        """

    def options(
        self, *, idempotency_key: str, fingerprint: bytes | None = None, on_repeat: Callable[[], None] | None = None
    ) -> "Stub[ObjectT_co]":
        """A stub whose calls have a key: for 24 hours, every call with this key gets the answer of the first one.

        A call that is refused or fails does not count. At their bound new keys are refused with ``KeysFull``. A call whose
        answer is too large to keep, with more than ``MAX_VALUE_BYTES``, fails.

        Args:
            idempotency_key: 1 to ``MAX_IDEMPOTENCY_KEY_CHARS`` characters.
            fingerprint: what the calls with this key have in common, at most ``MAX_FINGERPRINT_BYTES``; a call with another one
                is refused with ``KeyReused``. By default a digest of the method's name and all arguments.
            on_repeat: called when an earlier call's answer is returned.

        Raises ``LimitExceeded`` beyond the bounds.
        """

    def events(self, since: int | None = None) -> EventStream:
        """The object's events after commit ``since``, none skipped or repeated, then live ones; by default live ones only.

        It listens from now on, and keeps no object in memory. Its reader gets ``EventsLost`` when the object cannot go back
        that far or the reader is too slow (open another stream, then read the object's state), and what ``call`` raises.
        """

    async def settle(self) -> None:
        """Return once other objects have durably taken everything that this one has sent so far.

        Raises ``OutcomeUnknown`` when one of them fails at the moment (the call will be delivered again), ``CommitFailed`` when
        the object's own changes are lost, ``RuntimeClosed``.
        """


class Namespace(Protocol[ObjectT_co]):
    """All objects of one class, by name."""

    def get(self, name: str) -> Stub[ObjectT_co]:
        """A handle on the object called ``name``, 1 to 256 characters; raises ``LimitExceeded`` beyond."""


class Runtime(Protocol):
    """Runs durable objects."""

    @property
    def meter(self) -> Meter:
        """What has been counted since it started."""

    def health(self) -> str | None:
        """Why it cannot take writes at the moment, for people; None when it can."""

    async def scrub(self) -> str | None:
        """Remove from the storage all traces of what objects had deleted or overwritten when this was called.

        A disk leaves such bytes in unused places. This may take seconds, in which no commit ends. Returns where traces may be
        left that this cannot reach, for people; None if nowhere. Raises ``CommitFailed`` when the disk refuses it, and
        ``RuntimeClosed``.
        """

    def namespace(self, name: str, cls: type[ObjectT], config: Struct | None = None) -> Namespace[ObjectT]:
        """Declare a class of objects under a stable ``name``, 1 to 256 characters without a slash.

        Args:
            name: part of where the objects are stored.
            cls: the class.
            config: the class's configuration, for all its objects.

        Raises ``TypeError`` when the class does not take this configuration, ``ConfigMismatch`` when the objects run with
        another one, ``ValueError`` when the name is already declared with another class, ``LimitExceeded`` for a name beyond
        bounds.
        """
