"""Posts to some objects of a running system, with what each of its processes did for them."""

import os
import resource
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import httpx

from benchmarks.comparison import MESSAGE
from benchmarks.failures import NotStored
from benchmarks.loads import Load
from benchmarks.restate.systems import System
from benchmarks.running import TICKS_PER_SECOND
from benchmarks.wrk import Figure, measure

CLIENTS = "clients"
"""The load generator, among the processes."""
OTHERS = "others"
"""Everything else that ran on the machine, the kernel's share included."""

WARMING = 8
"""Posts at once before a load."""
SEVERAL_CORES = frozenset({"restate", OTHERS})
FULL = 0.9
"""The share of a core, or of all, at which more is not to be had."""


class Posts(NamedTuple):
    """A load: posts of 300 characters."""

    keys: int
    """How many objects they go to, in turn."""
    connections: int
    """In all; each waits for its answer before it posts again."""

    def __str__(self) -> str:
        return f"{self.keys} {'key' if self.keys == 1 else 'keys'}, {self.connections} connections"


class Measured(NamedTuple):
    """A load on a system."""

    per_second: float
    p50_ms: float
    p99_ms: float
    answers: int
    calls_a_batch: float
    """Posts that became durable together; 1 where nothing groups them."""
    written_bytes: float
    """What the Restate servers wrote to disk for each post."""
    cpu_us: dict[str, float]
    """Processor time for each post, by kind of process: gateways, objects, restate, clients."""
    cores: dict[str, float]
    """Cores in use, by process; with ``CLIENTS`` and ``OTHERS``."""


class _Counters(NamedTuple):
    at: float
    cpu: dict[str, float]
    busy: float
    written: int
    batches: int


def put(load: Posts, system: System, seconds: int) -> Measured:
    """Post for ``seconds``, with the connections shared among the system's URLs.

    Raises ``NotStored`` when fewer messages are stored than were acknowledged, and what ``wrk.measure`` raises.
    """
    share = load.connections // len(system.urls)
    of_wrk = Load(str(load), "/", share, "keys.lua", (str(load.keys), system.path))
    touch(system, load.keys)
    stored, before = system.stored(load.keys), _counters(system)
    with ThreadPoolExecutor() as threads:
        figures = list(threads.map(lambda url: measure(url, of_wrk, seconds), system.urls))
    after = _counters(system)
    answers = sum(figure.answers for figure in figures)
    if (new := system.stored(load.keys) - stored) < answers:
        raise NotStored(f"{system.name} acknowledged {answers} posts and has {new} of them")
    took, batches = after.at - before.at, after.batches - before.batches
    used = {name: after.cpu[name] - before.cpu[name] for name in after.cpu}
    others = after.busy - before.busy - sum(used.values())
    return Measured(
        sum(figure.per_second for figure in figures),
        _mean(figures, [figure.p50_ms for figure in figures]),
        max(figure.p99_ms for figure in figures),
        answers,
        answers / batches if batches else 1.0,
        (after.written - before.written) / answers,
        _by_kind({name: used[name] * 1e6 / answers for name in used}),
        {name: seconds / took for name, seconds in {**used, OTHERS: others}.items()},
    )


def touch(system: System, keys: int) -> None:
    """Post to each object once by every URL, so that all objects and gateways are ready."""
    with ThreadPoolExecutor(WARMING) as threads, httpx.Client(timeout=60, trust_env=False) as http:

        def post(place: tuple[str, int]) -> None:
            name = f"key-{place[1] + 1}"
            url = place[0] + (system.path % name if "%s" in system.path else system.path)
            http.post(url, json=MESSAGE | {"botParams": {"entity": name}}).raise_for_status()

        list(threads.map(post, [(url, number) for url in system.urls for number in range(keys)]))


def _by_kind(figures: dict[str, float]) -> dict[str, float]:
    """Sums of the processes of one kind: ``gateway 1`` and ``gateway 2`` are gateways."""
    sums: dict[str, float] = {}
    for name, figure in figures.items():
        kind = name.partition(" ")[0]
        sums[kind] = sums.get(kind, 0.0) + figure
    return sums


def _counters(system: System) -> _Counters:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = {name: processes.cpu_seconds for name, processes in system.processes.items()}
    cpu[CLIENTS] = children.ru_utime + children.ru_stime
    written = sum(map(_written, system.processes["restate"].pids)) if "restate" in system.processes else 0
    return _Counters(time.monotonic(), cpu, _busy_seconds(), written, system.batches())


def _busy_seconds() -> float:
    """Processor time that the machine has spent on anything."""
    user, nice, kernel, _, _, irq, soft_irq = map(int, Path("/proc/stat").read_text(encoding="ascii").split()[1:8])
    return (user + nice + kernel + irq + soft_irq) / TICKS_PER_SECOND


def _written(pid: int) -> int:
    counters = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines())
    return int(counters["write_bytes"])


def _mean(figures: Sequence[Figure], values: Sequence[float]) -> float:
    """The mean of values, weighted by the answers that they are about."""
    return sum(figure.answers * value for figure, value in zip(figures, values, strict=True)) / sum(f.answers for f in figures)


def limit(measured: Measured) -> str:
    """What was at its end: a process with one core, the machine, or nothing, when calls wait for one batch after another."""
    cores = os.cpu_count() or 1
    for name, used in measured.cores.items():
        if name not in SEVERAL_CORES and used > FULL:
            return f"the core of the {name}"
    if sum(measured.cores.values()) > FULL * cores:
        return "the machine"
    return "one batch after another"
