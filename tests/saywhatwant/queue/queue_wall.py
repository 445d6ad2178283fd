"""One queue on a simulated runtime that commits at once: its calls as plain functions."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Concatenate, ParamSpec, TypeVar

from msgspec import UNSET
from msgspec.structs import replace

from durable_objects.alarms import Alarms
from durable_objects.meter import Meter
from durable_objects.simulated import SimulatedRuntime
from durable_objects.simulated.disk import SimulatedDisk
from durable_objects.storage import LiveStorage
from saywhatwant.message import BotParams, Message, NewMessage, Posted, decode, decode_list
from saywhatwant.queue import MessageQueue
from saywhatwant.queue.config import QueueConfig
from saywhatwant.schemas import Reply
from saywhatwant.topology import SingleWall

P = ParamSpec("P")
ResultT = TypeVar("ResultT")


class Wall:
    def __init__(self, *, now_ms: int = 1_700_000_000_000, seed: int = 0, **config: Any) -> None:
        self.config = replace(QueueConfig(), **config)
        self.runtime = SimulatedRuntime(seed=seed, now_ms=now_ms)
        self.stub = self.runtime.namespace("Queue", MessageQueue, self.config).get("wall")
        self.wall = SingleWall(self.stub)

    def call(self, method: Callable[Concatenate[MessageQueue, P], ResultT], *args: P.args, **kwargs: P.kwargs) -> ResultT:
        return self.runtime.run(self.stub.call(method, *args, **kwargs))

    def post(self, new: NewMessage, key: str | None = None) -> Posted:
        """A post that may be repeated with its key or its id."""
        return self.runtime.run(self.wall.post(new, key))

    def ask(self, text: str = "Why is space black?", **fields: Any) -> str:
        new = NewMessage(**({"text": text, "username": "Human", "color": "169080199"} | fields))
        return self.call(MessageQueue.post, new).id

    def answer(self, question: str | None, text: str = "Because it is dark.", **fence: Any) -> Posted:
        return self.call(MessageQueue.post, answer_to(question, text, **fence))

    def claim(self, message_id: str, worker: str = "bot") -> Message:
        return decode(self.call(MessageQueue.claim, message_id, worker).message)

    def claim_next(self, limit: int = 1, entities: tuple[str, ...] | None = None, worker: str = "bot") -> list[Message]:
        return [decode(encoded) for encoded in self.call(MessageQueue.claim_next, worker, entities, limit).messages]

    def recall(
        self, limit: int = 1, entities: tuple[str, ...] | None = None, *, context: int = 1_000
    ) -> list[tuple[Message, list[str]]]:
        """Claim the next messages, each with the texts of its talk."""
        claimed = self.call(MessageQueue.claim_next, "bot", entities, limit, context=context)
        messages = [decode(encoded) for encoded in claimed.messages]
        assert claimed.talks is not UNSET
        return [(message, [decode(turn).text for turn in claimed.talks[message.id].turns]) for message in messages]

    def reply(self, message: Message, text: str) -> None:
        """Complete a message with this reply."""
        self.call(MessageQueue.complete, message.id, "bot", message.bot_params.attempt, Reply(text))

    def messages(self) -> list[Message]:
        return decode_list(self.call(MessageQueue.read, newest_first=False).body)

    def message(self, message_id: str) -> Message:
        return next(message for message in self.messages() if message.id == message_id)

    def params(self, message_id: str) -> BotParams:
        return self.message(message_id).bot_params

    def answers_to(self, question: str) -> list[str]:
        return [message.id for message in self.messages() if message.reply_to == question]

    def forget_alarms(self) -> None:
        """As if the runtime had lost its timers; the deadlines are in the messages."""
        self.runtime._alarms = Alarms()


def empty_storage() -> LiveStorage:
    return LiveStorage("Queue/wall", SimulatedDisk(), Meter())


def again(posted: Posted) -> Posted:
    """The answer to a repeated post."""
    return replace(posted, repeated=True)


def answer_to(question: str | None, text: str = "Because it is dark.", **fence: Any) -> NewMessage:
    return NewMessage(text=text, username="fear", color="128128128", message_type="AI", reply_to=question, **fence)


def work_of(wall: Wall, call: Callable[[], object]) -> tuple[int, int]:
    """Functions entered, of Python and of C, and storage operations, while ``call`` runs: work, not time."""
    functions = 0

    def count(_: FrameType, event: str, __: object) -> None:
        nonlocal functions
        functions += event in {"call", "c_call"}

    meter = wall.runtime.meter
    before = meter.reads + meter.writes + meter.deletes
    sys.setprofile(count)
    try:
        call()
    finally:
        sys.setprofile(None)
    return functions, meter.reads + meter.writes + meter.deletes - before
