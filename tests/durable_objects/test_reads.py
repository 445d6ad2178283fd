"""Reads, numbers of commits, and signals: what a call may do, and what becomes of it, on every local runtime."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec import Struct
from places import PLACES, place_of

from durable_objects import Context, DurableObject, Events, ObjectFailed, ObjectId, Refusal, read
from durable_objects.simulated import SimulatedRuntime
from listening import listen
from scenario import run


class State(Struct, frozen=True):
    """Everything of an object that a call can change."""

    entries: list[tuple[str, bytes]]
    alarm_at: int | None
    seq: int


WRONG_ARGUMENTS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "too few": ((), {}),
    "too many": (("a", "b"), {}),
    "one twice": (("a",), {"key": "b"}),
    "an unknown one": (("a",), {"kye": "b"}),
}


class Denied(Refusal):
    """A refusal after a change."""


class Notebook(DurableObject):
    """Its reads change or send something, which none may."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self.count = len(ctx.storage.list())

    @read
    def state(self) -> State:
        return State(list(self.ctx.storage.list()), self.ctx.alarm_at, self.ctx.seq)

    @read
    def counted(self) -> int:
        return self.count

    def write(self, key: str) -> int:
        self.ctx.storage.put(key, b"written")
        self.count += 1
        return self.ctx.seq + 1

    def break_down(self) -> None:
        """Raises what a call with wrong arguments raises, but of its own."""
        self.ctx.storage.put("half", b"")
        self.write()  # type: ignore[call-arg]

    def publish(self) -> int:
        self.ctx.publish(b"published")
        return self.ctx.seq + 1

    def signal(self) -> None:
        self.ctx.signal(b"signalled")

    def signal_and_refuse(self) -> None:
        self.ctx.signal(b"signalled")
        raise Denied("after a signal")

    @read
    def put(self) -> None:
        self.count += 1
        self.ctx.storage.put("new", b"")

    @read
    def delete(self) -> None:
        self.ctx.storage.delete("old")

    @read
    def arm(self) -> None:
        self.ctx.set_alarm(9_999)

    @read
    def publishing(self) -> None:
        self.ctx.publish(b"published")

    @read
    def signalling(self) -> None:
        self.ctx.signal(b"signalled")

    @read
    def sending(self) -> None:
        self.ctx.send(ObjectId("Notebook", "b"), Notebook.write, "sent")

    @read
    def refusing(self) -> None:
        self.ctx.storage.put("new", b"")
        raise Denied("after a write")

    @read
    def clear(self) -> None:
        """Changes nothing, since no alarm is set."""
        self.ctx.set_alarm(None)


CHANGING = [Notebook.put, Notebook.delete, Notebook.arm, Notebook.publishing, Notebook.signalling, Notebook.sending]


@pytest.mark.parametrize("local", PLACES)
@pytest.mark.parametrize("method", [*CHANGING, Notebook.refusing], ids=lambda method: method.__name__)
def test_a_read_that_changes_or_sends_something_fails_and_changes_nothing(
    request: pytest.FixtureRequest, local: str, method: Callable[[Notebook], None]
) -> None:
    async def scenario() -> None:
        async with place_of(local, request, Notebook).running() as opened:
            namespace = opened.namespace("Notebook", Notebook)
            notebook = namespace.get("a")
            await notebook.call(Notebook.write, "old")
            before = await notebook.call(Notebook.state)
            events = listen(notebook)
            with pytest.raises((ObjectFailed, Denied), match=r"is marked as a read, but it changed or sent|after a write"):
                await notebook.call(method)
            assert await notebook.call(Notebook.state) == before
            assert await notebook.call(Notebook.counted) == 1, "it was rebuilt"
            assert await notebook.call(Notebook.write, "next") == before.seq + 1
            assert events.heard() == []
            await notebook.settle()
            assert (await namespace.get("b").call(Notebook.state)).seq == 0, "nothing was sent"

    run(scenario())


@pytest.mark.parametrize("local", PLACES)
@pytest.mark.parametrize("kind", WRONG_ARGUMENTS)
def test_arguments_that_a_method_does_not_take_are_the_callers_mistake(
    request: pytest.FixtureRequest, local: str, kind: str
) -> None:
    """So the object does not fall with them."""

    async def scenario() -> None:
        async with place_of(local, request, Notebook).running() as opened:
            notebook: Any = opened.namespace("Notebook", Notebook).get("a")
            args, kwargs = WRONG_ARGUMENTS[kind]
            for stub in (notebook, notebook.options(idempotency_key="key")):
                with pytest.raises(TypeError, match="argument"):
                    await stub.call(Notebook.write, *args, **kwargs)
            with pytest.raises(ObjectFailed, match="break_down failed: TypeError"):
                await notebook.call(Notebook.break_down)
            assert opened.meter.failures == 1
            assert await notebook.call(Notebook.state) == State([], None, 0)

    run(scenario())


def test_a_read_makes_no_commit() -> None:
    runtime = SimulatedRuntime()
    notebook = runtime.namespace("Notebook", Notebook).get("a")
    runtime.run(notebook.call(Notebook.clear))
    assert runtime.run(notebook.call(Notebook.state)) == State([], None, 0)
    assert (runtime.meter.commits, runtime.meter.failures) == (0, 0)


@pytest.mark.parametrize("local", PLACES)
def test_p5_an_event_without_a_write_is_a_commit_and_a_signal_is_none(request: pytest.FixtureRequest, local: str) -> None:
    async def scenario() -> None:
        async with place_of(local, request, Notebook).running() as opened:
            notebook = opened.namespace("Notebook", Notebook).get("a")
            async with notebook.events() as events:
                assert await notebook.call(Notebook.publish) == 1
                await notebook.call(Notebook.signal)
                with pytest.raises(Denied):
                    await notebook.call(Notebook.signal_and_refuse)
                assert await notebook.call(Notebook.write, "a") == 2
                assert await notebook.call(Notebook.publish) == 3
                assert (await notebook.call(Notebook.state)).seq == 3
                got = [await anext(events) for _ in range(3)]
            assert got == [Events(1, (b"published",)), Events(None, (b"signalled",)), Events(3, (b"published",))]
            assert opened.meter.commit_calls == 3

    run(scenario())


@pytest.mark.parametrize("local", PLACES)
def test_p5_calls_that_become_durable_together_are_numbered_one_by_one(request: pytest.FixtureRequest, local: str) -> None:
    async def scenario() -> None:
        async with place_of(local, request, Notebook).running() as opened:
            notebook = opened.namespace("Notebook", Notebook).get("a")
            await notebook.call(Notebook.state)  # awake
            calls: list[Any] = [notebook.call(Notebook.write, f"{n}") for n in range(5)]
            calls.insert(2, notebook.call(Notebook.publish))
            calls.insert(4, notebook.call(Notebook.signal))
            numbers: Sequence[int | None] = await asyncio.gather(*calls)
            assert sorted(number for number in numbers if number is not None) == [1, 2, 3, 4, 5, 6]
            assert (await notebook.call(Notebook.state)).seq == 6

    run(scenario())


def test_p5_a_batch_is_one_commit_on_the_disk_with_a_number_for_each_call() -> None:
    runtime = SimulatedRuntime(autocommit=False)
    notebook = runtime.namespace("Notebook", Notebook).get("a")
    calls = [runtime.start(notebook.call(Notebook.write, f"{n}")) for n in range(4)]
    assert [call.done for call in calls] == [False] * 4
    runtime.commit()
    assert [call.result() for call in calls] == [1, 2, 3, 4]
    assert (runtime.meter.commits, runtime.meter.commit_calls, runtime.disk.head("Notebook/a").seq) == (1, 4, 4)
