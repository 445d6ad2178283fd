"""Which objects hold the messages, and the wall over all of them."""

from saywhatwant.topology.single import SingleWall, open_wall
from saywhatwant.topology.wall import Wall

__all__ = ["SingleWall", "Wall", "open_wall"]
