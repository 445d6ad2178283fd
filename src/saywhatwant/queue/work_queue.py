"""WorkQueue: the unfinished messages of one entity. It has the last word on attempts (P3) and answers (P4).

The wall object (``whole_wall``) sends it each message that becomes work. What becomes of it here is sent back, in the commit
that decides it; then a finished message is forgotten, since the wall has it. The messages here lack what only readers need.
"""

from msgspec import UNSET, Raw, Struct
from msgspec.structs import replace

from durable_objects import Context, ObjectId
from saywhatwant.message import BotParams, Message, NewMessage, Posted, encode
from saywhatwant.queue import lease
from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.details import Details
from saywhatwant.queue.hidden import ENDED
from saywhatwant.queue.object import MessageQueue
from saywhatwant.queue.stored import key_at

WALL = ObjectId("Wall", "wall")


class WorkChange(Struct, frozen=True):
    """What has become of a message: its state as work, and its talk, once an entity is assigned."""

    id: str
    params: BotParams
    conversation: str | None = None


def work_of(message: Message) -> Message:
    """The message without what only readers need."""
    params = replace(message.bot_params, has_context=UNSET)
    return replace(message, text="", bot_params=params, original=UNSET)


class WorkQueue(MessageQueue):
    """The work of one entity, or of those that have no object of their own and of messages to anyone."""

    def __init__(self, ctx: Context, config: QueueConfig) -> None:
        super().__init__(ctx, config)
        self._details = _SentDetails(ctx)
        self._attempts = None  # the wall sees each change
        self._reply: NewMessage | None = None
        """The answer that goes with the change that is being saved."""

    def enqueue(self, message: Message) -> None:
        """The wall has new work, or an operator retries a message."""
        message = replace(message, seq=self.ctx.seq + 1)
        encoded = encode(message)
        self._index.put(message, encoded)
        self._store([(message.timestamp, encoded)])
        self._set_alarm()

    def withdraw(self, message_id: str) -> None:
        """An operator has hidden the message, so its work ends. If it ended before, the wall has been notified of that."""
        message = self._index.get_unfinished(message_id)
        if message is not None:
            self._save(lease.fail(message, ENDED, self._now(), self._config, retry=False))

    def _announce(self, message: Message, encoded: bytes, *, publish: bool) -> None:  # noqa: ARG002 - the base class's
        from saywhatwant.queue.whole_wall import WholeWall  # noqa: PLC0415 - each sends to the other

        conversation = None if message.conversation is UNSET else message.conversation
        change = WorkChange(message.id, message.bot_params, conversation)
        reply, self._reply = self._reply, None
        self.ctx.send(WALL, WholeWall.apply, change, reply, publish=publish)
        if message.bot_params.status in {"complete", "failed"}:
            self._remove(message.timestamp)

    def _answer(self, message: Message, new: NewMessage, now: int) -> Posted:
        """The wall gives the answer its timestamp, and another id if this one is taken."""
        answer_id = new.id or self._new_id()
        self._reply = replace(new, id=answer_id)
        self._save(lease.answer(message, answer_id, now))
        return Posted(answer_id, now)

    def _remove(self, timestamp: int) -> None:
        self.ctx.storage.delete(key_at(timestamp))
        self._index.remove(timestamp)

    def _count_expiry(self) -> None:
        from saywhatwant.queue.whole_wall import WholeWall  # noqa: PLC0415 - each sends to the other

        self.ctx.send(WALL, WholeWall.count_expiry)

    def _count_outcome(self, old: Message, message: Message) -> None:
        """The wall counts it."""


class _SentDetails(Details):
    """The details of failures, which the wall keeps for operators."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx.storage)
        self._ctx = ctx

    def keep(self, message: Message, detail: str) -> None:
        """Send the detail to the wall."""
        from saywhatwant.queue.whole_wall import WholeWall  # noqa: PLC0415 - each sends to the other

        if detail.strip():
            self._ctx.send(WALL, WholeWall.keep_detail, message.id, detail)

    def drop(self, message: Message) -> None:
        """The wall drops it with the change."""

    def drop_at(self, timestamp: int) -> None:
        """The wall drops it with the message."""

    def beside(self, message: Message, encoded: bytes) -> Raw:  # noqa: ARG002 - the base class's
        """The encoded message: details are at the wall."""
        return Raw(encoded)
