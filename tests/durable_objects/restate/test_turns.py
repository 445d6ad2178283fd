"""A gateway has so many batches under way: calls gather meanwhile, and none waits for an object that does not answer."""

import asyncio

import pytest
from probe import Counted, Probe
from probe_gateway import probe_of, probes

from durable_objects import ObjectId
from durable_objects.restate import turns as module
from durable_objects.restate.turns import Turns
from scenario import run, turns, until


def test_calls_gather_while_their_object_waits_for_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TURNS", 2)
    monkeypatch.setattr(module, "SLOW_SECONDS", 3_600)

    async def scenario() -> None:
        async with probes() as (cluster, gateway, _):
            locks = [cluster._locks[ObjectId("Probe", name)] for name in ("one", "two")]
            for lock in locks:
                await lock.acquire()
            first = [asyncio.create_task(probe_of(gateway, name).call(Probe.count)) for name in ("one", "two")]
            await until(lambda: cluster.requests.count("batch") == 2)
            three = [asyncio.create_task(probe_of(gateway, "three").call(Probe.count)) for _ in range(5)]
            await turns()
            assert cluster.requests.count("batch") == 2
            locks[0].release()
            assert [answer.seq for answer in await asyncio.gather(*three)] == [1, 2, 3, 4, 5]
            assert ["count"] * 5 in cluster.batches
            locks[1].release()
            assert await asyncio.gather(*first) == [Counted(1, 1)] * 2

    run(scenario())


def test_objects_that_do_not_answer_hold_up_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TURNS", 1)
    monkeypatch.setattr(module, "SLOW_SECONDS", 0.001)

    async def scenario() -> None:
        async with probes() as (cluster, gateway, probe):
            lock = cluster._locks[ObjectId("Probe", "one")]
            await lock.acquire()
            stuck = asyncio.create_task(probe.call(Probe.count))
            await until(lambda: "batch" in cluster.requests)
            for number in range(1, 4):
                assert await probe_of(gateway, "two").call(Probe.count) == Counted(number, number)
            lock.release()
            assert await stuck == Counted(1, 1)

    run(scenario())


@pytest.mark.parametrize("given", [False, True])
def test_a_turn_of_a_task_that_was_cancelled_goes_to_the_next_one(monkeypatch: pytest.MonkeyPatch, *, given: bool) -> None:
    monkeypatch.setattr(module, "MAX_TURNS", 1)
    monkeypatch.setattr(module, "SLOW_SECONDS", 3_600)

    async def scenario() -> None:
        line = Turns()
        with await line.take():
            cancelled, waits = (asyncio.create_task(line.take()) for _ in range(2))
            await turns()
            if not given:
                cancelled.cancel()
                await turns()
        if given:
            cancelled.cancel()  # it has its turn already, and has not run since
        with await waits:
            assert cancelled.cancelled()
        with await line.take():
            pass

    run(scenario())
