"""The circuit breaker: a provider that fails repeatedly is not called for a while, then tried with one request."""

import asyncio

import pytest

from saywhatwant.models.chat import circuit as module
from saywhatwant.models.chat.circuit import FAILURES, MAX_PAUSE_SECONDS, PAUSE_SECONDS, Circuit

SLEEP = asyncio.sleep


class Clock:
    """A clock that stands still unless it is put forward."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept = 0.0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds
        await SLEEP(0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def fail(circuit: Circuit, times: int) -> None:
    for _ in range(times):
        circuit.failed("refused with 500")


@pytest.mark.usefixtures("clock")
def test_it_opens_at_the_third_failure_in_a_row_and_not_before() -> None:
    circuit = Circuit()
    fail(circuit, FAILURES - 1)
    circuit.worked()
    fail(circuit, FAILURES - 1)
    assert circuit.seconds_left == 0
    fail(circuit, 1)
    assert circuit.seconds_left == PAUSE_SECONDS
    assert circuit.reason == "refused with 500"


def test_each_further_failure_doubles_the_pause_up_to_a_bound(clock: Clock) -> None:
    circuit = Circuit()
    fail(circuit, FAILURES)
    pauses = []
    for _ in range(6):
        clock.now += circuit.seconds_left
        assert circuit.seconds_left == 0
        fail(circuit, 1)
        pauses.append(circuit.seconds_left)
    assert pauses == [20, 40, 80, MAX_PAUSE_SECONDS, MAX_PAUSE_SECONDS, MAX_PAUSE_SECONDS]


def test_after_the_pause_one_tries_at_a_time_and_when_that_works_all_do(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = Circuit()
    inside: list[int] = []
    most: list[int] = []

    async def ask(number: int) -> None:
        async with circuit.turn():
            inside.append(number)
            most.append(len(inside))
            await asyncio.sleep(0)
            inside.remove(number)

    async def ask_all() -> int:
        most.clear()
        await asyncio.gather(*map(ask, range(5)))
        return max(most)

    fail(circuit, FAILURES)
    monkeypatch.setattr(asyncio, "sleep", clock.sleep)
    assert asyncio.run(ask_all()) == 1
    assert clock.slept == PAUSE_SECONDS
    circuit.worked()
    assert asyncio.run(ask_all()) == 5
