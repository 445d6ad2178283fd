"""Which topology the data has: recorded at the first start, and compared at each later one.

Another topology would look for the messages in other objects, and show a wall that looks empty.
"""

import msgspec
from msgspec import Struct

from durable_objects import Context, DurableObject, Runtime, Stub

NAMESPACE = "Topology"
NAME = "wall"
KEY = "topology"

CONVERSIONS = {("single", "per-entity"), ("per-entity", "single")}
"""Which topology can be converted to which; see ``migration``."""


class Recorded(Struct, frozen=True):
    """What is stored of the topology; the numbers are for ``migration``."""

    topology: str
    single_seq: int = 0
    """The last commit of the only object, while there are several."""
    next_source: int = 1
    """The number of the next object of several, while there is one."""


class RecordConfig(Struct, frozen=True):
    """What the objects are made for, so that gateways and objects of different topologies find out at once."""

    topology: str


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Recorded).decode


class TopologyRecord(DurableObject):
    """The topology of all data beside this object."""

    def __init__(self, ctx: Context, config: RecordConfig) -> None:  # noqa: ARG002 - a runtime compares it
        super().__init__(ctx)
        stored = ctx.storage.get(KEY)
        self._recorded = None if stored is None else decode(stored)

    def record(self, topology: str) -> Recorded:
        """Store ``topology`` if none is stored; returns what is."""
        if self._recorded is None:
            self._recorded = Recorded(topology)
            self.ctx.storage.put(KEY, encode(self._recorded))
        return self._recorded


def record_of(runtime: Runtime, topology: str) -> Stub[TopologyRecord]:
    """The record in the data of a wall with ``topology``; the first call must come before ``runtime`` starts."""
    return runtime.namespace(NAMESPACE, TopologyRecord, RecordConfig(topology)).get(NAME)
