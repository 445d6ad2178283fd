"""Circuits: providers that bots do not call for a while. Stored, shown in the figures, and removed when they close."""

import msgspec

from durable_objects import Storage
from saywhatwant.limits import MAX_CIRCUIT_SECONDS, MAX_CIRCUITS
from saywhatwant.schemas import CircuitReport, ReportedCircuit

_KEY = "circuits"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[ReportedCircuit]).decode


class Circuits:
    """The circuits that bots have reported, one per bot and provider."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def report(self, report: CircuitReport, now: int) -> None:
        """Store a report in place of an earlier one of the same bot and provider."""
        until = now + round(report.seconds * 1_000)
        circuit = ReportedCircuit(report.worker_id, report.provider, report.entities, until, report.reason)
        circuits = {(known.worker_id, known.provider): known for known in self.open(now)}
        circuits[circuit.worker_id, circuit.provider] = circuit
        kept = sorted(circuits.values(), key=lambda known: known.open_until)
        self._storage.put(_KEY, _encode(kept[-MAX_CIRCUITS:]))

    def open(self, now: int) -> list[ReportedCircuit]:
        """The open circuits, ordered by when they close.

        A circuit that would be open for longer than the bound was reported before the clock stepped back, and is left out.
        """
        latest = now + MAX_CIRCUIT_SECONDS * 1_000
        return [circuit for circuit in _decode(self._storage.get(_KEY) or b"[]") if now < circuit.open_until <= latest]
