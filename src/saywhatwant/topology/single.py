"""The topology ``single``: one object holds everything."""

from functools import partial
from typing import Self

from durable_objects import EventStream, ObjectId, Runtime, Stub
from saywhatwant.message import NewMessage, Posted
from saywhatwant.moderation.held import HeldPost
from saywhatwant.moderation.schemas import ModerationResponse
from saywhatwant.queue import MessageQueue
from saywhatwant.queue.config import QueueConfig
from saywhatwant.topology.erasing import erase
from saywhatwant.topology.keyed_posts import post_once
from saywhatwant.topology.position import ONLY, Position, WallEvents
from saywhatwant.topology.wall import Answer, WallChanges, bound

NAMESPACE = "MessageQueue"
QUEUE_NAME = "global-queue"

MAX_SINCE = 2**53 - 1
"""A read of what is newer than this finds nothing."""


def open_single(runtime: Runtime, config: QueueConfig) -> "SingleWall":
    """The wall of ``runtime``, which must not have started yet."""
    return SingleWall(runtime.namespace(NAMESPACE, MessageQueue, config).get(QUEUE_NAME))


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
        self.message = bound(stub, MessageQueue.message)
        self.report_circuit = bound(stub, MessageQueue.report_circuit)
        self.stats = bound(stub, MessageQueue.stats)
        self.tally = bound(stub, MessageQueue.tally)
        self.hide = bound(stub, MessageQueue.hide)
        self.restore = bound(stub, MessageQueue.restore)
        self.hidden = bound(stub, MessageQueue.hidden)
        self.overview = bound(stub, MessageQueue.overview)
        self.story = bound(stub, MessageQueue.story)
        self.standing = SingleStanding(stub)

    def post(self, new: NewMessage, key: str | None = None) -> Answer[Posted]:
        """See ``Wall``."""
        return self._post(new) if key is None and new.id is None else post_once(self._stub, new, key)

    async def place_of(self, held: HeldPost) -> ObjectId:  # noqa: ARG002 - there is one place
        """See ``Wall``."""
        return ObjectId(NAMESPACE, QUEUE_NAME)

    def erase(
        self, message_id: str, reason: str = "", *, name: bool = False, by: str | None = None
    ) -> Answer[ModerationResponse]:
        """See ``Wall``."""
        erase_it = partial(self._stub.call, MessageQueue.erase, message_id, reason, name=name, by=by)
        return erase(self, message_id, erase_it, [self._stub])

    async def changes(self, since: Position, limit: int | None = None) -> WallChanges:
        """See ``Wall``."""
        page = await self._stub.call(MessageQueue.changes, since[ONLY], limit)
        return WallChanges(Position({ONLY: page.seq}), page.messages, page.more, page.reset)

    async def position(self) -> Position:
        """See ``Wall``."""
        return Position({ONLY: (await self._stub.call(MessageQueue.read, MAX_SINCE)).seq})

    def events(self, since: Position | None = None) -> "SingleEvents":
        """See ``Wall``."""
        return SingleEvents(self._stub.events(None if since is None else since[ONLY]))


class SingleStanding:
    """See ``Standing``."""

    def __init__(self, stub: Stub[MessageQueue]) -> None:
        self.stand = bound(stub, MessageQueue.stand)
        self.leave = bound(stub, MessageQueue.leave)
        self.held = bound(stub, MessageQueue.held)
        self.stand_at = bound(stub, MessageQueue.stand_at)
        self.sockets = bound(stub, MessageQueue.sockets)


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
