"""The messages of a queue in memory and in storage, and how a change is saved: what ``object`` is built on."""

from collections.abc import Iterable
from functools import partial

from msgspec import UNSET, Raw, UnsetType
from msgspec.structs import replace

from durable_objects import Context
from saywhatwant.errors import UnknownMessage
from saywhatwant.limits import MAX_DUE_PER_CALL, MAX_PRUNED_AT_ONCE
from saywhatwant.message import BotParams, Message, NewMessage, Posted, conversation_of, encode, random_id
from saywhatwant.moderation.held import TakesReviewed
from saywhatwant.queue import events, lease, restores
from saywhatwant.queue.attempts import Attempts
from saywhatwant.queue.circuits import Circuits
from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.details import Details
from saywhatwant.queue.hidden import HiddenTexts
from saywhatwant.queue.index import Index
from saywhatwant.queue.memory import context_key, store_context
from saywhatwant.queue.outcomes import OutcomeCounts
from saywhatwant.queue.read_cache import ReadCache
from saywhatwant.queue.standing import StandingBots
from saywhatwant.queue.stored import key_at
from saywhatwant.queue.tickets import Place
from saywhatwant.queue.waiting import WaitingClaims

NEWEST_KEY = "newest"
"""The key of the timestamp of a message that was discarded while it was the newest."""

EXPIRIES_KEY = "lease-expiries"
"""The key of the number of leases that ran out."""


class QueueState(TakesReviewed):
    """Messages with their deadlines. Every change goes through ``_save``; everything in memory can be read from storage."""

    def __init__(self, ctx: Context, config: QueueConfig = QueueConfig()) -> None:  # noqa: B008 - a frozen default
        super().__init__(ctx)
        self._config = config
        self._index = Index(config, ctx.storage)
        self._circuits = Circuits(ctx.storage)
        self._details = Details(ctx.storage)
        self._outcomes = OutcomeCounts(ctx.storage, config, self._index)
        self._hidden = HiddenTexts(ctx.storage)
        self._attempts: Attempts | None = Attempts(ctx.storage)
        """None in objects whose changes another one keeps."""
        self._reads = ReadCache()
        self._gaps = restores.gaps_in(ctx.storage)
        self._waiting = WaitingClaims(ctx.storage)
        self._standing = StandingBots(ctx.storage, self._index)
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
            params = message.bot_params
            if params.status == "processing":
                self._count_expiry()
            if params.socket is not UNSET:
                self._standing.remove(params.socket)  # nobody is there, or it stands again
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
        at = self._clock if self._deadlines_too_late else self._index.deadlines.next
        if at != self.ctx.alarm_at:  # after most calls it stays as it is
            self.ctx.set_alarm(at)

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

        With ``wake``, a message that has become claimable is handed to a bot, or wakes a waiting claim. A bot that gets a hand
        free takes its next message.
        """
        saved: list[tuple[int, bytes]] = []
        freed: list[str] = []
        encoded, finished = b"", 0
        for message in messages:
            if message.bot_params.status in {"complete", "failed"}:
                finished += 1
            encoded = self._put(message, freed, publish=publish, wake=wake)
            saved.append((message.timestamp, encoded))
        if finished:
            self._store_finished(saved, finished)
        elif self._index.archive.noted:
            self._store(saved)
        else:
            for timestamp, encoded in saved:
                self.ctx.storage.put(key_at(timestamp), encoded)
        for socket in freed:
            self._serve(socket)
        self._set_alarm()
        return encoded

    def _put(self, message: Message, freed: list[str], *, publish: bool, wake: bool) -> bytes:
        """Index and publish a changed message; returns its bytes. ``freed`` gets the socket that does not hold it any more."""
        if wake and self._standing.by_socket and message.bot_params.status == "pending" and not self._was_claimable(message):
            message = self._handed_over(message)
        params = message.bot_params
        if params.has_context is not UNSET and params.status in {"complete", "failed"}:
            self.ctx.storage.delete(context_key(message))
            params = replace(params, has_context=UNSET)
            message = replace(message, bot_params=params)
        if message.seq != self.ctx.seq + 1:
            message = replace(message, seq=self.ctx.seq + 1)
        encoded = encode(message)
        old = self._index.put(message, encoded)
        if old is not None:
            self._note_change(old, message)
        if params.socket is not UNSET or (old is not None and old.bot_params.socket is not UNSET):
            socket = self._standing.change(old, message, self._clock)
            if socket is not None:
                freed.append(socket)
        self._announce(message, encoded, publish=publish)
        if params.status == "pending" and wake and self._waiting.by_name and not (old and lease.is_claimable(old)):
            self._wake(message)
        return encoded

    def _note_change(self, old: Message, message: Message) -> None:
        """Keep what operators see of a change: details of failures, outcomes, and attempts that end without an answer."""
        params = message.bot_params
        if old.bot_params.error is not None:
            self._details.on_change(old, message)
        if params.answered_at is not None or params.status == "failed":
            self._count_outcome(old, message)
        if old.bot_params.status == "processing" and params.status != "complete" and self._attempts is not None:
            self._attempts.on_change(old, message, self._clock)

    def _count_outcome(self, old: Message, message: Message) -> None:
        """A message is answered or has failed, in this call or before; counted in the commit of that."""
        self._outcomes.count(old, message)

    def _was_claimable(self, message: Message) -> bool:
        """Whether the message is claimable as it is stored."""
        known = self._index.get_unfinished(message.id)
        return known is not None and lease.is_claimable(known)

    def _store_finished(self, saved: list[tuple[int, bytes]], finished: int) -> None:
        """Store changed messages, of which this many have finished, and make room for them."""
        self._outcomes.finished(finished)
        self._prune(finished * MAX_PRUNED_AT_ONCE)
        self._store(saved)
        if self._index.is_archive_due:
            self._outcomes.store()
            self._index.archive_old()

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
        """Each of these messages that is claimable goes to the first in line for it: a bot gets it, or a claim is woken."""
        for known in messages if self._waiting.by_name or self._standing.by_socket else ():
            message = self._index.get_unfinished(known.id)
            if message is None or not lease.is_claimable(message):
                continue
            is_bot, place = self._first_in_line(message)
            if place is None:
                continue
            since, name = place
            if is_bot:
                self._save(self._held_at(name, message))
            else:
                self._waiting.remove(name)
                self.ctx.publish(events.work(name, since, message.id))

    def _handed_over(self, message: Message) -> Message:
        """A message that becomes claimable, held by the bot that is first in line for it; unchanged if none is."""
        if lease.is_claimable(message):
            is_bot, place = self._first_in_line(message)
            if is_bot and place is not None:
                return self._held_at(place[1], message)
        return message

    def _first_in_line(self, message: Message) -> tuple[bool, Place | None]:
        """The place of the bot or waiting claim that has waited longest for a message, and whether it is a bot's.

        For a message to anyone it is one for the entity that its author talked with last, else the one that has waited longest.
        """
        params, now = message.bot_params, self._clock
        self._waiting.drop_expired(now)
        entity = params.entity or params.assigned_entity or self._partner(message)
        for of_any in (False, True) if params.entity is None else (False,):
            if entity is None and not of_any:
                continue
            bot = self._standing.first(entity, of_any=of_any)
            claim = self._waiting.first(now, entity, of_any=of_any)
            if bot is not None and (claim is None or bot < claim):
                return True, bot
            if claim is not None:
                return False, claim
        return False, None

    def _partner(self, message: Message) -> str | None:
        """The entity that the author talked with last, of those served here and those that claims and bots wait for."""
        waited_for = (*self._config.entities, *self._waiting.entities, *self._standing.entities)
        return self._last_partner(message, dict.fromkeys(waited_for))

    def _last_partner(self, message: Message, entities: Iterable[str]) -> str | None:
        """The one of ``entities`` that the author of the message talked with last; None if with none of them."""
        names = list(entities)
        last = self._index.last_in_talks([talk_with(message, entity) for entity in names])
        newest = max(last, default=0)
        return names[last.index(newest)] if newest else None

    # -- Bots on sockets

    def _held_at(self, socket: str, message: Message) -> Message:
        """The message, held by the bot at this socket, which has a hand free for it."""
        stand = self._standing.get(socket)
        assert stand is not None  # noqa: S101
        skipped = self._skipped(message)
        held = lease.hold(message, stand.worker_id, self._clock, self._config, socket=socket, skipped=skipped)
        return self._assigned(held, self._standing.free(socket), stand.also)

    def _skipped(self, message: Message) -> int:
        """How many numbers of attempts at a message a claim leaves out, since they may have been given before a restore."""
        if not self._gaps:
            return 0
        return max(0, restores.fence(self._gaps, message.timestamp) - message.bot_params.attempt)

    def _serve(self, socket: str) -> None:
        """Give the bot at this socket the most urgent messages that it has hands free for."""
        while (entities := self._standing.free(socket)) != ():
            found = self._index.ready(1, None if entities is None else (*entities, None))
            if not found:
                return
            self._save(self._held_at(socket, found[0]))

    def _end_stands(self, sockets: Iterable[str], *, give_back: bool = False) -> None:
        """The bots at these sockets have left. What they hold is given back, or gets an ordinary lease.

        If they hold more than ``MAX_DUE_PER_CALL``, later calls end the rest.
        """
        end = partial(lease.release if give_back else lease.detach, now=self._clock, config=self._config)
        ended = 0
        for socket in sockets:
            if ended > MAX_DUE_PER_CALL:
                return
            self._standing.remove(socket)
            for message_id in self._standing.held(socket):
                self._save(end(self._known(message_id)), publish=give_back)
                ended += 1

    def _assigned(self, message: Message, entities: tuple[str, ...] | None, also: tuple[str, ...]) -> Message:
        """The message, with an entity assigned if it names none; it keeps one that it was assigned before."""
        params = message.bot_params
        if params.entity is not None or not entities or params.assigned_entity in {*entities, *also}:
            return message
        entity = self._last_partner(message, (*entities, *also)) or self._index.longest_ago(entities)
        return lease.assign(message, entity, talk_with(message, entity))

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
        beside = self._index.remove(timestamp)
        if beside.detail:
            self._details.drop_at(timestamp)
        if beside.hidden:
            self._hidden.drop_at(timestamp)

    def _encoded(self, messages: list[Message]) -> list[Raw]:
        return [Raw(self._index.encoded(message.id)) for message in messages]


def talk_with(message: Message, entity: str) -> str:
    """The talk of the message's author with an entity."""
    tail, session = message.color_tail or None, message.bot_params.session_id or None
    return conversation_of(entity, message.username, message.color, tail, session)
