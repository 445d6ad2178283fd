"""Events at a gateway: each once and in order, whatever is lost on the way and whichever process the object is in."""

import asyncio
from contextlib import suppress
from random import Random

import pytest
from fake_cluster import FakeCluster
from journal import Journal
from probe import Counted, Probe, Rules
from probe_gateway import probe_of, probes

from durable_objects import Context, DurableObject, EventsLost, EventStream, ObjectId, RuntimeClosed, Stub
from durable_objects.restate import followers
from durable_objects.restate.runtime import RestateRuntime
from durable_objects.simulated import SimulatedRuntime
from profiles import examples
from scenario import run, turns, until

ONE = ObjectId("Probe", "one")


class Forgetful(DurableObject):
    """Keeps no events."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)

    def say(self, text: str) -> int:
        self.ctx.publish(text.encode())
        return self.ctx.seq + 1


async def seqs(stream: EventStream, count: int) -> list[int | None]:
    return [(await anext(stream)).seq for _ in range(count)]


def test_all_listeners_of_an_object_have_one_follower_which_ends_with_the_last() -> None:
    async def scenario() -> None:
        async with probes() as (cluster, gateway, probe):
            streams = [probe.events(), probe.events(), probe_of(gateway).events(since=0)]
            for n in range(1, 4):
                await probe.call(Probe.count)
                for stream in streams:
                    assert (await anext(stream)).seq == n
            await until(lambda: cluster.following == 1)
            asked = cluster.requests.count("follow")
            assert 2 <= asked <= 1 + 3 + 3  # where they begin; each event at most; and the one that waits
            for stream in streams:
                await stream.aclose()
            await until(lambda: cluster.following == 0)
            asked = cluster.requests.count("follow")
            assert await probe.call(Probe.count) == Counted(4, 4)
            assert await probe.call(Probe.count) == Counted(5, 5)
            assert cluster.requests.count("follow") == asked
            async with probe.events() as again:
                assert await probe.call(Probe.count) == Counted(6, 6)
                assert await seqs(again, 1) == [6]

    run(scenario())


def test_a_stream_has_no_event_of_a_call_that_was_answered_before_it() -> None:
    async def scenario() -> None:
        async with probes() as (cluster, _, probe):
            async with probe.events() as first:
                for n in range(1, 10):
                    await probe.call(Probe.count)
                    async with probe.events() as late:  # the follower may not know of the answered call yet
                        await probe.call(Probe.count)
                        assert await seqs(late, 1) == [2 * n]
                assert await seqs(first, 18) == list(range(1, 19))
            assert cluster.batches

    run(scenario())


def test_a_listener_of_the_past_misses_nothing_that_happens_while_it_catches_up() -> None:
    async def scenario() -> None:
        async with probes() as (_, gateway, probe):
            other = probe_of(gateway)
            for _ in range(5):
                await probe.call(Probe.count)
            async with probe.events(since=2) as stream:
                counting = asyncio.create_task(count(other, 20))
                assert await seqs(stream, 23) == list(range(3, 26))
                await counting

    run(scenario())


async def count(probe: Stub[Probe], times: int) -> None:
    for _ in range(times):
        await probe.call(Probe.count)


def test_events_that_no_process_has_any_more_are_read_from_the_object() -> None:
    async def scenario() -> None:
        async with probes() as (cluster, _, probe), RestateRuntime(cluster.urls) as other, probe.events() as stream:
            await probe.call(Probe.count)
            assert await seqs(stream, 1) == [1]
            await count(probe_of(other), 1)
            assert await seqs(stream, 1) == [2]
            await lose_events(cluster, probe_of(other), 5)
            await probe.call(Probe.announce, "psst")
            got = [await anext(stream) for _ in range(6)]
            assert [seq for seq, _ in got if seq is not None] == [3, 4, 5, 6, 7]
            assert [data for seq, data in got if seq is None] == [(b"psst",)]

    run(scenario())


async def lose_events(cluster: FakeCluster, probe: Stub[Probe], times: int) -> None:
    """Count while nobody can ask for events, in a process that dies."""
    for index in range(len(cluster.urls)):
        await cluster.node(index).kill()
    for _ in range(times):
        await cluster.host.namespace("Probe", Probe, Rules()).get("one").call(Probe.count)
    cluster.restart_objects()
    for index in range(len(cluster.urls)):
        await cluster.node(index).start()
    await probe.call(Probe.look)


def test_a_listener_is_told_that_events_are_lost_when_the_object_says_so_and_may_listen_again() -> None:
    async def scenario() -> None:
        host = SimulatedRuntime()
        async with FakeCluster(host) as cluster:
            cluster.declare("Forgetful", Forgetful)
            async with RestateRuntime(cluster.urls) as gateway:
                stub = gateway.namespace("Forgetful", Forgetful).get("one")
                stream = stub.events()
                assert await stub.call(Forgetful.say, "a") == 1
                assert await anext(stream) == (1, (b"a",))
                await cluster.node(0).kill()
                await host.namespace("Forgetful", Forgetful).get("one").call(Forgetful.say, "b")
                cluster.restart_objects()
                await cluster.node(0).start()
                with pytest.raises(EventsLost, match="the events after commit 1 are not kept"):
                    await anext(stream)
                async with stub.events() as again:
                    assert await stub.call(Forgetful.say, "c") == 3
                    assert await anext(again) == (3, (b"c",))
                await stream.aclose()

    run(scenario())


def test_listeners_end_with_the_gateway() -> None:
    async def scenario() -> None:
        async with probes() as (_, gateway, probe):
            streams = [probe.events(), probe.events(since=0)]
            waiting = [asyncio.create_task(anext(stream)) for stream in streams]
            await turns()
            await gateway.__aexit__(None, None, None)
            for task in waiting:
                with pytest.raises(RuntimeClosed):
                    await task
            with pytest.raises(RuntimeClosed):
                probe.events()

    run(scenario())


def test_calls_wait_until_it_is_known_where_a_new_listener_begins() -> None:
    async def scenario() -> None:
        async with probes() as (cluster, _, probe):
            await probe.call(Probe.count)
            await cluster.node(0).kill()
            async with probe.events() as stream:
                counting = asyncio.create_task(probe.call(Probe.count))
                await asyncio.sleep(0.05)
                assert cluster.batches == [["count"]]
                await cluster.node(0).start()
                assert await counting == Counted(2, 2)
                assert await seqs(stream, 1) == [2]
            probe.events()  # is closed by nobody: its follower ends with the gateway

    run(scenario())


class Reader:
    """A listener that reads, gives up waiting, and comes back from where it was."""

    def __init__(self, journal: Stub[Journal], random: Random, *, live: bool) -> None:
        self.journal = journal
        self.random = random
        self.position = 0
        self.got: list[int] = []
        self.live = live

    async def read(self, last: asyncio.Future[int]) -> None:
        """Read until it has the last event."""
        while not (last.done() and self.position >= last.result()):
            async with self.journal.events(None if self.live and not self.got else self.position) as stream:
                for _ in range(self.random.randint(1, 20)):
                    with suppress(TimeoutError):
                        await self.read_one(stream, last)

    async def read_one(self, stream: EventStream, last: "asyncio.Future[int]") -> None:
        if last.done() and self.position >= last.result():
            return
        events = await asyncio.wait_for(anext(stream), self.random.choice([0.001, 0.01, 0.1]))
        if events.seq is not None:
            self.got.append(events.seq)
            self.position = events.seq


@pytest.mark.parametrize("seed", range(examples(16)))
def test_p5_every_listener_gets_every_event_once_whatever_happens(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followers, "WAIT_MS", 50)

    async def scenario() -> None:
        random = Random(seed)
        host = SimulatedRuntime(seed=seed)
        async with FakeCluster(host, nodes=2, seed=seed) as cluster:
            cluster.declare("Journal", Journal)
            cluster.lost_requests = cluster.lost_answers = cluster.busy = 0.1
            async with RestateRuntime(cluster.urls) as one, RestateRuntime(cluster.urls[::-1]) as two:
                journals = [gateway.namespace("Journal", Journal).get("a") for gateway in (one, two)]
                last: asyncio.Future[int] = asyncio.get_running_loop().create_future()
                readers = [Reader(journals[n % 2], Random(f"{seed}/{n}"), live=n == 3) for n in range(4)]
                reading = [asyncio.create_task(reader.read(last)) for reader in readers]
                for _ in range(40):
                    match random.randint(0, 6):
                        case 0:
                            cluster.restart_objects()
                        case 1:
                            index = random.randint(0, 1)
                            await cluster.node(index).kill()
                            await asyncio.sleep(random.random() / 50)
                            await cluster.node(index).start()
                        case 2:
                            await random.choice(journals).call(Journal.announce, "signal")
                        case _:
                            await random.choice(journals).call(Journal.write, count=random.randint(1, 3))
                last.set_result(cluster._seq(ObjectId("Journal", "a")))
                await asyncio.gather(*reading)
                every = list(range(1, last.result() + 1))
                for reader in readers:
                    assert reader.got == (every[-len(reader.got) :] if reader.live else every)

    run(scenario())


NOT_NOW = (500, '{"code":"failed","detail":"not now","fields":{}}')


@pytest.mark.parametrize("fault", [NOT_NOW, (200, "what another version says")], ids=["refused", "unreadable"])
def test_a_follower_that_cannot_ask_goes_on_asking(fault: tuple[int, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followers, "MAX_COMMIT_WAIT_SECONDS", 0)
    monkeypatch.setattr(followers, "WAIT_MS", 0)
    monkeypatch.setattr(followers, "_ANSWER_SECONDS", 0.1)

    async def scenario() -> None:
        async with probes() as (cluster, _, probe), probe.events() as stream:
            await probe.call(Probe.count)
            assert await seqs(stream, 1) == [1]
            cluster.fault = fault
            before = len(cluster.requests)
            await until(lambda: len(cluster.requests) > before + 2)
            cluster.fault = None
            await probe.call(Probe.count)
            assert await seqs(stream, 1) == [2]

    run(scenario())
