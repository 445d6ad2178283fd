"""The contract on one screen: what a durable object is, what it may touch, and how it is called.

After Cloudflare's Durable Objects <https://developers.cloudflare.com/durable-objects/>. A runtime promises, for every object:
one live instance per name; one call at a time; a call's writes, alarm and events become durable together or not at all;
replies, reads and events are held back until then (the output gate); an unexpected exception drops the call's writes and
rebuilds the object from storage; alarms fire at least once, also after a restart.
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
"""Takes one published event. Called in commit order; must return at once and not raise."""


class Storage(Protocol):
    """An object's own keys and values, ordered by key (code point order). A call sees its own writes."""

    def get(self, key: str) -> bytes | None: ...
    def put(self, key: str, value: bytes) -> None: ...
    def delete(self, key: str) -> None: ...

    def list(self, prefix: str = "", *, after: str = "", limit: int = MAX_LIST_PAGE) -> Sequence[tuple[str, bytes]]:
        """Up to ``limit`` entries whose key starts with ``prefix`` and is greater than ``after``."""


class Context(Protocol):
    """All that an object may touch. The same calls, clock and seed make it do the same thing."""

    @property
    def name(self) -> str: ...
    @property
    def storage(self) -> Storage: ...
    @property
    def random(self) -> Random: ...
    @property
    def seq(self) -> int:
        """The number of the object's last commit. A call that changes anything makes commit ``seq + 1``."""

    @property
    def alarm_at(self) -> int | None: ...
    def now(self) -> int:
        """Milliseconds since 1970; the same throughout one call. May step back between calls."""

    def set_alarm(self, at: int | None) -> None:
        """Have ``alarm()`` called once the clock reaches ``at``; replaces the one alarm, ``None`` clears it."""

    def publish(self, event: bytes) -> None:
        """Send to the object's listeners, after the commit of this call. Never stored."""


class DurableObject:
    """Subclass it; every public method is a call, a plain function that runs to its end.

    It returns what will not change afterwards. Arguments and results may cross processes: bytes, strings, numbers, and structs
    that msgspec encodes.

    The constructor loads what it needs from ``ctx.storage`` and may write. Raise a ``Refusal`` to say no.
    """

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    def __init_subclass__(cls) -> None:
        """Raises ``TypeError`` for a method that is ``async``: it could be held up half way, with other calls in between."""
        methods = {name: getattr(method, "__func__", method) for name, method in vars(cls).items()}
        if suspending := [
            name for name, method in methods.items() if iscoroutinefunction(method) or isasyncgenfunction(method)
        ]:
            raise TypeError(f"{cls.__name__}.{suspending[0]} is async; a call of a durable object runs to its end at once")

    def alarm(self) -> None:
        """Called when the alarm is due, at least once; it is cleared by then. Raising has it called again later."""


class Stub(Protocol[ObjectT_co]):
    """A handle on one object, wherever it lives: ``await stub.call(Counter.add, 2)``."""

    async def call(self, method: Callable[Concatenate[ObjectT_co, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run ``method`` on the object and give its result once that is durable.

        Raises what the object refuses with (``Refusal``), or ``ObjectFailed``, ``CommitFailed``, ``Overloaded``.
        """

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` for every event from now on; returns the function that ends it. Does not keep the object awake."""


class Namespace(Protocol[ObjectT_co]):
    """All objects of one class, by name."""

    def get(self, name: str) -> Stub[ObjectT_co]: ...


class Runtime(Protocol):
    """What gives objects life."""

    def namespace(self, name: str, create: Callable[[Context], ObjectT]) -> Namespace[ObjectT]:
        """Declare a class of objects under a stable ``name``; ``create`` is the class, or a function that makes one."""
