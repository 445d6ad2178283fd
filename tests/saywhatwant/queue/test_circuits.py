"""Circuits that bots report: shown while open, bounded, and durable."""

from durable_objects.simulated import SimulatedRuntime
from saywhatwant.limits import (
    MAX_CIRCUIT_ENTITIES,
    MAX_CIRCUIT_REASON,
    MAX_CIRCUITS,
    MAX_ENTITY,
    MAX_PROVIDER,
    MAX_WORKER_ID,
)
from saywhatwant.queue import MessageQueue
from saywhatwant.schemas import CircuitReport, ReportedCircuit


class Wall:
    """A queue on a simulated runtime."""

    def __init__(self) -> None:
        self.runtime = SimulatedRuntime()
        self.queue = self.runtime.namespace("MessageQueue", MessageQueue).get("queue")

    def report(self, worker_id: str = "bot", provider: str = "http://127.0.0.1:1/v1", seconds: float = 10) -> None:
        report = CircuitReport(
            worker_id=worker_id, provider=provider, entities=["zen"], seconds=seconds, reason="refused with 500"
        )
        self.runtime.run(self.queue.call(MessageQueue.report_circuit, report))

    @property
    def open(self) -> list[ReportedCircuit]:
        return self.runtime.run(self.queue.call(MessageQueue.stats)).circuits or []


def test_a_report_is_shown_until_its_time_is_over_also_after_a_crash() -> None:
    wall = Wall()
    wall.report(seconds=10)
    wall.runtime.crash()
    (circuit,) = wall.open
    assert (circuit.provider, circuit.entities, circuit.reason) == ("http://127.0.0.1:1/v1", ["zen"], "refused with 500")
    wall.runtime.advance(9.9)
    assert wall.open == [circuit]
    wall.runtime.advance(0.1)
    assert wall.open == []


def test_a_report_takes_the_place_of_the_same_bots_earlier_one() -> None:
    wall = Wall()
    wall.report(seconds=10)
    wall.report(seconds=40)
    wall.report("another", seconds=20)
    assert [circuit.worker_id for circuit in wall.open] == ["another", "bot"]
    wall.report(seconds=0)
    assert [circuit.worker_id for circuit in wall.open] == ["another"]


def test_no_more_reports_are_kept_than_the_bound() -> None:
    wall = Wall()
    for number in range(MAX_CIRCUITS + 3):
        wall.report(f"bot-{number}", seconds=10 + number)
    assert [circuit.worker_id for circuit in wall.open] == [f"bot-{number}" for number in range(3, MAX_CIRCUITS + 3)]


def test_p6_the_longest_reports_fit_into_storage() -> None:
    wall = Wall()
    entities = [f"{number:0{MAX_ENTITY}}" for number in range(MAX_CIRCUIT_ENTITIES)]
    for number in range(MAX_CIRCUITS):
        report = CircuitReport(
            worker_id=f"{number:02}" + "\x01" * (MAX_WORKER_ID - 2),  # six bytes each in storage
            provider="\x01" * MAX_PROVIDER,
            entities=entities,
            seconds=60,
            reason="\x01" * MAX_CIRCUIT_REASON,
        )
        wall.runtime.run(wall.queue.call(MessageQueue.report_circuit, report))
    assert [circuit.entities for circuit in wall.open] == [entities] * MAX_CIRCUITS
