"""Any calls, over several lives of the data: every runtime gives the answers and events that the simulated one gives."""

from pathlib import Path
from random import Random

import pytest
from places import PLACES, Place, SimulatedPlace, place_of
from probe import Probe, Rules

from durable_objects import DurableObjectError, Stub
from scenario import run

LIVES = 3
CALLS = 15


async def one_call(probe: Stub[Probe], random: Random, now_ms: int) -> object:
    """A random call, and what its caller gets."""
    key = random.choice("abc")
    keyed = probe.options(idempotency_key=key)
    match random.randint(0, 9):
        case 0:
            return await probe.call(Probe.count, random.randint(1, 9))
        case 1 | 2:
            return await keyed.call(Probe.count, 1, note=key)
        case 3:
            return await keyed.call(Probe.refuse, key)
        case 4:
            return await probe.call(Probe.count_and_refuse)
        case 5:
            return await probe.call(Probe.count_and_fail)
        case 6:
            await probe.call(Probe.put, key, b"value")
        case 7:
            await probe.call(Probe.delete, key)
        case 8:
            await probe.call(Probe.wake_at, now_ms + random.randint(0, 3_000))
    return await probe.call(Probe.alarm_at), await probe.call(Probe.look), await probe.call(Probe.entries)


async def history(place: Place, seed: int) -> list[object]:
    """The answers, refusals and events of random calls."""
    random = Random(seed)
    seen: list[object] = []
    position = 0
    for _ in range(LIVES):
        async with place.running() as runtime:
            probe = runtime.namespace("Probe", Probe, Rules()).get("one")
            for _ in range(CALLS):
                try:
                    seen.append(await one_call(probe, random, place.now_ms))
                except DurableObjectError as error:
                    seen.append(error.record())
            last = await probe.call(Probe.count)
            async with probe.events(since=position) as events:
                while position < last.seq:
                    published = await anext(events)
                    seen.append(published)
                    position = published.seq or position
    return seen


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", PLACES)
def test_random_calls_have_one_history_on_every_runtime(
    tmp_path: Path, request: pytest.FixtureRequest, name: str, seed: int
) -> None:
    expected = run(history(SimulatedPlace(tmp_path), seed))
    assert len(expected) > LIVES * CALLS
    assert run(history(place_of(name, request), seed)) == expected
