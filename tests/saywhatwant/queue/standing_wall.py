"""A queue with bots on sockets, which learn of their messages as a gateway does: from events, then by ``held``."""

from collections.abc import Sequence
from typing import Any

import msgspec
from queue_wall import Wall

from listening import Listener
from saywhatwant.queue import MessageQueue, events
from saywhatwant.queue.standing import Hold, Stand
from saywhatwant.schemas import Reply


def stand_at(socket: str, hands: int = 1, **more: Any) -> Stand:
    """A bot at this socket; its worker has the socket's name."""
    fields: dict[str, Any] = {"gateway": "here", "life": 1, "worker_id": f"bot of {socket}"}
    return Stand(**(fields | {"socket": socket, "hands": hands} | more))


class StandingWall(Wall):
    def __init__(self, **config: Any) -> None:
        super().__init__(**{"entities": ("zen", "rude", "eliza")} | config)
        self._listener = Listener(self.stub)

    def stand(self, socket: str, hands: int = 1, **more: Any) -> list[tuple[str, int]]:
        """A bot stands; returns what it has from now on."""
        holds = tuple(Hold(*hold) for hold in more.pop("holds", ()))
        resumes = more.pop("resumes", None)
        held = self.call(MessageQueue.stand, stand_at(socket, hands, **more), holds, resumes)
        return [(hold.message_id, hold.attempt) for hold in held]

    def leave(self, socket: str, *, give_back: bool = True) -> None:
        self.call(MessageQueue.leave, socket, give_back=give_back)

    def handed(self) -> list[tuple[str, str]]:
        """The sockets and their messages, from the events since the last look."""
        heard = [events.parse(event).message for event in self._listener.take() if not events.is_work(event)]
        found = [(message.bot_params.socket, message.id) for message in heard if message is not None]
        return [(socket, message_id) for socket, message_id in found if socket is not None]

    def woken(self) -> list[tuple[str, str]]:
        """The tickets of waiting claims that were woken since the last look, each with its message."""
        heard = [events.parse(event) for event in self._listener.take() if events.is_work(event)]
        return [(event.ticket, event.id) for event in heard]

    def answer_at(self, socket: str, message_id: str) -> None:
        """The bot at this socket answers a message that it holds."""
        attempt = self.params(message_id).attempt
        self.call(MessageQueue.complete, message_id, f"bot of {socket}", attempt, Reply("Because it is dark."))

    def stands(self) -> list[str]:
        """The sockets in storage."""
        keys = [key for key, _ in self.runtime.disk.list("Queue/wall", "standing/", "", 1_000)]
        return [key.removeprefix("standing/") for key in keys]

    def drop_memory(self) -> None:
        """As a network runtime may between any two calls."""
        self.runtime.evict_idle()
        self.runtime.evict_idle()
        assert self.runtime.live_objects == 0


def ids(wires: Sequence[bytes]) -> list[str]:
    return [msgspec.json.decode(wire)["id"] for wire in wires]
