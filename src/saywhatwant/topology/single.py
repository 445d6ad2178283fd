"""The topology ``single``: one object holds everything."""

from typing import Self

from durable_objects import EventStream, Runtime, Stub
from saywhatwant.message import NewMessage, Posted
from saywhatwant.queue import MessageQueue
from saywhatwant.queue.config import QueueConfig
from saywhatwant.topology.keyed_posts import post_once
from saywhatwant.topology.position import ONLY, Position, WallEvents
from saywhatwant.topology.wall import Answer, WallChanges, bound

QUEUE_NAME = "global-queue"

MAX_SINCE = 2**53 - 1
"""A read of what is newer than this finds nothing."""


def open_single(runtime: Runtime, config: QueueConfig) -> "SingleWall":
    """The wall of ``runtime``, which must not have started yet."""
    return SingleWall(runtime.namespace("MessageQueue", MessageQueue, config).get(QUEUE_NAME))


class SingleWall:
    """A ``Wall`` whose methods are those of its one object: nothing stands between a call and its stub."""

    def __init__(self, stub: Stub[MessageQueue]) -> None:
        self._stub = stub
        self._post = bound(stub, MessageQueue.post)
        self.read = bound(stub, MessageQueue.read)
        self.pending = bound(stub, MessageQueue.pending)
        self.listing = bound(stub, MessageQueue.listing)
        self.claim = bound(stub, MessageQueue.claim)
        self.claim_next = bound(stub, MessageQueue.claim_next)
        self.cancel = bound(stub, MessageQueue.cancel)
        self.extend = bound(stub, MessageQueue.extend)
        self.complete = bound(stub, MessageQueue.complete)
        self.fail = bound(stub, MessageQueue.fail)
        self.release = bound(stub, MessageQueue.release)
        self.progress = bound(stub, MessageQueue.progress)
        self.retry = bound(stub, MessageQueue.retry)
        self.batch = bound(stub, MessageQueue.batch)
        self.report_circuit = bound(stub, MessageQueue.report_circuit)
        self.stats = bound(stub, MessageQueue.stats)

    def post(self, new: NewMessage, key: str | None = None) -> Answer[Posted]:
        """See ``Wall``."""
        return self._post(new) if key is None and new.id is None else post_once(self._stub, new, key)

    async def changes(self, since: Position, limit: int | None = None) -> WallChanges:
        """See ``Wall``."""
        page = await self._stub.call(MessageQueue.changes, since[ONLY], limit)
        return WallChanges(Position({ONLY: page.seq}), page.messages, page.more)

    async def position(self) -> Position:
        """See ``Wall``."""
        return Position({ONLY: (await self._stub.call(MessageQueue.read, MAX_SINCE)).seq})

    def events(self, since: Position | None = None) -> "SingleEvents":
        """See ``Wall``."""
        return SingleEvents(self._stub.events(None if since is None else since[ONLY]))


class SingleEvents:
    """The events of one object as those of a wall."""

    def __init__(self, stream: EventStream) -> None:
        self.stream = stream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WallEvents:
        seq, data = await anext(self.stream)
        return WallEvents(ONLY, seq, data)

    def get_nowait(self) -> WallEvents | None:
        """See ``WallEventStream``."""
        events = self.stream.get_nowait()
        return None if events is None else WallEvents(ONLY, *events)

    async def aclose(self) -> None:
        """End it."""
        await self.stream.aclose()
