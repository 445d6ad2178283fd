"""The topology ``hybrid``: one object with every message, and one for the work of each entity.

Readers ask the wall object alone, so their positions, ETags and feeds are those of ``single``. Attempts are decided by the work
queues (P3). A call changes its work queue, and is answered once the wall has taken that change (``settle``), so that a read
after the answer sees it. A call for a message that its work queue has finished is answered by the wall object.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from durable_objects import Namespace, ObjectId, Runtime, Stub
from saywhatwant.errors import UnknownMessage, WrongState
from saywhatwant.limits import MAX_ANSWER_BYTES, MAX_TALK_BYTES
from saywhatwant.message import NewMessage, Posted
from saywhatwant.moderation.held import HeldPost
from saywhatwant.moderation.schemas import ModerationResponse
from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.object import MessageQueue
from saywhatwant.queue.waiting import Wait
from saywhatwant.queue.whole_wall import Offer, WholeWall, queues_of
from saywhatwant.queue.work_queue import WALL, WorkQueue
from saywhatwant.schemas import (
    BatchRequest,
    BatchResponse,
    ClaimNextResponse,
    ClaimResponse,
    CompleteResponse,
    ProgressState,
    Reply,
)
from saywhatwant.topology.claims import MAX_ROUNDS, Claim, as_one, size_of
from saywhatwant.topology.erasing import erase
from saywhatwant.topology.keyed_posts import call_once
from saywhatwant.topology.single import SingleWall
from saywhatwant.topology.together import together
from saywhatwant.topology.wall import Answer, bound, by_id

P = ParamSpec("P")
R = TypeVar("R")

_MAX_REMEMBERED: Final = 10_000
_ENDED_AT_ONCE: Final = 50
_TALKS_AT_ONCE: Final = MAX_ANSWER_BYTES // MAX_TALK_BYTES


class _Attempt(Struct, frozen=True):
    attempt: int


class _Held(Struct, frozen=True, rename="camel"):
    bot_params: _Attempt


_held: Final = msgspec.json.Decoder(_Held).decode


def open_hybrid(runtime: Runtime, config: QueueConfig) -> "HybridWall":
    """The wall of ``runtime``, which must not have started yet."""
    wall = runtime.namespace(WALL.namespace, WholeWall, config).get(WALL.name)
    return HybridWall(wall, runtime.namespace("WorkQueue", WorkQueue, config), config)


class HybridWall:
    """See ``Wall``."""

    def __init__(self, wall: Stub[WholeWall], queues: Namespace[WorkQueue], config: QueueConfig) -> None:
        self._wall = wall
        self._queues = queues
        self._served = frozenset(config.entities)
        self._entities: dict[str, str | None] = {}
        """The entities of messages called lately; a message's never changes."""
        self._feed = SingleWall(wall)
        self.standing = None
        self.read = self._feed.read
        self.changes = self._feed.changes
        self.position = self._feed.position
        self.events = self._feed.events
        self.pending = self._feed.pending
        self.listing = self._feed.listing
        self.stats = self._feed.stats
        self.tally = self._feed.tally
        self.overview = self._feed.overview
        self.story = self._feed.story
        self.report_circuit = self._feed.report_circuit
        self.cancel = self._feed.cancel
        self.retry = bound(wall, WholeWall.retry)
        self.message = self._feed.message
        self.restore = bound(wall, WholeWall.restore)
        self.hidden = bound(wall, WholeWall.hidden)
        self.extend = by_id(self._ask, WorkQueue.extend)
        self.fail = by_id(self._ask, WorkQueue.fail)
        self.release = by_id(self._ask, WorkQueue.release)

    async def place_of(self, held: HeldPost) -> ObjectId:  # noqa: ARG002 - there is one place
        """See ``Wall``."""
        return WALL

    # -- Posts

    async def post(self, new: NewMessage, key: str | None = None) -> Posted:
        """See ``MessageQueue.post``."""
        if new.message_type != "AI" or new.reply_to is None:
            return await self._feed.post(new, key)
        if new.id is None and key is None:
            return await self._post_answer(new, new.reply_to)
        # The wall keeps the key. Until it knows the answer, a retry gets it from the question (P4).
        with suppress(UnknownMessage):
            first, _ = await call_once(self._wall, WholeWall.first_answer, new, key)
            return replace(first, repeated=True)
        posted = await self._post_answer(new, new.reply_to)
        await call_once(self._wall, WholeWall.first_answer, new, key, replace(posted, repeated=False))
        return posted

    async def _post_answer(self, new: NewMessage, reply_to: str) -> Posted:
        await self._find(reply_to, "replyTo")
        posted = await self._at(reply_to, WorkQueue.post, new)
        return await self._answer_to(reply_to, posted)

    async def _answer_to(self, message_id: str, posted: Posted) -> Posted:
        with suppress(UnknownMessage):  # retention was faster
            answer = await self._wall.call(WholeWall.answer_to, message_id)
            if answer is not None:
                return replace(answer, repeated=posted.repeated)
        return posted

    # -- Work

    async def claim(
        self,
        message_id: str,
        worker_id: str,
        *,
        entities: tuple[str, ...] | None = None,
        also: tuple[str, ...] = (),
        context: int = 0,
        unfenced: bool = False,
    ) -> ClaimResponse:
        """See ``MessageQueue.claim``."""
        claim = Claim(worker_id, entities, also, context, unfenced)
        return await self._hold(await self._wall.call(WholeWall.offered, message_id, entities, also), claim)

    async def claim_next(
        self,
        worker_id: str,
        entities: tuple[str, ...] | None = None,
        limit: int = 1,
        *,
        also: tuple[str, ...] = (),
        context: int = 0,
        unfenced: bool = False,
        wait: Wait | None = None,
    ) -> ClaimNextResponse:
        """See ``MessageQueue.claim_next``."""
        claim = Claim(worker_id, entities, also, context, unfenced)
        for _ in range(MAX_ROUNDS):
            offers = await self._wall.call(WholeWall.offer, entities, also, limit, wait)
            if not offers:
                return as_one([], claim)
            if found := await self._hold_all(offers, claim):
                return as_one(found, claim)
            # Others hold them; wait until the wall knows it too.
            names = dict.fromkeys(name for offer in offers for name in queues_of(offer.entity, self._served))
            await together([self._queues.get(name).settle() for name in names])
        if wait is not None:
            await self._wall.call(WholeWall.offer, entities, also, 0, wait)
        return as_one([], claim)

    async def _hold_all(self, offers: list[Offer], claim: Claim) -> list[ClaimNextResponse]:
        """Claim these messages, except those that others have claimed; with their talks, up to ``MAX_ANSWER_BYTES``."""
        found: list[ClaimNextResponse] = []
        at_once = _TALKS_AT_ONCE if claim.context else len(offers)
        room = MAX_ANSWER_BYTES
        for start in range(0, len(offers), at_once):
            answers = await together([self._try_to_hold(offer, claim) for offer in offers[start : start + at_once]])
            held = [answer for answer in answers if answer is not None]
            found += held
            room -= sum(map(size_of, held))
            if room < 0:
                break
        return found

    async def _try_to_hold(self, offer: Offer, claim: Claim) -> ClaimNextResponse | None:
        try:
            held = await self._hold(offer, claim)
        except (UnknownMessage, WrongState):
            return None
        return ClaimNextResponse([held.message], talks=held.talks)

    async def _hold(self, offer: Offer, claim: Claim) -> ClaimResponse:
        self._remember(offer.id, offer.entity)
        entities, also = (claim.entities, claim.also) if offer.partner is None else ((offer.partner,), ())
        granted = await self._at(
            offer.id, WorkQueue.claim, offer.id, claim.worker_id, entities=entities, also=also, unfenced=claim.unfenced
        )
        attempt = _held(granted.message).bot_params.attempt
        return await self._wall.call(WholeWall.held, offer.id, attempt, claim.context)

    async def complete(
        self, message_id: str, worker_id: str | None = None, attempt: int | None = None, reply: Reply | None = None
    ) -> CompleteResponse:
        """See ``MessageQueue.complete``."""
        answer = await self._at(message_id, WorkQueue.complete, message_id, worker_id, attempt, reply)
        if answer.id is None or answer.timestamp is None:
            return answer
        posted = await self._answer_to(message_id, Posted(answer.id, answer.timestamp))
        return CompleteResponse(success=True, id=posted.id, timestamp=posted.timestamp)

    async def progress(
        self, message_id: str, worker_id: str, attempt: int, text: str, state: ProgressState = "writing"
    ) -> None:
        """See ``MessageQueue.progress``. The work queue checks the lease; the wall object signals, as all listen there."""
        await self._at(message_id, WorkQueue.progress, message_id, worker_id, attempt, text, state)
        await self._wall.call(WholeWall.show_progress, message_id, attempt, text, state)

    async def batch(self, request: BatchRequest, by: str | None = None) -> BatchResponse:
        """See ``MessageQueue.batch``. Failed messages are the wall object's, unfinished ones are ended at their work queues."""
        if request.action != "fail":
            return await self._wall.call(WholeWall.batch, request, by)
        chosen, more = await self._wall.call(WholeWall.choose, request)
        changed: list[str] = []
        for start in range(0, len(chosen), _ENDED_AT_ONCE):
            some = await together([self._end(offer, request, by) for offer in chosen[start : start + _ENDED_AT_ONCE]])
            changed += filter(None, some)
        return BatchResponse(changed, more)

    async def _end(self, offer: Offer, request: BatchRequest, by: str | None) -> str | None:
        """End one message of a batch; None if it has ended meanwhile and was not named."""
        self._remember(offer.id, offer.entity)
        named = replace(request, message_ids=[offer.id], entity=None, all=None)
        try:
            await self._at(offer.id, WorkQueue.batch, named, by)
        except (UnknownMessage, WrongState):
            if request.message_ids is not None:
                raise
            return None
        return offer.id

    # -- Moderation

    async def hide(self, message_id: str, reason: str = "", *, name: bool = False, by: str | None = None) -> ModerationResponse:
        """See ``MessageQueue.hide``. It returns once the message's work queue has ended its work."""
        await self._wall.call(WholeWall.hide, message_id, reason, name=name, by=by)
        await self._find(message_id)
        await self._wall.settle()
        await together([self._queues.get(name).settle() for name in queues_of(self._entities[message_id], self._served)])
        return await self._wall.call(WholeWall.hide, message_id)

    def erase(
        self, message_id: str, reason: str = "", *, name: bool = False, by: str | None = None
    ) -> Answer[ModerationResponse]:
        """See ``Wall``."""
        erase_it = partial(self._wall.call, WholeWall.erase, message_id, reason, name=name, by=by)
        return erase(self, message_id, erase_it, [self._wall])

    # -- The object of a message

    async def _find(self, message_id: str, field: str = "messageId") -> None:
        if message_id not in self._entities:
            self._remember(message_id, await self._wall.call(WholeWall.entity_of, message_id, field))

    async def _ask(
        self, method: Callable[Concatenate[WorkQueue, str, P], R], message_id: str, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        return await self._at(message_id, method, message_id, *args, **kwargs)

    async def _at(self, message_id: str, method: Callable[Concatenate[Any, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The answer of the message's work queue; that of the wall object if the message is finished."""
        await self._find(message_id)
        for _ in range(2):
            queues = [self._queues.get(name) for name in queues_of(self._entities[message_id], self._served)]
            for queue in queues:
                with suppress(UnknownMessage):
                    return await self._settled(queue, method, *args, **kwargs)
            # It may be on its way to its work queue, or finished there and on its way to the wall.
            await together([stub.settle() for stub in (self._wall, *queues)])
            with suppress(UnknownMessage):  # or it has the id of a message that was to another entity
                self._remember(message_id, await self._wall.call(WholeWall.entity_of, message_id))
        same: Callable[..., Any] = getattr(MessageQueue, method.__name__)
        found: R = await self._wall.call(same, *args, **kwargs)
        return found

    async def _settled(
        self, queue: Stub[WorkQueue], method: Callable[Concatenate[Any, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        answer = await queue.call(method, *args, **kwargs)
        await queue.settle()
        return answer

    def _remember(self, message_id: str, entity: str | None) -> None:
        if len(self._entities) >= _MAX_REMEMBERED:
            del self._entities[next(iter(self._entities))]
        self._entities[message_id] = entity
