"""Walls on a simulated runtime that commits at once, in any topology: their calls as plain functions."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from msgspec.structs import replace

from durable_objects.simulated import SimulatedRuntime
from saywhatwant.message import Message, NewMessage, Posted, decode, decode_list
from saywhatwant.queue.config import QueueConfig
from saywhatwant.schemas import Reply
from saywhatwant.topology import Position, Topology, open_wall

T = TypeVar("T")


def a_post(text: str = "Why is space black?", **fields: Any) -> NewMessage:
    return NewMessage(**({"text": text, "username": "Human", "color": "169080199"} | fields))


class SimulatedWall:
    def __init__(self, topology: Topology = "per-entity", **config: Any) -> None:
        self.runtime = SimulatedRuntime()
        self.config = replace(QueueConfig(entities=("zen", "joy", "sea", "new")), **config)
        self.topology = topology
        self.wall = open_wall(self.runtime, self.config, topology)

    def another_gateway(self) -> "SimulatedWall":
        """The same wall, through a gateway that knows nothing yet."""
        other = object.__new__(SimulatedWall)
        other.runtime, other.config, other.topology = self.runtime, self.config, self.topology
        other.wall = open_wall(self.runtime, self.config, self.topology)
        return other

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.runtime.run(call)

    def post(self, text: str = "Why is space black?", *, key: str | None = None, **fields: Any) -> Posted:
        return self.run(self.wall.post(a_post(text, **fields), key))

    def read(self, **query: Any) -> list[Message]:
        return decode_list(self.run(self.wall.read(**query)).body)

    def texts(self, **query: Any) -> list[str]:
        return [message.text for message in self.read(**query)]

    def message(self, message_id: str) -> Message:
        return next(message for message in self.read() if message.id == message_id)

    def claim_next(self, limit: int = 1, entities: tuple[str, ...] | None = None, **how: Any) -> list[Message]:
        return [decode(one) for one in self.run(self.wall.claim_next("bot", entities, limit, **how)).messages]

    def complete(self, message: Message, text: str = "Because.") -> str | None:
        done = self.wall.complete(message.id, "bot", message.bot_params.attempt, Reply(text))
        return self.run(done).id

    def all_changes(self, since: Position, limit: int | None = None) -> tuple[Position, list[Message]]:
        """Page after page."""
        messages: list[Message] = []
        while True:
            page = self.run(self.wall.changes(since, limit))
            messages += [decode(encoded) for encoded in page.messages]
            since = page.position
            if not page.more:
                return since, messages
