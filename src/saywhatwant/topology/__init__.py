"""Which objects hold the messages, and the wall over all of them."""

from saywhatwant.topology.position import START, Position, WallEvents
from saywhatwant.topology.single import SingleWall
from saywhatwant.topology.topologies import Topology, moderation_of, open_wall, recorded_topology
from saywhatwant.topology.wall import Wall

__all__ = [
    "START",
    "Position",
    "SingleWall",
    "Topology",
    "Wall",
    "WallEvents",
    "moderation_of",
    "open_wall",
    "recorded_topology",
]
