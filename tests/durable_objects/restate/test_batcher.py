"""Calls of one gateway: together in batches, in order, each once, and none left without an answer."""

import asyncio
from random import Random

import pytest
from probe import Counted, Occupied, Probe
from probe_gateway import probe_of, probes

from durable_objects import DurableObjectError, ObjectFailed, ObjectId, OutcomeUnknown, Overloaded, RuntimeClosed, Stub
from durable_objects.limits import MAX_COMMIT_WAIT_SECONDS
from durable_objects.restate import batcher, batchers
from profiles import examples
from scenario import run, turns, until

ONE = ObjectId("Probe", "one")


def test_calls_that_wait_for_one_object_are_one_batch() -> None:
    async def scenario() -> None:
        async with probes() as (cluster, gateway, probe):
            with cluster.paused():
                first = asyncio.create_task(probe.call(Probe.count))
                await until(lambda: "batch" in cluster.requests)
                others = [asyncio.create_task(probe.call(Probe.count, 10**n)) for n in range(5)]
                await turns()
            assert await first == Counted(1, 1)
            assert [answer.seq for answer in await asyncio.gather(*others)] == [2, 3, 4, 5, 6]
            assert cluster.batches == [["count"], ["count"] * 5]
            assert (gateway.meter.calls, gateway.meter.commits, gateway.meter.commit_calls) == (6, 2, 6)

    run(scenario())


@pytest.mark.parametrize(("callers", "batches"), [(3, [1, 4, 3]), (30, [1, 30, 31])])
def test_callers_call_again_in_time_for_the_next_batch_unless_enough_calls_wait_for_it(
    callers: int, batches: list[int]
) -> None:
    async def scenario() -> None:
        async with probes() as (cluster, _, probe):

            async def call_twice() -> None:
                await probe.call(Probe.count)
                await probe.call(Probe.count)

            with cluster.paused():
                first = asyncio.create_task(call_twice())
                await until(lambda: "batch" in cluster.requests)
                others = [asyncio.create_task(call_twice()) for _ in range(callers)]
                await turns()
            await asyncio.gather(first, *others)
            assert [len(batch) for batch in cluster.batches] == batches

    run(scenario())


def test_objects_do_not_wait_for_each_other() -> None:
    async def scenario() -> None:
        async with probes() as (cluster, gateway, probe):
            await cluster._locks[ONE].acquire()
            waits = asyncio.create_task(probe.call(Probe.count))
            await until(lambda: "batch" in cluster.requests)
            assert await probe_of(gateway, "two").call(Probe.count) == Counted(1, 1)
            cluster._locks[ONE].release()
            assert await waits == Counted(1, 1)

    run(scenario())


def test_a_batch_has_bounds_and_the_order_is_kept_over_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batcher, "MAX_BATCH_CALLS", 4)
    monkeypatch.setattr(batcher, "MAX_BATCH_BYTES", 2_000)

    async def scenario() -> None:
        async with probes() as (cluster, _, probe):
            notes = ["", "", "", "", "", "n" * 1_500, "n" * 3_000, "", "n" * 1_500, ""]
            answers = await asyncio.gather(*(probe.call(Probe.count, note=note) for note in notes))
            assert [answer.seq for answer in answers] == list(range(1, len(notes) + 1))
            assert [len(batch) for batch in cluster.batches] == [4, 2, 1, 3]

    run(scenario())


def test_calls_that_a_batch_was_too_large_for_are_made_by_the_next_one() -> None:
    async def scenario() -> None:
        async with probes() as (cluster, _, probe):
            cluster.max_answers = 3
            counting = asyncio.gather(*(probe.call(Probe.count) for _ in range(7)))
            reading = asyncio.gather(*(probe.call(Probe.entries, f"{n}") for n in range(5)))
            assert [answer.seq for answer in await counting] == [1, 2, 3, 4, 5, 6, 7]
            assert await reading == [[]] * 5
            assert [method for run in cluster.batches + cluster.reads for method in run].count("count") == 7

    run(scenario())


def test_a_call_whose_caller_gives_up_is_made_if_it_was_sent_and_else_not() -> None:
    async def scenario() -> None:
        async with probes() as (cluster, _, probe):
            with cluster.paused():
                sent = asyncio.create_task(probe.call(Probe.count, 1))
                await until(lambda: "batch" in cluster.requests)
                unsent, kept = (asyncio.create_task(probe.call(Probe.count, by)) for by in (10, 100))
                await turns()
                for task in (sent, unsent):
                    task.cancel()
                await asyncio.wait([sent, unsent])
            assert await kept == Counted(2, 101)
            assert await probe.call(Probe.look) == Counted(2, 101)

    run(scenario())


def test_errors_are_those_of_single_calls_unless_the_whole_batch_failed() -> None:
    async def scenario() -> None:
        async with probes() as (cluster, gateway, probe):
            calls = [probe.call(Probe.count), probe.call(Probe.refuse, "seat"), probe.call(Probe.count_and_fail)]
            counted, refused, failed = await asyncio.gather(*calls, return_exceptions=True)
            assert (counted, type(refused), type(failed)) == (Counted(1, 1), Occupied, ObjectFailed)
            assert gateway.meter.failures == 1
            cluster.fault = (500, '{"code":"occupied","detail":"all of it","fields":{"key":"k"}}')
            calls = [probe.call(Probe.count), probe.call(Probe.look)]
            first, second = await asyncio.gather(*calls, return_exceptions=True)
            for error in (first, second):
                assert isinstance(error, Occupied)
                assert error.record().fields == {"key": "k"}
            assert first is not second

    run(scenario())


@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_that_cannot_be_read_leaves_no_call_waiting(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with probes() as (cluster, _, probe):
            assert await probe.call(Probe.count) == Counted(1, 1)
            cluster.fault = (status, "what?")
            with monkeypatch.context() as patch:
                patch.setattr(batchers, "MAX_COMMIT_WAIT_SECONDS", 0.2)
                with pytest.raises(OutcomeUnknown):
                    await probe.call(Probe.count)
            cluster.fault = None
            assert (await probe.call(Probe.look)).seq == 1
            assert await probe.call(Probe.count) == Counted(2, 2)

    run(scenario())


def test_too_many_waiting_calls_are_refused_until_some_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batchers, "MAX_WAITING_CALLS", 5)

    async def scenario() -> None:
        async with probes() as (cluster, _, probe):
            for _ in range(3):
                with cluster.paused():
                    waiting = [asyncio.create_task(probe.call(Probe.count)) for _ in range(3)]
                    waiting += [asyncio.create_task(probe.call(Probe.look)) for _ in range(2)]
                    await turns()
                    with pytest.raises(Overloaded):
                        await probe.call(Probe.look)
                    waiting[2].cancel()
                    waiting[4].cancel()
                await asyncio.gather(*waiting, return_exceptions=True)
                await probe.call(Probe.look)
            assert (await probe.call(Probe.look)).seq == 9

    run(scenario())


def test_callers_are_answered_in_time_with_what_is_known() -> None:
    async def scenario() -> None:
        async with probes() as (cluster, gateway, probe):
            with cluster.paused():
                sent = asyncio.create_task(probe.call(Probe.count))
                await until(lambda: "batch" in cluster.requests)
                unsent, read = asyncio.create_task(probe.call(Probe.count)), asyncio.create_task(probe.call(Probe.look))
                await turns()
                waiting = gateway.batchers.of(ONE)
                waiting.expire(asyncio.get_running_loop().time() + MAX_COMMIT_WAIT_SECONDS - 1)
                await turns()
                assert not sent.done()
                waiting.expire(asyncio.get_running_loop().time() + MAX_COMMIT_WAIT_SECONDS)
                outcomes = await asyncio.gather(sent, unsent, read, return_exceptions=True)
                assert [type(outcome) for outcome in outcomes] == [OutcomeUnknown, Overloaded, Overloaded]
            assert await probe.call(Probe.count) == Counted(2, 2)

    run(scenario())


def test_a_gateway_that_stops_answers_what_was_sent_and_makes_no_other_call() -> None:
    async def scenario() -> None:
        async with probes() as (cluster, gateway, probe):
            await probe.call(Probe.look)
            with cluster.paused():
                sent = asyncio.create_task(probe.call(Probe.count))
                await until(lambda: "batch" in cluster.requests)
                unsent = [asyncio.create_task(probe.call(method)) for method in (Probe.count, Probe.look)]
                await turns()
                leaving = asyncio.create_task(gateway.__aexit__(None, None, None))
                await turns()
            assert await sent == Counted(1, 1)
            for late in (*unsent, probe.call(Probe.count)):
                with pytest.raises(RuntimeClosed):
                    await late
            await leaving
            with pytest.raises(RuntimeClosed):
                await probe.settle()
            assert gateway.health() == "the runtime is not running"

    run(scenario())


def test_an_object_that_nobody_calls_takes_no_memory() -> None:
    async def scenario() -> None:
        async with probes() as (_, gateway, _):
            others = [probe_of(gateway, f"{n}") for n in range(20)]
            await asyncio.gather(*(other.call(method) for other in others for method in (Probe.count, Probe.look)))
            async with others[0].events(since=0) as stream:
                await anext(stream)
                await until(lambda: len(gateway.batchers._by_object) == 1)
            await until(lambda: not gateway.batchers._by_object)
            assert gateway.batchers._waiting == 0

    run(scenario())


# -- Reads


def test_equal_reads_that_wait_are_one_read() -> None:
    async def scenario() -> None:
        async with probes() as (cluster, _, probe):
            await probe.call(Probe.count)
            looks = [probe.call(Probe.look) for _ in range(10)] + [probe.call(Probe.entries, limit=1) for _ in range(10)]
            answers = await asyncio.gather(*looks)
            assert answers == [Counted(1, 1)] * 10 + [[("change/000001", b"1")]] * 10
            assert cluster.reads == [["look", "entries"]]

    run(scenario())


def test_p2_a_read_sees_what_was_answered_before_it_though_an_equal_one_is_under_way() -> None:
    async def scenario() -> None:
        async with probes() as (cluster, _, probe):
            cluster.read_answers.clear()
            early = asyncio.create_task(probe.call(Probe.look))
            await until(lambda: bool(cluster.reads))
            assert await probe.call(Probe.count) == Counted(1, 1)
            late = asyncio.create_task(probe.call(Probe.look))
            await turns()
            cluster.read_answers.set()
            assert await early == Counted(0, 0)
            assert await late == Counted(1, 1)

    run(scenario())


def test_reads_go_with_a_batch_that_is_about_to_be_sent() -> None:
    async def scenario() -> None:
        async with probes() as (cluster, _, probe):
            counted, looked = await asyncio.gather(probe.call(Probe.count), probe.call(Probe.look))
            assert (counted, looked) == (Counted(1, 1), Counted(1, 1))
            assert (cluster.batches, cluster.reads) == ([["count", "look"]], [])

    run(scenario())


def test_reads_of_an_object_that_no_process_holds_go_in_a_batch() -> None:
    async def scenario() -> None:
        async with probes() as (cluster, _, probe):
            cluster.away = 1.0
            assert await asyncio.gather(*(probe.call(Probe.look) for _ in range(3))) == [Counted(0, 0)] * 3
            assert (cluster.batches, cluster.reads) == ([["look"]], [])
            cluster.away = 0.0
            assert await probe.call(Probe.look) == Counted(0, 0)
            assert cluster.reads == [["look"]]

    run(scenario())


# -- Everything at once


async def caller(probe: Stub[Probe], random: Random, number: int) -> list[Counted]:
    """A caller's calls, one after the other, and its answers."""
    answers: list[Counted] = []
    for n in range(12):
        match random.randint(0, 4):
            case 0:
                seen = await probe.call(Probe.look)
                assert not answers or seen.seq >= answers[-1].seq
            case 1:
                with pytest.raises(Occupied):
                    await probe.call(Probe.refuse, "seat")
            case 2:
                given_up = asyncio.create_task(probe.call(Probe.put, f"late/{number}/{n}", b""))
                await turns()
                given_up.cancel()
            case _:
                answers.append(await probe.call(Probe.count, 1, note=f" {number}/{n}"))
    return answers


@pytest.mark.parametrize("seed", range(examples(24)))
def test_p1_p3_each_answered_call_was_made_once_whatever_the_network_loses(seed: int) -> None:
    async def scenario() -> None:
        random = Random(seed)
        async with probes(nodes=3, seed=seed) as (cluster, gateway, probe):
            cluster.lost_requests = cluster.lost_answers = cluster.busy = cluster.away = 0.15
            cluster.max_answers = random.choice([2, 1_000])
            callers = [asyncio.create_task(caller(probe, Random(f"{seed}/{n}"), n)) for n in range(6)]
            for index in random.sample(range(3), 2):
                await asyncio.sleep(random.random() / 50)
                await cluster.node(index).kill()
                await asyncio.sleep(random.random() / 50)
                await cluster.node(index).start()
            answers = [answer for one in await asyncio.gather(*callers) for answer in one]
            cluster.lost_requests = cluster.lost_answers = cluster.busy = 0.0
            assert sorted(answer.total for answer in answers) == list(range(1, len(answers) + 1))
            notes = [value.partition(b" ")[2] for _, value in await probe.call(Probe.entries, "change/")]
            assert len(notes) == len(set(notes)) == len(answers)
            for number in range(6):
                own = [int(note.partition(b"/")[2]) for note in notes if note.startswith(b"%d/" % number)]
                assert own == sorted(own)
            assert gateway.health() is None

    run(scenario())


def test_an_error_of_this_package_needs_no_class_of_its_own_here() -> None:
    async def scenario() -> None:
        async with probes() as (cluster, _, probe):
            cluster.fault = (500, '{"code":"of-a-later-version","detail":"no","fields":{}}')
            with pytest.raises(DurableObjectError) as refusal:
                await probe.call(Probe.count)
            assert refusal.value.record().code == "of-a-later-version"

    run(scenario())
