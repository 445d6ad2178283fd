"""MessageQueue: the wall and the bots' work queue in one durable object.

A message is a small state machine, and each arrow below is one method:

    post ──► pending ──claim──► processing ──complete──► complete
                ▲                  │    │
                ├──lease runs out──┘    ├──fail, attempts used up──► failed
                ├──fail, after backoff──┘                              │
                └────────────────────────retry─────────────────────────┘

Every change makes a new ``Message`` and goes through ``_save``: stored, indexed, published, all in the commit of its call.
Nothing is kept in memory that could not be read again, so an object rebuilt from storage is the same as the one that was lost.
"""

from collections import Counter
from collections.abc import Iterator
from functools import partial

from msgspec import Raw
from msgspec.structs import replace

from durable_objects import Context, DurableObject, Storage
from saywhatwant.errors import BacklogFull, NotTheHolder, UnknownMessage, WrongState
from saywhatwant.limits import MAX_DUE_PER_CALL, MAX_ERROR, MAX_PRUNED_AT_ONCE, MAX_STATS_ENTITIES, MAX_USERNAME
from saywhatwant.message import BotParams, Message, NewMessage, Status, decode, encode, random_id
from saywhatwant.queue import events
from saywhatwant.queue.circuits import Circuits
from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.index import Index
from saywhatwant.queue.keys import IdempotencyKeys
from saywhatwant.queue.read_cache import Changes, Page, ReadCache, page_of
from saywhatwant.schemas import (
    CircuitReport,
    CompleteResponse,
    Depth,
    ExtendResponse,
    FailResponse,
    PostResponse,
    Reply,
    Stats,
)


def _stored(storage: Storage) -> Iterator[tuple[Message, bytes]]:
    after = ""
    while entries := storage.list("message/", after=after):
        for after, wire in entries:
            try:
                message = decode(wire)
            except ValueError as error:
                raise ValueError(f"what is stored under {after} is no message: {error}") from error
            yield message, wire


def _key(message: Message) -> str:
    return f"message/{message.timestamp:015d}"


def _depth(counts: Counter[Status]) -> Depth:
    return Depth(counts["pending"], counts["processing"], counts["complete"], counts["failed"])


def _answer_to(message: Message) -> PostResponse | None:
    params = message.bot_params
    if params.answered_by is None or params.answered_at is None:
        return None
    return PostResponse(params.answered_by, params.answered_at)


def _as_message(reply: Reply, message: Message) -> NewMessage:
    params = message.bot_params
    return NewMessage(
        text=reply.text,
        username=reply.username or (params.entity or "AI")[:MAX_USERNAME],
        color=reply.color,
        message_type="AI",
        reply_to=message.id,
        entity=params.entity,
        priority=params.priority,
    )


class MessageQueue(DurableObject):
    """One wall, or one part of it. Calls raise the refusals of ``saywhatwant.errors`` and change nothing then."""

    def __init__(self, ctx: Context, policy: QueueConfig | None = None) -> None:
        super().__init__(ctx)
        self._policy = policy or QueueConfig()
        self._index = Index()
        self._pages = ReadCache()
        self._keys = IdempotencyKeys(ctx.storage)
        self._circuits = Circuits(ctx.storage)
        for message, wire in sorted(_stored(ctx.storage), key=lambda stored: stored[0].seq):
            self._index.put(message, wire)
        self._set_alarm()

    # -- The wall

    def post(self, new: NewMessage, key: str | None = None) -> PostResponse:
        """Put a message on the wall; human ones become work. With ``key``, a repetition gets the first answer (P7).

        A second AI answer to the same message gets the first one's (P4). Raises ``BacklogFull``, ``KeyReused``; for an AI
        reply ``UnknownMessage``, ``WrongState`` when nobody holds the message, ``NotTheHolder`` when another attempt does.
        """
        now = self.ctx.now()
        if key is not None and (first := self._keys.find(key, new, now)):
            return first
        if new.message_type == "AI" and new.reply_to is not None:
            posted = self._post_answer(new, new.reply_to, now)
        elif new.message_type == "human" and self._index.backlog >= self._policy.backlog_limit:
            raise BacklogFull(f"{self._index.backlog} messages wait for an answer; no more are taken for the moment")
        else:
            posted = self._add(new, now)
        if key is not None:
            self._keys.remember(key, new, posted, now)
        return posted

    def read(self, since: int = 0, limit: int | None = None, *, newest_first: bool = True, before: int | None = None) -> Page:
        """The messages younger than ``since``, older than ``before``; with ``limit`` the first in the order asked for (P5)."""
        if since >= self._index.last_timestamp:
            return page_of(self.ctx.seq, ())
        read = partial(self._index.between, since, before, limit, newest_first=newest_first)
        return self._pages.get((since, before, limit, newest_first), self.ctx.seq, read)

    def changes(self, since: int, limit: int | None = None) -> Changes:
        """The messages as they stand that commits after ``since`` have changed, the last change last; up to about ``limit``.

        A ``since`` beyond the last commit comes from other data: that caller gets everything.
        """
        changed, more = self._index.changed_after(since if since <= self.ctx.seq else 0, limit)
        seq = changed[-1].message.seq if more else self.ctx.seq
        return Changes(seq, [Raw(entry.wire) for entry in changed], more)

    # -- The work

    def pending(self, limit: int, entity: str | None = None) -> list[Raw]:
        """The claimable messages, most urgent first, then oldest; all of them or those to ``entity``."""
        return self._wires(self._index.ready(limit, None if entity is None else [entity]))

    def held(self, limit: int) -> list[Raw]:
        """The messages that bots hold, the lease that ends first in front."""
        return self._wires(self._index.held(limit))

    def waiting(self, limit: int) -> list[Raw]:
        """The messages that back off after a failure, the next one first."""
        return self._wires(self._index.waiting(limit))

    def failed(self, limit: int) -> list[Raw]:
        """The failed messages, newest first."""
        return self._wires(self._index.failed(limit))

    def claim(self, message_id: str, worker_id: str) -> Raw:
        """Hold one message. Raises ``UnknownMessage``, or ``WrongState`` when it is not claimable now."""
        now = self.ctx.now()
        message = self._known(message_id)
        self._check_claimable(message.bot_params, now)
        if message.bot_params.status == "processing":
            self.ctx.publish(events.lease_ended(message.id))
        return Raw(self._hold(message, worker_id, now))

    def claim_next(self, worker_id: str, entities: tuple[str, ...] | None = None, limit: int = 1) -> list[Raw]:
        """Hold the most urgent claimable messages, up to ``limit``: of all entities, or of these and of nobody's."""
        now = self.ctx.now()
        self._end_due(now)
        found = self._index.ready(limit, None if entities is None else (*entities, None))
        return [Raw(self._hold(message, worker_id, now)) for message in found]

    def extend(self, message_id: str, worker_id: str, attempt: int) -> ExtendResponse:
        """A sign of life: the lease begins anew, up to the longest hold. Raises as ``complete``."""
        now = self.ctx.now()
        message = self._held_by(message_id, worker_id, attempt, now)
        end = self._lease_end(message.bot_params.claimed_at, now)
        self._change(message, lease_expires_at=end)
        return ExtendResponse(end)

    def complete(
        self,
        message_id: str,
        worker_id: str | None = None,
        attempt: int | None = None,
        reply: Reply | None = None,
    ) -> CompleteResponse:
        """Finish a message, together with its reply (P4).

        Raises ``UnknownMessage``, ``WrongState`` when it is not processing, ``NotTheHolder`` when this is not its holder.
        """
        now = self.ctx.now()
        message = self._held_by(message_id, worker_id, attempt, now)
        if reply is None:
            self._end(message, "complete", now, error=None)
            return CompleteResponse(success=True)
        answer = _answer_to(message) or self._add(_as_message(reply, message), now)
        self._end(message, "complete", now, error=None, answered_by=answer.id, answered_at=answer.timestamp)
        return CompleteResponse(success=True, id=answer.id, timestamp=answer.timestamp)

    def fail(self, message_id: str, worker_id: str, attempt: int, error: str, *, retry: bool = True) -> FailResponse:
        """Give a message up: back to pending after a backoff, or failed when attempts are used up. Raises as ``complete``."""
        now = self.ctx.now()
        message = self._held_by(message_id, worker_id, attempt, now)
        reason = error.strip()[:MAX_ERROR] or "no reason given"
        retry_at = now + self._backoff(message.bot_params.tries)
        status = self._end_attempt(message, reason, now, retry=retry, retry_at=retry_at)
        return FailResponse(status, retry_at if status == "pending" else None)

    def progress(self, message_id: str, worker_id: str, attempt: int, text: str) -> None:
        """Show subscribers the reply as far as it is written; stores nothing. Raises as ``complete``."""
        self._held_by(message_id, worker_id, attempt, self.ctx.now())
        self.ctx.publish(events.progress(message_id, attempt, text))

    def retry(self, message_id: str) -> None:
        """An operator gives a failed message all its attempts again. Raises ``UnknownMessage``, ``WrongState``."""
        message = self._known(message_id)
        if message.bot_params.status != "failed":
            raise WrongState(f"the message is {message.bot_params.status}, not failed")
        self._change(
            message,
            status="pending",
            tries=0,
            claimed_by=None,
            claimed_at=None,
            completed_at=None,
            error=None,
        )

    def report_circuit(self, report: CircuitReport) -> None:
        """A bot tells that it leaves a provider alone, for people to see."""
        self._circuits.report(report, self.ctx.now())

    def stats(self, entities: tuple[str, ...] = ()) -> Stats:
        """Figures, without a search; of ``entities`` first, or else of those that the settings name."""
        depths = self._index.depths(MAX_STATS_ENTITIES, entities or self._policy.entities)
        return Stats(
            seq=self.ctx.seq,
            messages=len(self._index),
            backlog=self._index.backlog,
            backlog_limit=self._policy.backlog_limit,
            retention=self._policy.retention,
            backing_off=self._index.backing_off,
            depth=_depth(self._index.total),
            entities={entity: _depth(of_entity) for entity, of_entity in depths.items()},
            circuits=self._circuits.open(self.ctx.now()),
        )

    def alarm(self) -> None:
        """End the leases and backoffs that are due. The alarm is a hint; the table of deadlines is the record."""
        self._end_due(self.ctx.now())
        self._set_alarm()

    # -- What the calls are made of

    def _known(self, message_id: str, field: str = "messageId") -> Message:
        message = self._index.get(message_id)
        if message is None:
            raise UnknownMessage(field, message_id)
        return message

    def _check_claimable(self, params: BotParams, now: int) -> None:
        if params.status in {"complete", "failed"}:
            raise WrongState(f"the message is {params.status}, not pending")
        if params.retry_at is not None and params.retry_at > now:
            raise WrongState(f"the message backs off after a failure until {params.retry_at}")
        if params.lease_expires_at is not None:
            if params.lease_expires_at > now:
                raise WrongState(f"the message is processing: {params.claimed_by!r} holds it until {params.lease_expires_at}")
            # Its lease has ended, only the alarm is late: it is claimable unless that end finishes it.
            if params.answered_by is not None or params.tries >= self._policy.max_attempts:
                raise WrongState("the message's last attempt has ended; it is about to be finished")

    def _held_by(self, message_id: str, worker_id: str | None, attempt: int | None, now: int) -> Message:
        message = self._known(message_id)
        params = message.bot_params
        if attempt is not None and attempt != params.attempt:
            raise NotTheHolder(f"attempt {attempt} is over: the message is at attempt {params.attempt}")
        if params.status != "processing" or params.lease_expires_at is None:
            raise WrongState(f"the message is {params.status}, not processing")
        if params.lease_expires_at <= now:
            raise NotTheHolder(f"the lease ran out at {params.lease_expires_at}")
        if worker_id is not None and worker_id != params.claimed_by:
            raise NotTheHolder(f"the message is held by {params.claimed_by!r}, not by {worker_id!r}")
        return message

    def _post_answer(self, new: NewMessage, reply_to: str, now: int) -> PostResponse:
        message = self._known(reply_to, "replyTo")
        params = message.bot_params
        if new.attempt is not None and new.attempt != params.attempt:
            raise NotTheHolder(f"attempt {new.attempt} is over: the message is at attempt {params.attempt}")
        if first := _answer_to(message):
            return first
        if params.status != "complete":
            message = self._held_by(reply_to, new.worker_id, new.attempt, now)
        elif new.worker_id not in {None, params.claimed_by}:
            raise NotTheHolder(f"the message was completed by {params.claimed_by!r}, not by {new.worker_id!r}")
        posted = self._add(new, now)
        self._change(message, answered_by=posted.id, answered_at=posted.timestamp)
        return posted

    def _add(self, new: NewMessage, now: int) -> PostResponse:
        timestamp = max(now, self._index.last_timestamp + 1)
        is_work = new.message_type == "human"
        message = Message(
            id=self._new_id(),
            timestamp=timestamp,
            text=new.text,
            username=new.username,
            color=new.color,
            message_type=new.message_type,
            reply_to=new.reply_to,
            bot_params=BotParams(
                status="pending" if is_work else "complete",
                priority=new.priority,
                entity=new.entity,
                completed_at=None if is_work else timestamp,
            ),
        )
        self._save(message)
        return PostResponse(message.id, timestamp)

    def _new_id(self) -> str:
        while (message_id := random_id(self.ctx.random)) in self._index:
            pass
        return message_id

    def _hold(self, message: Message, worker_id: str, now: int) -> bytes:
        params = message.bot_params
        return self._change(
            message,
            status="processing",
            claimed_by=worker_id,
            claimed_at=now,
            attempt=params.attempt + 1,
            tries=params.tries + 1,
            lease_expires_at=self._lease_end(now, now),
            retry_at=None,
        )

    def _lease_end(self, claimed_at: int | None, now: int) -> int:
        return min(now + self._policy.lease_ms, (claimed_at or now) + self._policy.max_hold_ms)

    def _end_due(self, now: int) -> None:
        for message in self._index.due(now, MAX_DUE_PER_CALL):
            if message.bot_params.status == "pending":
                self._change(message, retry_at=None)
            else:
                self.ctx.publish(events.lease_ended(message.id))
                self._end_attempt(message, f"the lease of {message.bot_params.claimed_by!r} ran out", now)

    def _end_attempt(
        self, message: Message, reason: str, now: int, *, retry: bool = True, retry_at: int | None = None
    ) -> Status:
        """An attempt ended without ``complete``; the message goes where P4 wants it."""
        params = message.bot_params
        if params.answered_by is not None:
            return self._end(message, "complete", now, error=None)
        if not retry or params.tries >= self._policy.max_attempts:
            return self._end(message, "failed", now, error=reason)
        self._change(
            message,
            status="pending",
            claimed_by=None,
            claimed_at=None,
            lease_expires_at=None,
            retry_at=retry_at,
            error=reason,
        )
        return "pending"

    def _backoff(self, tries: int) -> int:
        # Between half and all of a pause that doubles, so that what failed together does not come back together.
        pause = min(self._policy.backoff_ms << min(tries - 1, 30), self._policy.max_backoff_ms)
        return pause // 2 + self.ctx.random.randint(0, pause // 2)

    def _end(self, message: Message, status: Status, now: int, **changes: object) -> Status:
        self._change(message, status=status, completed_at=now, lease_expires_at=None, **changes)
        return status

    def _change(self, message: Message, **changes: object) -> bytes:
        return self._save(replace(message, bot_params=replace(message.bot_params, **changes)))

    def _save(self, message: Message) -> bytes:
        message = replace(message, seq=self.ctx.seq + 1)
        wire = encode(message)
        self.ctx.storage.put(_key(message), wire)
        self._index.put(message, wire)
        self.ctx.publish(events.changed(wire))
        if message.bot_params.status in {"complete", "failed"}:
            self._prune()
        self._set_alarm()
        return wire

    def _prune(self) -> None:
        for message in self._index.first_finished(self._policy.retention, MAX_PRUNED_AT_ONCE):
            self.ctx.storage.delete(_key(message))
            self._index.remove(message)

    def _set_alarm(self) -> None:
        self.ctx.set_alarm(self._index.next_deadline)

    def _wires(self, messages: list[Message]) -> list[Raw]:
        return [Raw(self._index.wire(message.id)) for message in messages]
