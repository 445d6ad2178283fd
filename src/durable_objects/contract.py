"""The contract: what a durable object is, what it may use, and how it is called.

Modelled on Cloudflare's Durable Objects <https://developers.cloudflare.com/durable-objects/>. A runtime promises, for every
object: one live instance per name; one call at a time; a call's writes, alarm and events become durable together or not at all;
replies, reads and events are held until then (the output gate); an unexpected exception drops the call's writes and rebuilds
the object from storage; alarms run at least once, also after a restart. The bounds are in ``limits``, the errors in ``errors``.
"""

from collections.abc import Callable, Sequence
from inspect import isasyncgenfunction, iscoroutinefunction
from random import Random
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from durable_objects.limits import MAX_LIST_PAGE

P = ParamSpec("P")
R = TypeVar("R")
ObjectT = TypeVar("ObjectT", bound="DurableObject")
ObjectT_co = TypeVar("ObjectT_co", bound="DurableObject", covariant=True)

Listener = Callable[[bytes], None]
"""Takes one published event. Called in the order of commits; must return at once and not raise."""


class Storage(Protocol):
    """An object's own keys and values, ordered by key (code point order). A call sees its own writes."""

    def get(self, key: str) -> bytes | None:
        """The value under ``key``, or None."""

    def put(self, key: str, value: bytes) -> None:
        """Set ``key``, 1 to 2,048 bytes of UTF-8, to ``value``, up to 131,072 bytes; raises ``LimitExceeded`` beyond.

        One call may put and delete up to 1,000 keys.
        """

    def delete(self, key: str) -> None:
        """Remove ``key`` if it is there."""

    def list(self, prefix: str = "", *, after: str = "", limit: int = MAX_LIST_PAGE) -> Sequence[tuple[str, bytes]]:
        """Up to ``limit`` entries (1 to 1,000) in key order whose key starts with ``prefix`` and is greater than ``after``."""


class Context(Protocol):
    """Everything that an object may use. With the same calls, clock and seed it does the same."""

    @property
    def name(self) -> str:
        """The object's name in its namespace."""

    @property
    def storage(self) -> Storage:
        """The object's durable keys and values."""

    @property
    def random(self) -> Random:
        """Randomness, seeded by the runtime; not for secrets."""

    @property
    def seq(self) -> int:
        """The number of the object's last commit. A call that changes anything makes commit ``seq + 1``."""

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
        """Send to the object's listeners, after the commit of this call. Never stored."""


class DurableObject:
    """The base class. Every public method of a subclass can be called: a plain function that runs to its end.

    Return immutable values; callers may read them later. Arguments and results may cross processes: bytes, strings, numbers,
    and structs that msgspec encodes.

    The constructor loads its state from ``ctx.storage`` and may write. Raise a ``Refusal`` to refuse a call.
    """

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    def __init_subclass__(cls) -> None:
        """Raises ``TypeError`` for a method that is ``async``: other calls could run before it has ended."""
        methods = {name: getattr(method, "__func__", method) for name, method in vars(cls).items()}
        if suspending := [
            name for name, method in methods.items() if iscoroutinefunction(method) or isasyncgenfunction(method)
        ]:
            raise TypeError(f"{cls.__name__}.{suspending[0]} is async; a call of a durable object runs to its end at once")

    def alarm(self) -> None:
        """Called at least once when the alarm is due, which is cleared by then. If it raises, it is called again later."""


class Stub(Protocol[ObjectT_co]):
    """A handle on one object, wherever it lives: ``await stub.call(Counter.add, 2)``."""

    async def call(self, method: Callable[Concatenate[ObjectT_co, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run ``method`` on the object and return its result once that is durable.

        Raises:
            Refusal: the object's own; nothing was changed.
            ObjectFailed: the method or the constructor raised something else; nothing was changed.
            CommitFailed: the disk refused the writes that the answer depends on.
            OutcomeUnknown: the disk has not answered in time.
            Overloaded: too many calls wait; this one was not started.
            DataBusy: another program has locked the data; nothing was changed.
            RuntimeClosed: the runtime is not running.
            TypeError: ``method`` is not a public method of the object.
        """

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` for every event from now on; returns a function that ends it. Keeps no object in memory."""


class Namespace(Protocol[ObjectT_co]):
    """All objects of one class, by name."""

    def get(self, name: str) -> Stub[ObjectT_co]:
        """A handle on the object called ``name``, 1 to 256 characters; raises ``LimitExceeded`` beyond."""


class Runtime(Protocol):
    """Runs durable objects."""

    def namespace(self, name: str, create: Callable[[Context], ObjectT]) -> Namespace[ObjectT]:
        """Declare a class of objects under a stable ``name``, 1 to 256 characters without a slash.

        Args:
            name: part of where the objects are stored.
            create: the class, or a function that makes an object of it.

        Raises ``ValueError`` when the name is already declared with another class, ``LimitExceeded`` for a name beyond bounds.
        """
