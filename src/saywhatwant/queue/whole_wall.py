"""WholeWall: one object with every message of a wall whose work is done in other objects.

It takes posts, gives timestamps, and serves readers. An unfinished message is at its ``WorkQueue`` too, which has the last
word on it; here is what it has sent. On finished messages this object has the last word.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from msgspec import UNSET, Struct
from msgspec.structs import replace

import durable_objects
from durable_objects import Context, ObjectId
from saywhatwant.errors import IdTaken, UnknownMessage, WrongState
from saywhatwant.message import Message, NewMessage, Posted
from saywhatwant.moderation.schemas import ModerationResponse
from saywhatwant.queue import batch, events, lease
from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.directory import ANYONE
from saywhatwant.queue.messages import is_unfinished
from saywhatwant.queue.object import MessageQueue
from saywhatwant.queue.waiting import Wait
from saywhatwant.queue.work_queue import WorkChange, WorkQueue, work_of
from saywhatwant.schemas import BatchRequest, ClaimResponse, ProgressState

ANSWERS_HIDDEN: Final = "it answers a hidden message"
"""Why an answer is hidden that was on its way while its question was hidden; for operators."""
_LOOK_AHEAD: Final = 100
"""How many messages that other claims are on their way for a claim passes by."""
_OFFER_MS: Final = 2_000


class Offer(Struct, frozen=True):
    """A message that a claim may take at its work queue."""

    id: str
    entity: str | None
    partner: str | None
    """The entity to assign, for a message to anyone; None for one that has an entity."""


class WholeWall(MessageQueue):
    """Every message, and the claims that wait for work."""

    def __init__(self, ctx: Context, config: QueueConfig) -> None:
        super().__init__(ctx, config)
        self._is_no_new_work = False
        """Whether what is being saved is known to its work queue."""
        self._offers: OrderedDict[str, int] = OrderedDict()
        """The messages that claims are on their way for, and until when others leave them alone; in memory only."""

    # -- Posts

    def first_answer(self, new: NewMessage, posted: Posted | None = None) -> Posted:
        """What an answer has got at its work queue; called with its key, which is kept with ``posted``.

        Without ``posted``, and with a key that is not kept yet, it is the message with the answer's id, if that is the same
        answer: its gateway ended before it could keep the key. Else raises ``UnknownMessage``, or ``IdTaken``.
        """
        if posted is not None:
            return posted
        known = None if new.id is None else self._index.get(new.id)
        if known is not None and known.reply_to != new.reply_to:
            raise IdTaken(known.id)
        if known is not None and (known.text, known.username) == (new.text, new.username):
            return Posted(known.id, known.timestamp)
        raise UnknownMessage("replyTo", new.reply_to or "")

    @durable_objects.read
    def answer_to(self, message_id: str) -> Posted | None:
        """The answer to a message, if it has one; raises ``UnknownMessage``."""
        params = self._known(message_id).bot_params
        if params.answered_by is None or params.answered_at is None:
            return None
        return Posted(params.answered_by, params.answered_at)

    # -- From the work queues

    def apply(self, change: WorkChange, reply: NewMessage | None, *, publish: bool) -> None:
        """A message has changed at its work queue; with ``reply``, it has been answered (P4: both in one commit)."""
        now = self._now()
        message = self._index.get(change.id)
        if message is None:
            return
        known = message.bot_params
        params = replace(
            change.params,
            has_context=known.has_context,
            answered_by=known.answered_by,
            answered_at=known.answered_at,
            ais=known.ais,
            session_id=known.session_id,
        )
        conversation = message.conversation if change.conversation is None else change.conversation
        changed = replace(message, bot_params=params, conversation=conversation)
        self._offers.pop(message.id, None)
        with self._no_new_work():
            if reply is None:
                self._save(changed, publish=publish)
                return
            if reply.id is not None and reply.id in self._index:
                reply = replace(reply, id=None)
            answer = self._made(reply, now)
            if message.hidden is not UNSET:  # it was answered before its work queue knew
                answer = self._hidden.hide(answer, now, ANSWERS_HIDDEN)
            self._save(lease.answer(changed, answer.id, answer.timestamp), answer)

    def keep_detail(self, message_id: str, detail: str) -> None:
        """Why an attempt failed, for operators."""
        message = self._index.get(message_id)
        if message is not None and message.erased is UNSET:
            self._details.keep(message, detail)

    def count_expiry(self) -> None:
        """A lease ran out at a work queue."""
        self._count_expiry()

    # -- Claims

    @durable_objects.read
    def entity_of(self, message_id: str, field: str = "messageId") -> str | None:
        """Whose work a message is; raises ``UnknownMessage``."""
        return self._known(message_id, field).bot_params.entity

    def offer(self, entities: tuple[str, ...] | None, also: tuple[str, ...], limit: int, wait: Wait | None) -> list[Offer]:
        """The most urgent messages for a claim, which are left to it for a moment; if there are none, ``wait``.

        See ``MessageQueue.claim_next``. A message may have been claimed meanwhile: its work queue knows. Raises
        ``TooManyWaiting``.
        """
        now = self._now()
        woken_for = () if wait is None else wait.woken_for
        if wait is not None:
            self._waiting.check_room(wait, now)
        names = None if entities is None else (*entities, None)
        ready = self._chosen(limit + _LOOK_AHEAD, names, woken_for) if limit else []
        ready = [message for message in ready if message.hidden is UNSET]
        free = [message for message in ready if message.id in woken_for or self._offers.get(message.id, 0) <= now]
        chosen = (free or ready)[:limit]
        self._leave(chosen, now)
        if wait is not None:
            self._pass_on(woken_for, {message.bot_params.entity for message in chosen})
            if chosen:
                self._waiting.remove(wait.ticket)
            else:
                self._waiting.add(wait, entities, now)
        return [self._offer(message, entities, also) for message in chosen]

    @durable_objects.read
    def offered(self, message_id: str, entities: tuple[str, ...] | None, also: tuple[str, ...]) -> Offer:
        """The same for one message in any state; raises ``UnknownMessage``, or ``WrongState`` when it is hidden."""
        message = self._known(message_id)
        lease.check_visible(message)
        return self._offer(message, entities, also)

    def claim(
        self,
        message_id: str,
        worker_id: str,  # noqa: ARG002 - the base class's
        *,
        entities: tuple[str, ...] | None = None,  # noqa: ARG002 - the base class's
        also: tuple[str, ...] = (),  # noqa: ARG002 - the base class's
        context: int = 0,  # noqa: ARG002 - the base class's
        unfenced: bool = False,  # noqa: ARG002 - the base class's
    ) -> ClaimResponse:
        """Always refused: only work queues hold messages. Raises ``UnknownMessage`` or ``WrongState``."""
        lease.check_claimable(self._known(message_id), self._now(), self._config)
        raise WrongState("the message has just become pending; claim it again")

    def show_progress(self, message_id: str, attempt: int, text: str, state: ProgressState) -> None:
        """Signal what a holder does, whose lease its work queue has checked; not of a hidden message."""
        message = self._index.get_unfinished(message_id)
        if message is not None and message.hidden is not UNSET:
            return
        self.ctx.signal(events.progress(message_id, attempt, text, state))

    def _leave(self, messages: list[Message], now: int) -> None:
        """Leave these to the claim that gets them now, so that those that come at the same time do not meet at one."""
        while self._offers and next(iter(self._offers.values())) <= now:
            self._offers.popitem(last=False)
        for message in messages:
            self._offers[message.id] = now + _OFFER_MS
            self._offers.move_to_end(message.id)

    def _offer(self, message: Message, entities: tuple[str, ...] | None, also: tuple[str, ...]) -> Offer:
        params = message.bot_params
        partner = None
        if params.entity is None and entities and params.assigned_entity not in {*entities, *also}:
            partner = self._last_partner(message, (*entities, *also)) or self._index.longest_ago(entities)
        return Offer(message.id, params.entity, partner)

    # -- Operators

    @durable_objects.read
    def choose(self, request: BatchRequest) -> tuple[list[Offer], bool]:
        """The messages that a batch changes, and whether there are more; raises as ``MessageQueue.batch``."""
        chosen, more = batch.choose(self._index, request)
        return [Offer(message.id, message.bot_params.entity, None) for message in chosen], more

    def _ended(self, message: Message, now: int) -> Message:  # noqa: ARG002 - the base class's
        """Its work queue ends it, unless that has just had its answer."""
        if is_unfinished(message):
            for queue in queues_of(message.bot_params.entity, self._config.entities):
                self.ctx.send(ObjectId("WorkQueue", queue), WorkQueue.withdraw, message.id)
        return message

    def _changed(self, message: Message) -> ModerationResponse:
        with self._no_new_work():
            return super()._changed(message)

    # -- Changes

    @contextmanager
    def _no_new_work(self) -> Iterator[None]:
        self._is_no_new_work = True
        try:
            yield
        finally:
            self._is_no_new_work = False

    def alarm(self) -> None:
        """Deadlines are the work queues'."""

    def _set_alarm(self) -> None:
        """Deadlines are the work queues'."""

    def _announce(self, message: Message, encoded: bytes, *, publish: bool) -> None:
        super()._announce(message, encoded, publish=publish)
        if message.bot_params.status == "pending" and not self._is_no_new_work:
            queue = queues_of(message.bot_params.entity, self._config.entities)[0]
            self.ctx.send(ObjectId("WorkQueue", queue), WorkQueue.enqueue, work_of(message))


def queues_of(entity: str | None, served: Iterable[str]) -> tuple[str, ...]:
    """The work queue of an entity's messages, and one more that may have earlier ones if it was or was not served then."""
    if entity is None:
        return (ANYONE,)
    own = ANYONE + entity
    return (own, ANYONE) if entity in served else (ANYONE, own)
