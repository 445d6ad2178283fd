"""What may be called, and how a class is declared."""

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any

import pytest
from ledger import Entry, Ledger

from durable_objects import Context, DurableObject, ObjectFailed, Refusal
from durable_objects.simulated import SimulatedRuntime
from listening import listen


class Other(DurableObject):
    def append(self, text: str) -> str:
        return text


class Elder(Ledger):
    """Its own ``last``, and all that a ledger has."""

    def last(self) -> Entry:
        return Entry(-1, "its own")

    def _private(self) -> int:
        return 1

    @staticmethod
    def static() -> int:
        return 1


NO_METHODS: dict[str, Callable[..., Any]] = {
    "a lambda": lambda ledger: ledger.append("x"),
    "a partial": partial(Elder.append, text="x"),
    "a method of another class": Other.append,
    "a bound method": Other.append.__get__(object()),
    "a private method": Elder._private,
    "a static method": Elder.static,
    "the constructor": Elder.__init__,
    "a builtin": len,
}


@pytest.mark.parametrize("kind", NO_METHODS)
def test_only_methods_of_the_object_can_be_called_and_a_mistake_is_harmless(kind: str) -> None:
    runtime = SimulatedRuntime()
    ledger = runtime.namespace("Elder", Elder).get("a")
    runtime.run(ledger.call(Elder.append, "first"))
    instance = runtime.run(ledger.call(Elder.which))
    for _ in range(2):
        with pytest.raises(TypeError, match="is not a public method of Elder"):
            runtime.run(ledger.call(NO_METHODS[kind]))
    assert runtime.run(ledger.call(Elder.which)) == instance
    assert runtime.meter.failures == 0


def test_a_method_of_a_base_class_runs_the_objects_own_override() -> None:
    runtime = SimulatedRuntime()
    elder = runtime.namespace("Elder", Elder).get("a")
    assert runtime.run(elder.call(Ledger.last)) == runtime.run(elder.call(Elder.last)) == Entry(-1, "its own")


def test_a_namespace_is_declared_once_and_again_only_as_the_same() -> None:
    runtime = SimulatedRuntime()
    ledger = runtime.namespace("Ledger", Ledger).get("a")
    runtime.run(ledger.call(Ledger.append, "first"))
    with pytest.raises(ValueError, match=r"the namespace 'Ledger' is already declared with .*ledger\.Ledger"):
        runtime.namespace("Ledger", Elder)
    assert runtime.run(runtime.namespace("Ledger", Ledger).get("a").call(Ledger.texts)) == ["first"]


async def waits(*_: object) -> None: ...


async def yields(*_: object) -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("method", [waits, yields, staticmethod(waits), classmethod(waits)])
def test_a_class_with_an_async_method_is_refused_where_it_is_written(method: object) -> None:
    with pytest.raises(TypeError, match=r"Counter\.add is async"):
        type("Counter", (DurableObject,), {"add": method})


class Interrupted(BaseException):
    """Not an ``Exception``, as ``KeyboardInterrupt`` and ``SystemExit`` are not."""


class Fragile(DurableObject):
    """Its first instances raise in the constructor, after a write, an alarm and an event."""

    fails: list[BaseException]

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        if Fragile.fails:
            ctx.storage.put("half", b"written")
            ctx.set_alarm(ctx.now())
            ctx.publish(b"half")
            raise Fragile.fails.pop()

    def state(self) -> tuple[Sequence[tuple[str, bytes]], int | None, int]:
        return self.ctx.storage.list(), self.ctx.alarm_at, self.ctx.seq

    def write(self) -> None:
        self.ctx.storage.put("whole", b"written")


class No(Refusal):
    """A refusal, which is not for constructors."""


@pytest.mark.parametrize(
    ("raised", "seen"), [(Interrupted(), Interrupted), (ZeroDivisionError(), ObjectFailed), (No(), ObjectFailed)]
)
def test_a_constructor_left_half_way_leaves_nothing_however_it_was_left(
    raised: BaseException, seen: type[BaseException]
) -> None:
    Fragile.fails = [raised]
    runtime = SimulatedRuntime()
    fragile = runtime.namespace("Fragile", Fragile).get("a")
    events = listen(fragile)
    with pytest.raises(seen):
        runtime.run(fragile.call(Fragile.state))
    assert runtime.meter.failures == 1
    assert runtime.run(fragile.call(Fragile.state)) == ([], None, 0)
    runtime.run(fragile.call(Fragile.write))
    assert runtime.run(fragile.call(Fragile.state)) == ([("whole", b"written")], None, 1)
    assert events.heard() == []
