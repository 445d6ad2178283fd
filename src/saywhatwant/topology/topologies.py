"""The topologies by name."""

from typing import Literal

from durable_objects import Runtime, Stub
from saywhatwant.moderation.object import MODERATION, Moderation
from saywhatwant.queue.config import QueueConfig
from saywhatwant.topology.record import TopologyRecord, record_of
from saywhatwant.topology.single import open_single
from saywhatwant.topology.wall import Wall

Topology = Literal["single", "per-entity", "hybrid"]


def open_wall(runtime: Runtime, config: QueueConfig, topology: Topology = "single") -> Wall:
    """The wall of ``runtime``, which must not have started yet."""
    record_of(runtime, topology)
    moderation_of(runtime)
    if topology == "single":
        return open_single(runtime, config)
    if topology == "hybrid":
        from saywhatwant.topology.hybrid import open_hybrid  # noqa: PLC0415 - most servers have one object

        return open_hybrid(runtime, config)
    from saywhatwant.topology.per_entity import open_per_entity  # noqa: PLC0415 - most servers have one object

    return open_per_entity(runtime, config)


def moderation_of(runtime: Runtime) -> Stub[Moderation]:
    """The rules and reviews of a wall; the first call must come before ``runtime`` starts."""
    return runtime.namespace(MODERATION.namespace, Moderation).get(MODERATION.name)


async def recorded_topology(runtime: Runtime, topology: Topology) -> str:
    """The topology of the data of ``runtime``, which has started; ``topology`` if the data is new."""
    return (await record_of(runtime, topology).call(TopologyRecord.record, topology)).topology
