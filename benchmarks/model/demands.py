"""The service demands, from what ``python -m benchmarks.restate`` measured, and how well they tell the speed of other loads."""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.model.laws import Line, closed, fitted
from durable_objects.restate.turns import MAX_TURNS

PROCESSES = ("gateway", "objects", "restate")
CLIENTS = "clients"
MEASURED = Path("docs/benchmarks/restate.json")


class Load(NamedTuple):
    """One measured load on one system: medians of its rounds."""

    runtime: str
    nodes: int
    gateways: int
    keys: int
    connections: int
    per_second: float
    p50_ms: float
    p99_ms: float
    calls: float
    """In a batch."""
    cpu: dict[str, float]
    """Processor seconds for each call, of ``PROCESSES`` and ``CLIENTS``."""
    written: float
    """Bytes for each call."""
    cores: float
    """Cores that other programs left."""


class Demands(NamedTuple):
    """What calls cost while objects compete: then logs and disks take several batches together, so that each costs less."""

    cpu: dict[str, Line]
    """Processor seconds, of ``PROCESSES`` and ``CLIENTS``."""
    written: Line
    """Bytes that the nodes write to their disks."""
    seconds: Line
    """How long a batch takes when nothing else is under way."""


class Readers(NamedTuple):
    """What those who read cost."""

    frame: float
    """Processor seconds of a gateway for a frame to one WebSocket."""
    idle: float
    """Share of a core that an idle WebSocket takes."""
    socket_bytes: float
    """Memory of a WebSocket."""
    follow: dict[str, float]
    """Processor seconds for what one gateway learns of one commit, of ``PROCESSES``."""


class Measurements(NamedTuple):
    """All that was measured."""

    cores: int
    loads: list[Load]
    plain: list[Load]
    """Those of the plain Restate service, which has no gateway."""
    readers: Readers
    resident: dict[str, float]
    """Bytes in memory, of ``PROCESSES``."""


def measurements(path: Path = MEASURED) -> Measurements:
    """Read the file that ``python -m benchmarks.restate`` writes."""
    found = json.loads(path.read_text(encoding="utf-8"))
    machine = found["machine"]["cores"]
    by_load: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for of_round in found["rounds"]:
        if of_round["measured"]:
            what = tuple(of_round[name] for name in ("runtime", "nodes", "gateways", "keys", "connections"))
            by_load.setdefault(what, []).append(of_round["measured"])
    loads = [_load(what, rounds, machine) for what, rounds in by_load.items()]
    of_kind = {kind: sorted(load for load in loads if load.runtime == kind) for kind in ("restate", "plain")}
    return Measurements(machine, of_kind["restate"], of_kind["plain"], Readers(**found["readers"]), found["resident"])


def _load(what: tuple[Any, ...], rounds: Sequence[dict[str, Any]], cores: int) -> Load:
    def middle(name: str) -> float:
        return float(median(of_round[name] for of_round in rounds))

    cpu = {name: median(of_round["cpu_us"].get(name, 0.0) for of_round in rounds) / 1e6 for name in (*PROCESSES, CLIENTS)}
    others = median(of_round["cores"]["others"] for of_round in rounds)
    runtime, nodes, gateways, keys, connections = what
    return Load(
        runtime,
        nodes,
        gateways,
        keys,
        connections,
        middle("per_second"),
        middle("p50_ms"),
        middle("p99_ms"),
        middle("calls_a_batch"),
        cpu,
        middle("written_bytes"),
        cores - others,
    )


def demands(loads: Sequence[Load]) -> Demands:
    """The demands that these loads show, all on the same number of nodes.

    How long a batch takes is seen where one object has one batch after another; what a call costs where objects compete.
    """
    alone = [load for load in loads if load.keys == 1]
    many = [load for load in loads if load.keys > 1]
    cpu = {name: _fitted([(load.calls, load.cpu[name] * load.calls) for load in many]) for name in many[0].cpu}
    written = _fitted([(load.calls, load.written * load.calls) for load in many])
    return Demands(cpu, written, _fitted([(load.calls, load.calls / load.per_second) for load in alone]))


def _fitted(points: Sequence[tuple[float, float]]) -> Line:
    """The line whose errors are least in proportion."""
    return fitted(points, [1 / y**2 if y else 1.0 for _, y in points])


def batch_of(load: Load) -> float:
    """The calls in a batch of a load: those that an object's callers make while it waits for its turn.

    Half of its callers are in the batch under way if each object has a turn; more where it must wait for one.
    """
    each = load.connections / load.keys / load.gateways
    return max(each * load.keys / (load.keys + min(load.keys, MAX_TURNS)), 1.0)


def expected(load: Load, known: Demands) -> float:
    """Calls a second that the demands say for a load on one machine, whose processes share its cores."""
    batch = batch_of(load)
    if load.keys == 1:
        return batch / known.seconds.of_batch(batch)
    under_way = min(load.keys, MAX_TURNS) * load.gateways
    work = sum(line.of_batch(batch) for line in known.cpu.values())
    delay = max(known.seconds.of_batch(batch) - work, 0.0)
    cores = max(round(load.cores), 1)
    rate = closed(min(under_way, load.keys), [(work * cores / load.cores, cores)], delay) * batch
    single = (known.cpu["gateway"].of_call(batch) / load.gateways, known.cpu["objects"].of_call(batch))
    return min(rate, *(1 / demand for demand in single if demand))


def errors(loads: Sequence[Load]) -> list[tuple[Load, float]]:
    """For each load what is expected from the others on as many nodes."""
    found = []
    for load in loads:
        others = [other for other in loads if other.nodes == load.nodes and other != load]
        alone, many = ({other.calls for other in others if (other.keys == 1) == is_alone} for is_alone in (True, False))
        if len(alone) > 1 and len(many) > 1:
            found.append((load, expected(load, demands(others))))
    return found
