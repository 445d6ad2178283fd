"""A simulated wall with its rules, as plain calls."""

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from durable_objects import ObjectId
from durable_objects.simulated import SimulatedRuntime
from saywhatwant.message import Message, NewMessage, Posted, Ruling, decode_list
from saywhatwant.moderation.object import Moderation
from saywhatwant.moderation.rules import Subject
from saywhatwant.queue.config import QueueConfig
from saywhatwant.topology import Topology, moderation_of, open_wall

P = ParamSpec("P")
R = TypeVar("R")

ADA = Subject(username="Ada", color="204120051")


def a_post(text: str = "Why is space black?", **fields: Any) -> NewMessage:
    return NewMessage(**({"text": text, "username": "Ada", "color": "204120051"} | fields))


class RulesWall:
    def __init__(self, topology: Topology = "single", *, autocommit: bool = True, **config: Any) -> None:
        self.runtime = SimulatedRuntime(autocommit=autocommit)
        self.wall = open_wall(self.runtime, QueueConfig(entities=("zen", "joy"), **config), topology)
        self.moderation = moderation_of(self.runtime)

    def call(self, method: Callable[Concatenate[Moderation, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.runtime.run(self.moderation.call(method, *args, **kwargs))

    def hold(self, text: str = "Why is space black?", *, key: str | None = None, **fields: Any) -> Posted:
        new = a_post(text, ruling=Ruling("hold", "space"), **fields)
        return self.runtime.run(self.wall.post(new, key))

    def post(self, text: str = "Why is space black?", *, key: str | None = None, **fields: Any) -> Posted:
        return self.runtime.run(self.wall.post(a_post(text, **fields), key))

    def place_of(self, message_id: str) -> ObjectId:
        held = self.call(Moderation.held, message_id)
        assert held is not None
        return self.runtime.run(self.wall.place_of(held))

    def approve(self, message_id: str) -> None:
        self.call(Moderation.approve, message_id, self.place_of(message_id), "olga", "")

    def reject(self, message_id: str) -> None:
        self.call(Moderation.reject, message_id, self.place_of(message_id), "olga", "")

    def waiting(self) -> list[str]:
        return [post.id for post in self.call(Moderation.overview).held]

    def wait_days(self, days: int) -> None:
        """A step of the clock ages keys by an hour at most, at the next call with one."""
        for hour in range(24 * days):
            self.runtime.advance(3_600)
            self.post("An hour later.", key=f"hour {self.runtime.now_ms} {hour}", answer=False)

    def read(self) -> list[Message]:
        return decode_list(self.runtime.run(self.wall.read()).body)

    def ids(self) -> list[str]:
        return [message.id for message in self.read()]
