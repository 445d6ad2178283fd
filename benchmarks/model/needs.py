"""What walls and visitors need of a cluster, and what is full first."""

from math import ceil
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from benchmarks.model.demands import Demands, Readers
from benchmarks.model.laws import Line, batch_under, utilization

DAY = 86_400
FULL = 0.6
"""How busy anything may be in the busiest hour: beyond that, queues and lost nodes are felt."""
PEAK = 5.0
"""The busiest hour's rate, in means of the day."""
MAX_BATCH = 256
"""Calls that one batch carries at most."""
CALLS_A_TRIP = 3
"""Post, claim, complete: each changes the object."""
EVENTS_A_TRIP = 3
"""What readers get: the question, that it is worked on, the reply."""
EVENT_BYTES = 650
"""A message as JSON: 500 to 650 bytes in the original's logs."""
FOLLOWS_A_SECOND = 50
"""How often a gateway asks a busy object for its events: every 20 ms."""
IDLE_FOLLOWS_A_SECOND = 1 / 20
NODE_CORES = 4
"""Of each Restate node."""
MAX_SOCKETS = 4_096
"""Of a gateway, by default."""
LINK_BYTES = 125e6
"""What a gateway's network carries a second: 1 Gbit/s."""
VISITOR_BYTES = 125e3
"""What a visitor's network carries a second: 1 Mbit/s."""

WRITER = "the writer of one object"
PROCESS = "the objects' process of one wall"
GATEWAY = "what each gateway must follow"
VISITOR = "what one visitor's line carries"


class Workload(Struct, frozen=True):
    """Who uses a cluster, and how its walls are cut."""

    name: str
    walls: int
    visitors: int
    """In all, evenly on the walls; each has one open tab."""
    objects: int = 1
    """Of each wall."""
    questions: float = 20
    """That a visitor posts a day; each gets one reply."""

    @property
    def trips(self) -> float:
        """Questions on one wall, a second, in the busiest hour."""
        return self.visitors / self.walls * self.questions / DAY * PEAK


class Measures(NamedTuple):
    """What the needs follow from."""

    calls: Demands
    """On three nodes that keep each record twice."""
    readers: Readers
    resident: dict[str, float]
    """Bytes in memory of a gateway and an objects' process."""


class Needs(NamedTuple):
    """What the busiest hour needs."""

    calls: float
    """That change something, a second, on all walls."""
    batch: float
    """Calls that one object makes durable together."""
    gateways: int
    """Of all walls; each serves one."""
    sockets: int
    """Of one gateway."""
    objects_processes: int
    """One for each wall."""
    node_cores: float
    """Cores that the Restate nodes use, of all nodes."""
    nodes: int
    disk_bytes: float
    """Written a day, by all nodes."""
    memory_bytes: float
    """Of gateways and objects' processes."""
    busy: dict[str, float]
    """How full is what cannot be added: one may not be more than ``FULL``."""

    @property
    def fits(self) -> bool:
        """Whether nothing is too full."""
        return max(self.busy.values()) <= FULL

    @property
    def fullest(self) -> str:
        """What is full first when more visitors come."""
        return max(self.busy, key=lambda name: self.busy[name])


def needs(load: Workload, measured: Measures) -> Needs:
    """What a workload needs."""
    cost, readers = measured.calls, measured.readers
    calls = load.trips * CALLS_A_TRIP
    batch = batch_under(calls / load.objects, cost.seconds, MAX_BATCH)
    news = min(calls / batch, load.objects * FOLLOWS_A_SECOND)
    """What a gateway gets in one piece, and sends as a frame: so many a second."""
    follows = news + load.objects * IDLE_FOLLOWS_A_SECOND
    visitors = load.visitors / load.walls
    following = utilization(follows, readers.follow["gateway"])
    shared = utilization(calls, cost.cpu["gateway"].of_call(batch)) + visitors * (news * readers.frame + readers.idle)
    sent = visitors * load.trips * EVENTS_A_TRIP * EVENT_BYTES
    gateways = ceil(max(visitors / MAX_SOCKETS, sent / LINK_BYTES / FULL, shared / max(FULL - following, FULL / 100)))
    nodes_busy = load.walls * (
        utilization(calls, cost.cpu["restate"].of_call(batch)) + utilization(gateways * follows, readers.follow["restate"])
    )
    objects_busy = utilization(calls, cost.cpu["objects"].of_call(batch))
    return Needs(
        calls=calls * load.walls,
        batch=batch,
        gateways=gateways * load.walls,
        sockets=ceil(visitors / gateways),
        objects_processes=load.walls,
        node_cores=nodes_busy,
        nodes=max(3, ceil(nodes_busy / FULL / NODE_CORES)),
        disk_bytes=calls * load.walls / PEAK * DAY * cost.written.of_call(1),
        memory_bytes=load.walls * (gateways * measured.resident["gateway"] + measured.resident["objects"])
        + load.visitors * readers.socket_bytes,
        busy={
            WRITER: calls / load.objects * cost.seconds.of_batch(MAX_BATCH) / MAX_BATCH,
            PROCESS: objects_busy + utilization(gateways * follows, readers.follow["objects"]),
            GATEWAY: following,
            VISITOR: load.trips * EVENTS_A_TRIP * EVENT_BYTES / VISITOR_BYTES,
        },
    )


def most_visitors(load: Workload, measured: Measures) -> tuple[int, str]:
    """How many visitors each wall of this kind carries, and what is full with one more."""
    low, high = 0, 1
    one = replace(load, walls=1)
    while needs(replace(one, visitors=high), measured).fits:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        fits = needs(replace(one, visitors=middle), measured).fits
        low, high = (middle, high) if fits else (low, middle)
    return low, needs(replace(one, visitors=high), measured).fullest


def answered(calls: int, time: Line) -> float:
    """Seconds until calls are answered that one object gets at once: the first one by itself, the others in full batches."""
    first, *batches = [1, *(min(MAX_BATCH, calls - 1 - begin) for begin in range(0, calls - 1, MAX_BATCH))]
    return time.of_batch(first) + sum(time.of_batch(batch) for batch in batches)
