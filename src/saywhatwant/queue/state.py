"""The messages of a queue in memory and in storage, and how a change is saved: what ``object`` is built on."""

from collections.abc import Iterable

from msgspec import UNSET, Raw, UnsetType
from msgspec.structs import replace

from durable_objects import Context, DurableObject
from saywhatwant.errors import UnknownMessage
from saywhatwant.limits import MAX_DUE_PER_CALL, MAX_PRUNED_AT_ONCE
from saywhatwant.message import BotParams, Message, NewMessage, Posted, conversation_of, encode, random_id
from saywhatwant.queue import events, lease
from saywhatwant.queue.circuits import Circuits
from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.details import Details
from saywhatwant.queue.index import Index
from saywhatwant.queue.memory import context_key, store_context
from saywhatwant.queue.read_cache import ReadCache
from saywhatwant.queue.stored import key_at
from saywhatwant.queue.waiting import WaitingClaims

NEWEST_KEY = "newest"
"""The key of the timestamp of a message that was discarded while it was the newest."""

EXPIRIES_KEY = "lease-expiries"
"""The key of the number of leases that ran out."""


class QueueState(DurableObject):
    """Messages with their deadlines. Every change goes through ``_save``; everything in memory can be read from storage."""

    def __init__(self, ctx: Context, config: QueueConfig = QueueConfig()) -> None:  # noqa: B008 - a frozen default
        super().__init__(ctx)
        self._config = config
        self._index = Index(config, ctx.storage)
        self._circuits = Circuits(ctx.storage)
        self._details = Details(ctx.storage)
        self._reads = ReadCache()
        self._waiting = WaitingClaims(ctx.storage)
        self._lease_expiries = int(ctx.storage.get(EXPIRIES_KEY) or 0)
        self._clock = ctx.now()
        self._deadlines_too_late = any(lease.clamped(message, self._clock, config) is not message for message in self._index)
        removed = ctx.storage.get(NEWEST_KEY)
        self._index.last_timestamp = max(self._index.last_timestamp, int(removed or 0))
        self._set_alarm()

    # -- Deadlines

    def alarm(self) -> None:
        """End the leases, backoffs and waits that are due, by the messages' own deadlines."""
        now = self._now()
        self._wake(*self._expire_due(now))
        if self._deadlines_too_late:
            self._clamp_deadlines(now)
        self._waiting.drop_expired(now)
        self._set_alarm()

    def _expire_due(self, now: int) -> list[Message]:
        """End what is due; returns those messages, for which no waiting claim has been woken yet."""
        due = self._index.due(now, MAX_DUE_PER_CALL)
        for message in due:
            if message.bot_params.status == "processing":
                self._count_expiry()
            self._save(lease.expire(message, now, self._config), wake=False)
        return due

    def _count_expiry(self) -> None:
        """A lease ran out; counted in the commit that ends it."""
        self._lease_expiries += 1
        self.ctx.storage.put(EXPIRIES_KEY, b"%d" % self._lease_expiries)

    def _now(self) -> int:
        """The time of this call. After a step back of the clock, the alarm is set to check all deadlines."""
        now = self.ctx.now()
        if now > self._clock:
            self._clock = now
        elif now < self._clock - lease.TOLERATED_STEP_MS:
            self._clock = now
            self._deadlines_too_late = True
            self._set_alarm()
        return now

    def _clamp_deadlines(self, now: int) -> None:
        late = [(message, lease.clamped(message, now, self._config)) for message in self._index]
        changed = [clamped for message, clamped in late if clamped is not message]
        for message in changed[:MAX_DUE_PER_CALL]:
            self._save(message)
        self._deadlines_too_late = len(changed) > MAX_DUE_PER_CALL

    def _set_alarm(self) -> None:
        self.ctx.set_alarm(self._clock if self._deadlines_too_late else self._index.deadlines.next)

    # -- Changes

    def _known(self, message_id: str, field: str = "messageId") -> Message:
        message = self._index.get(message_id)
        if message is None:
            raise UnknownMessage(field, message_id)
        return message

    def _add(self, new: NewMessage, now: int) -> Posted:
        message = self._made(new, now)
        if new.context is not None:
            store_context(self.ctx.storage, message, new.context)
        self._save(message)
        return Posted(message.id, message.timestamp)

    def _made(self, new: NewMessage, now: int) -> Message:
        timestamp = max(now, self._index.last_timestamp + 1)
        is_work = new.message_type == "human" and new.answer
        return Message(
            id=new.id or self._new_id(),
            timestamp=timestamp,
            text=new.text,
            username=new.username,
            color=new.color,
            message_type=new.message_type,
            reply_to=new.reply_to,
            seq=self.ctx.seq + 1,
            bot_params=BotParams(
                status="pending" if is_work else "complete",
                priority=new.priority,
                entity=new.entity,
                completed_at=None if is_work else timestamp,
                expires_at=now + self._config.max_wait_ms if is_work else None,
                answer=UNSET if new.answer else False,
                ais=UNSET if new.ais is None else new.ais,
                session_id=UNSET if new.session_id is None else new.session_id,
                has_context=UNSET if new.context is None else True,
            ),
            conversation=self._conversation_of(new),
            color_tail=UNSET if new.color_tail is None else new.color_tail,
            original=UNSET if new.original is None else new.original,
        )

    def _conversation_of(self, new: NewMessage) -> str | UnsetType:
        """A question's talk, if it names its entity; an answer's is that of its question."""
        if new.message_type == "human":
            if new.entity is None:
                return UNSET
            return conversation_of(new.entity, new.username, new.color, new.color_tail, new.session_id)
        question = None if new.reply_to is None else self._index.get(new.reply_to)
        return UNSET if question is None else question.conversation

    def _new_id(self) -> str:
        while (message_id := random_id(self.ctx.random)) in self._index:
            pass
        return message_id

    def _save(self, *messages: Message, publish: bool = True, wake: bool = True) -> bytes:
        """Store, index and publish changed messages of one call; returns the bytes of the last one.

        With ``wake``, a message that has become claimable wakes a waiting claim.
        """
        seq = self.ctx.seq + 1
        saved: list[tuple[int, bytes]] = []
        encoded, finished = b"", 0
        for message in messages:
            params = message.bot_params
            if params.status in {"complete", "failed"}:
                finished += 1
                if params.has_context is not UNSET:
                    self.ctx.storage.delete(context_key(message))
                    message = replace(message, bot_params=replace(params, has_context=UNSET))  # noqa: PLW2901
            if message.seq != seq:
                message = replace(message, seq=seq)  # noqa: PLW2901
            encoded = encode(message)
            saved.append((message.timestamp, encoded))
            old = self._index.put(message, encoded)
            if old is not None and old.bot_params.error is not None:
                self._details.on_change(old, message)
            self._announce(message, encoded, publish=publish)
            if params.status == "pending" and wake and self._waiting and not (old and lease.is_claimable(old)):
                self._wake(message)
        if finished:
            self._prune(finished * MAX_PRUNED_AT_ONCE)
        self._store(saved)
        if finished and self._index.is_archive_due:
            self._index.archive_old()
        self._set_alarm()
        return encoded

    def _store(self, saved: list[tuple[int, bytes]]) -> None:
        """Store changed messages that have not been removed, and beside them which archived ones have."""
        index, put = self._index, self.ctx.storage.put
        archive = index.archive
        for timestamp, encoded in saved:
            if index.is_in_memory(timestamp):
                put(key_at(timestamp), archive.value_of(timestamp, encoded) if archive.noted else encoded)
        if archive.noted and not archive.is_flushed:
            archive.flush()

    def _announce(self, message: Message, encoded: bytes, *, publish: bool) -> None:  # noqa: ARG002 - other objects use it
        """Tell others of a changed message, which is stored and indexed."""
        if publish:
            self.ctx.publish(events.changed(encoded))

    def _wake(self, *messages: Message) -> None:
        """For each of these messages that is claimable, wake the claim for its entity that has waited longest.

        For a message to anyone it is one for the entity that its author talked with last, else the one that has waited longest.
        """
        for known in messages if self._waiting else ():
            message = self._index.get_unfinished(known.id)
            if message is None or not lease.is_claimable(message):
                continue
            params = message.bot_params
            entity = params.entity or params.assigned_entity or self._partner(message)
            woken = self._waiting.take(entity, self._clock, else_any=params.entity is None)
            if woken is not None:
                since, ticket = woken
                self.ctx.publish(events.work(ticket, since, message.id))

    def _partner(self, message: Message) -> str | None:
        """The entity that the author talked with last, of those served here and those that claims wait for."""
        return self._last_partner(message, dict.fromkeys((*self._config.entities, *self._waiting.entities)))

    def _last_partner(self, message: Message, entities: Iterable[str]) -> str | None:
        """The one of ``entities`` that the author of the message talked with last; None if with none of them."""
        names = list(entities)
        last = self._index.last_in_talks([talk_with(message, entity) for entity in names])
        newest = max(last, default=0)
        return names[last.index(newest)] if newest else None

    def _prune(self, limit: int) -> None:
        for _ in range(limit):
            timestamp = self._index.next_to_remove()
            if timestamp is None:
                break
            self._remove(timestamp)

    def _remove(self, timestamp: int) -> None:
        if timestamp == self._index.last_timestamp:
            # Timestamps must continue from it, also after a restart (P5).
            self.ctx.storage.put(NEWEST_KEY, b"%d" % timestamp)
        self.ctx.storage.delete(key_at(timestamp))
        if self._index.remove(timestamp):
            self._details.drop_at(timestamp)

    def _encoded(self, messages: list[Message]) -> list[Raw]:
        return [Raw(self._index.encoded(message.id)) for message in messages]


def talk_with(message: Message, entity: str) -> str:
    """The talk of the message's author with an entity."""
    tail, session = message.color_tail or None, message.bot_params.session_id or None
    return conversation_of(entity, message.username, message.color, tail, session)
