"""The topologies by name."""

from typing import Literal

from durable_objects import Runtime
from saywhatwant.queue.config import QueueConfig
from saywhatwant.topology.single import open_single
from saywhatwant.topology.wall import Wall

Topology = Literal["single", "per-entity"]


def open_wall(runtime: Runtime, config: QueueConfig, topology: Topology = "single") -> Wall:
    """The wall of ``runtime``, which must not have started yet."""
    if topology == "single":
        return open_single(runtime, config)
    from saywhatwant.topology.per_entity import open_per_entity  # noqa: PLC0415 - most servers have one object

    return open_per_entity(runtime, config)
