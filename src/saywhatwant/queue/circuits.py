"""Providers that bots leave alone for the moment: kept in storage, shown in the figures, forgotten when their time is over."""

import msgspec

from durable_objects import Storage
from saywhatwant.limits import MAX_CIRCUITS
from saywhatwant.schemas import CircuitReport, ReportedCircuit

_KEY = "circuits"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[ReportedCircuit]).decode


class Circuits:
    """What bots have reported, one report for each bot and provider."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def report(self, report: CircuitReport, now: int) -> None:
        """Keep a report instead of an earlier one of the same bot and provider."""
        until = now + round(report.seconds * 1_000)
        circuit = ReportedCircuit(report.worker_id, report.provider, report.entities, until, report.reason)
        circuits = {(known.worker_id, known.provider): known for known in self.open(now)}
        circuits[circuit.worker_id, circuit.provider] = circuit
        kept = sorted(circuits.values(), key=lambda known: known.open_until)
        self._storage.put(_KEY, _encode(kept[-MAX_CIRCUITS:]))

    def open(self, now: int) -> list[ReportedCircuit]:
        """Those whose time is not over, the one that ends first in front."""
        return [circuit for circuit in _decode(self._storage.get(_KEY) or b"[]") if circuit.open_until > now]
