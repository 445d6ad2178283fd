"""What was measured, and what the model makes of it, as tables in Markdown."""

from collections.abc import Sequence

from benchmarks.model.demands import PROCESSES, Load, Measurements, demands, errors
from benchmarks.model.needs import Measures, Needs, Workload, answered, most_visitors, needs

WORKLOADS = (
    Workload("1 wall, 1,000 visitors", 1, 1_000),
    Workload("1 wall, 10,000 visitors", 1, 10_000),
    Workload("10 walls, 10,000 visitors", 10, 10_000),
    Workload("1,000 walls, 100,000 visitors", 1_000, 100_000),
    Workload("1,000 walls, a million visitors", 1_000, 1_000_000),
    Workload("100 walls, a million visitors", 100, 1_000_000),
    Workload("1 wall with 32 entities, a million visitors", 1, 1_000_000, objects=33),
)
BURSTS = (("30 tabs, one post each", 30), ("one talk, 160 posts", 160), ("1,000 visitors, one post each", 1_000))
"""Posts that arrive at once, to one object."""
KINDS = (Workload("one object", 1, 1), Workload("32 entities, an object each", 1, 1, objects=33))


def tables(found: Measurements) -> dict[str, str]:
    """Each table by name."""
    cost = replicated(found)
    return {
        "figures": figures(found),
        "demands": costs(cost),
        "checked": checked(found),
        "needed": needed(cost),
        "limits": limits(cost),
        "bursts": bursts(cost),
    }


def _table(*rows: Sequence[str]) -> str:
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])


def figures(found: Measurements) -> str:
    """The measured loads, ours beside the plain service's."""
    plain = {(load.keys, load.connections): load for load in found.plain}
    rows = [_figures(load, plain.get((load.keys, load.connections))) for load in found.loads]
    head = ("nodes, gateways", "keys", "connections", "posts/s", "p50, p99", "a batch", "plain service", *PROCESSES)
    return _table(head, *rows)


def _figures(load: Load, plain: Load | None) -> tuple[str, ...]:
    beside = f"{plain.per_second:,.0f}/s, {load.per_second / plain.per_second:,.1f} x" if plain and load.nodes == 1 else ""
    return (
        f"{load.nodes}, {load.gateways}",
        f"{load.keys}",
        f"{load.connections:,}",
        f"**{load.per_second:,.0f}**",
        f"{load.p50_ms:,.0f}, {load.p99_ms:,.0f} ms",
        f"{load.calls:,.1f}",
        beside,
        *(f"{load.cpu[name] * 1e6:,.0f} us" for name in PROCESSES),
    )


def replicated(found: Measurements) -> Measures:
    """The demands on the most nodes that were measured."""
    most = max(load.nodes for load in found.loads)
    return Measures(demands([load for load in found.loads if load.nodes == most]), found.readers, found.resident)


def costs(measured: Measures) -> str:
    """The service demands."""
    calls, readers = measured.calls, measured.readers
    rows = [
        (
            name,
            f"{calls.cpu[name].a_batch * 1e6:,.0f} us",
            f"{calls.cpu[name].a_call * 1e6:,.0f} us",
            f"{readers.follow[name] * 1e6:,.0f} us",
        )
        for name in PROCESSES
    ]
    seconds = calls.seconds
    rows.append(("time of a batch", f"{seconds.a_batch * 1e3:,.1f} ms", f"{seconds.a_call * 1e3:,.2f} ms", ""))
    rows.append(("written by all nodes", f"{calls.written.a_batch / 1e3:,.1f} kB", f"{calls.written.a_call / 1e3:,.1f} kB", ""))
    return _table(("", "each batch", "each call in it", "each gateway that follows it"), *rows)


def checked(found: Measurements) -> str:
    """The measured loads next to what the model expects of each from the others."""
    return _table(("load", "measured", "expected", "error"), *map(_checked, errors(found.loads)))


def _checked(pair: tuple[Load, float]) -> tuple[str, ...]:
    load, expects = pair
    parts = ((load.nodes, "node"), (load.gateways, "gateway"), (load.keys, "key"), (load.connections, "connection"))
    name = ", ".join(f"{number:,} {what}{'' if number == 1 else 's'}" for number, what in parts)
    return name, f"{load.per_second:,.0f}/s", f"{expects:,.0f}/s", f"{expects / load.per_second - 1:+.0%}"


def needed(measured: Measures) -> str:
    """What each workload needs."""
    head = ("workload", "calls/s", "gateways", "sockets each", "objects' processes", "nodes", "disk a day", "memory", "fullest")
    return _table(head, *(_needed(load.name, needs(load, measured)) for load in WORKLOADS))


def _needed(name: str, of_load: Needs) -> tuple[str, ...]:
    if not of_load.fits:
        return (name, f"{of_load.calls:,.1f}", *("",) * 6, f"**does not fit: {of_load.fullest}**")
    return (
        name,
        f"{of_load.calls:,.1f}",
        f"{of_load.gateways:,}",
        f"{of_load.sockets:,}",
        f"{of_load.objects_processes:,}",
        f"{of_load.nodes:,} ({of_load.node_cores:,.1f} cores busy)",
        _bytes(of_load.disk_bytes),
        _bytes(of_load.memory_bytes),
        f"{of_load.fullest}: {of_load.busy[of_load.fullest]:.0%}",
    )


def _bytes(number: float) -> str:
    gigabytes = number / 1e9
    return f"{gigabytes:,.0f} GB" if gigabytes >= 10 else f"{gigabytes:,.1f} GB"


def limits(measured: Measures) -> str:
    """How many visitors one wall carries."""
    rows = [(load.name, *most_visitors(load, measured)) for load in KINDS]
    return _table(("wall of", "visitors", "then full"), *((name, f"{most:,}", full) for name, most, full in rows))


def bursts(measured: Measures) -> str:
    """How long bursts take."""
    rows = [(name, f"{number:,}", f"{answered(number, measured.calls.seconds) * 1e3:,.0f} ms") for name, number in BURSTS]
    return _table(("burst", "posts", "all are answered after"), *rows)
