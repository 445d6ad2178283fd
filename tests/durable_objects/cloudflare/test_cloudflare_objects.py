"""Objects in Durable Objects of their own: who is here, what is taken once, and sockets that sleep."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps

import pytest
from fake_objects import FakePlatform, FakeSocket
from msgspec import Raw
from probe import Counted, Probe, Rules

from durable_objects import (
    ConfigMismatch,
    DurableObject,
    DurableObjectError,
    ErrorRecord,
    Events,
    ObjectFailed,
    ObjectId,
    OutcomeUnknown,
    Stub,
)
from durable_objects.cloudflare.sockets import LISTEN, Listen
from durable_objects.cloudflare.stub import Gateway
from durable_objects.exchange import ANSWER, EVENTS, REQUEST, Call, EndOfEvents, SentEvents
from scenario import run, turns, until


class Herald(DurableObject):
    """Publishes, and keeps no events."""

    def announce(self) -> None:
        self.ctx.publish(b"hear")

    def tell(self, name: str) -> None:
        self.ctx.send(ObjectId("Probe", name), Probe.count)


class Reader:
    """The client of a socket."""

    def __init__(self) -> None:
        self.got: list[Events] = []
        self.error: ErrorRecord | None = None
        self.has_ended = False
        self.socket = FakeSocket(self._receive, self._ended)

    def _receive(self, frame: bytes) -> None:
        match EVENTS.decode(frame):
            case SentEvents(events):
                self.got.append(events)
            case EndOfEvents(error):
                self.error = error

    def _ended(self) -> None:
        self.has_ended = True

    @property
    def numbers(self) -> list[int | None]:
        return [events.seq for events in self.got]


class World:
    """The platform, and a Worker."""

    def __init__(self) -> None:
        self.now_ms = 1_700_000_000_000
        self.platform = FakePlatform(lambda: self.now_ms)
        self.platform.classes = {"Probe": (Probe, Rules()), "Herald": (Herald, None)}
        self.gateway = Gateway(self.platform.bindings())

    def probe(self, name: str = "one") -> Stub[Probe]:
        return self.gateway.namespace("Probe", Probe, Rules()).get(name)

    def herald(self) -> Stub[Herald]:
        return self.gateway.namespace("Herald", Herald).get("one")

    async def read(self, namespace: str, since: int | None) -> Reader:
        """A reader of the events of the object with the name ``one``."""
        reader = Reader()
        durable_object = self.platform.get(namespace, "one")

        def accept() -> FakeSocket:
            durable_object.sockets.append(reader.socket)
            return reader.socket

        await durable_object.host.connect(LISTEN.encode(Listen(ObjectId(namespace, "one"), since)), accept)
        return reader


def on_platform(test: Callable[[World], Awaitable[None]]) -> Callable[[], None]:
    @wraps(test)
    def started() -> None:
        async def to_its_end() -> None:
            world = World()
            await test(world)
            for each in world.platform.objects.values():
                await each.end()

        run(to_its_end())

    del started.__wrapped__  # pytest would look for its arguments
    return started


@on_platform
async def test_a_program_with_another_configuration_is_refused(world: World) -> None:
    other = Gateway(world.platform.bindings()).namespace("Probe", Probe, Rules(step=2)).get("one")
    with pytest.raises(ConfigMismatch):
        await other.call(Probe.count)
    assert await world.probe().call(Probe.count) == Counted(1, 1)
    with pytest.raises(ConfigMismatch):
        world.gateway.namespace("Probe", Probe, Rules(step=2))


@on_platform
async def test_a_durable_object_is_one_object_also_in_its_next_life(world: World) -> None:
    await world.probe().call(Probe.count)
    durable_object = world.platform.get("Probe", "one")
    request = REQUEST.encode(Call(ObjectId("Probe", "two"), "count", Raw(b"{}")))
    for _ in range(2):
        answer = ANSWER.decode(await durable_object.host.call(request))
        assert answer.error is not None
        assert answer.error.code == ObjectFailed.code
        assert "is Probe/one, and not Probe/two" in answer.error.detail
        durable_object.hibernate()


@on_platform
async def test_a_sent_call_whose_answer_is_lost_is_taken_once(world: World) -> None:
    world.platform.loses_answer_of = {"two"}
    await world.probe().call(Probe.ask_others, ["two"], [5])
    with pytest.raises(OutcomeUnknown):
        await world.probe().settle()
    await until(lambda: world.platform.meter.sends == 4)  # a count and a refusal, and both again
    await world.probe().settle()
    assert await world.probe("two").call(Probe.look) == Counted(2, 5)


@on_platform
async def test_objects_without_a_binding_live_with_the_one_that_sends_to_them(world: World) -> None:
    world.platform.unbound = {"Probe"}
    await world.herald().call(Herald.tell, "other")
    await world.herald().settle()
    assert [*world.platform.objects] == [("Herald", "one")]
    assert world.platform.get("Herald", "one").host.runtime.disk.objects() == ["Herald/one", "Probe/other"]


@on_platform
async def test_p5_a_socket_gets_what_it_missed_then_what_comes_and_nothing_twice(world: World) -> None:
    for _ in range(7):  # the probe's replay has two commits a page
        await world.probe().call(Probe.count)
    reader, live = await world.read("Probe", 2), await world.read("Probe", None)
    await asyncio.gather(*(world.probe().call(Probe.count) for _ in range(5)))
    await world.probe().call(Probe.announce, "a signal")
    await until(lambda: len(reader.got) == 11 and len(live.got) == 6)
    assert reader.numbers == [*range(3, 13), None]
    assert live.numbers == [*range(8, 13), None]


@on_platform
async def test_p5_a_socket_goes_on_where_it_was_after_the_object_has_slept(world: World) -> None:
    await world.probe().call(Probe.count)
    reader = await world.read("Probe", 0)
    await until(lambda: reader.numbers == [1])
    durable_object = world.platform.get("Probe", "one")
    for n in range(2, 5):
        durable_object.hibernate()
        await world.probe().call(Probe.count)
        await until(lambda: reader.numbers[-1] == n)  # noqa: B023 - it is called now
    durable_object.hibernate()
    attached = reader.socket.attachment()
    await world.probe().call(Probe.count)
    await until(lambda: len(reader.got) == 5)
    reader.socket.attach(attached)  # as if it had fallen asleep between the commit and its event
    durable_object.hibernate()
    await world.probe().call(Probe.look)
    await until(lambda: len(reader.got) == 6)
    assert reader.numbers == [1, 2, 3, 4, 5, 5]


@on_platform
async def test_a_socket_whose_events_are_not_kept_gets_the_reason_and_ends(world: World) -> None:
    for _ in range(2):
        await world.herald().call(Herald.announce)
    reader = await world.read("Herald", 0)
    await until(lambda: reader.has_ended)
    assert reader.error is not None
    assert reader.error.code == "events-lost"
    ended = await world.read("Herald", None)
    ended.socket.is_open = False
    other = await world.read("Herald", 2)
    await world.herald().call(Herald.announce)
    await until(lambda: other.numbers == [3])
    await turns()
    assert ended.got == []


@on_platform
async def test_a_stream_ends_when_its_connection_does(world: World) -> None:
    events = world.probe().events()
    await world.probe().call(Probe.count)
    assert await anext(events) == Events(1, (b"1",))
    await world.platform.get("Probe", "one").end()
    with pytest.raises(DurableObjectError):
        await anext(events)


@on_platform
async def test_a_gateway_counts_its_calls(world: World) -> None:
    await world.probe().call(Probe.count)
    with pytest.raises(ObjectFailed):
        await world.probe().call(Probe.count_and_fail)
    assert (world.gateway.meter.calls, world.gateway.meter.failures, world.gateway.health()) == (2, 1, None)
    assert (world.platform.meter.requests, world.platform.meter.calls) == (2, 2)
    with pytest.raises(ValueError, match="no binding"):
        world.gateway.namespace("Other", Probe, Rules())
