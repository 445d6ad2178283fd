"""This product on the simulated runtime."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from benchmarks.keyvalue.scenario import POLL_SECONDS, THINK_SECONDS, Outcome, Scenario
from benchmarks.keyvalue.simulation import Process, Simulation
from durable_objects.simulated import SimulatedRuntime
from saywhatwant.limits import MAX_CLAIM
from saywhatwant.message import NewMessage, decode, decode_list
from saywhatwant.queue import MessageQueue

POST = NewMessage(text="Why is space black?", username="Human", color="169080199")

ResultT = TypeVar("ResultT")


class DurableWall:
    """This product."""

    def __init__(self, simulation: Simulation, scenario: Scenario) -> None:
        self.outcome = Outcome()
        self._simulation, self._scenario = simulation, scenario
        self._runtime = SimulatedRuntime(seed=scenario.seed)
        self._start_ms = self._runtime.now_ms
        self._queue = self._runtime.namespace("MessageQueue", MessageQueue).get("global-queue")

    def poster(self, number: int) -> Process:
        """One call."""
        for pause in self._scenario.pauses(number):
            yield pause
            posted = self._run(self._queue.call(MessageQueue.post, POST))
            self.outcome.posted.add(posted.id)

    def reader(self, number: int) -> Process:
        """One call for each poll."""
        since = 0
        yield self._scenario.first_poll(f"reader {number}")
        while True:
            page = self._run(self._queue.call(MessageQueue.read, since))
            news = decode_list(page.body)
            self.outcome.seen.update(message.id for message in news)
            since = max([since, *(message.timestamp for message in news)])
            yield POLL_SECONDS

    def bot(self, number: int) -> Process:
        """One call for each poll."""
        yield self._scenario.first_poll(f"bot {number}")
        while True:
            claimed = self._run(self._queue.call(MessageQueue.claim_next, f"bot {number}", limit=MAX_CLAIM))
            for wire in claimed.messages:
                message = decode(wire)
                self._simulation.start(self._answer(number, message.id, message.bot_params.attempt))
            yield POLL_SECONDS

    def operations(self) -> int:
        """All of them; polls cost none."""
        meter = self._runtime.meter
        return meter.reads + meter.writes + meter.deletes

    def _answer(self, number: int, message_id: str, attempt: int) -> Process:
        yield THINK_SECONDS
        self._run(self._queue.call(MessageQueue.complete, message_id, f"bot {number}", attempt))
        self.outcome.answers[message_id] += 1

    def _run(self, call: Coroutine[Any, Any, ResultT]) -> ResultT:
        self._runtime.advance(self._simulation.now - (self._runtime.now_ms - self._start_ms) / 1_000)
        return self._runtime.run(call)
