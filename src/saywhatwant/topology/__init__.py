"""Which objects hold the messages, and the wall over all of them."""

from saywhatwant.topology.position import START, Position, WallEvents
from saywhatwant.topology.single import SingleWall, open_wall
from saywhatwant.topology.wall import Wall

__all__ = ["START", "Position", "SingleWall", "Wall", "WallEvents", "open_wall"]
