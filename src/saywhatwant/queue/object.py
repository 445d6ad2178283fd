"""MessageQueue: the wall and the bots' work queue in one durable object.

A message is a small state machine; each arrow is a method here and a function in ``lease``:

    post ──► pending ──claim──► processing ──complete──► complete
               ▲  │                │    │
               │  └─nobody claims──│────┤
               ├──lease runs out───┤    ├──fail, attempts used up──► failed
               ├──release──────────┘    │                              │
               ├──fail, after backoff───┘                              │
               └────────────────────────retry──────────────────────────┘

Every change makes a new ``Message`` and goes through ``_save`` (in ``state``), which stores, indexes and publishes it in the
commit of its call. Everything in memory can be read from storage, so a rebuilt object is the same as the one that was lost.
"""

from collections.abc import Callable
from functools import partial
from itertools import groupby
from operator import itemgetter

from msgspec import UNSET, Raw
from msgspec.structs import replace

import durable_objects
from durable_objects import Replay
from saywhatwant.errors import IdTaken, NotTheHolder, WrongState
from saywhatwant.limits import (
    MAX_ERROR,
    MAX_REPLAYED,
    MAX_SHOWN_ATTEMPTS,
    MAX_STATS_ENTITIES,
    MAX_USERNAME,
)
from saywhatwant.message import Message, NewMessage, Posted, split_color
from saywhatwant.overview import Overview, Story
from saywhatwant.queue import backlog, batch, events, lease, restores
from saywhatwant.queue.figures import figures, tally
from saywhatwant.queue.index import Index
from saywhatwant.queue.moderated import Moderated
from saywhatwant.queue.read_cache import NOTHING, Changes, Page
from saywhatwant.schemas import (
    BatchRequest,
    BatchResponse,
    CircuitReport,
    CompleteResponse,
    ExtendResponse,
    FailResponse,
    ListState,
    ProgressState,
    Reply,
    Stats,
)
from saywhatwant.tally import Outcomes, Tally

_LISTS: dict[ListState, Callable[[Index, int], list[Message]]] = {
    "pending": Index.ready, "waiting": Index.delayed, "held": Index.in_flight, "failed": Index.failed,
}  # fmt: skip


class MessageQueue(Moderated):
    """The wall and its work."""

    # -- The wall

    def post(self, new: NewMessage, elsewhere: int = 0) -> Posted:
        """Post a message; human messages become work, unless they ask for no answer.

        ``elsewhere`` is the unfinished work of other objects of the wall, which counts towards the limit.
        A second AI answer to the same message gets the first one's id (P4). Raises ``BacklogFull``, ``IdTaken``,
        ``RefusedByRule``; for an AI reply ``UnknownMessage``, ``WrongState`` when no bot holds the message, ``NotTheHolder``
        when another attempt does.
        """
        now = self._now()
        if new.id is not None and new.id in self._index:
            raise IdTaken(new.id)
        if new.ruling is not None:
            return self._ruled(new, new.ruling, now)
        if new.message_type == "AI" and new.reply_to is not None:
            return self._post_answer(new, new.reply_to, now)
        if new.message_type == "human" and new.answer:
            backlog.check_room(self._index, self._config, new, elsewhere)
        return self._add(new, now)

    @durable_objects.read
    def read(
        self,
        since: int = 0,
        limit: int | None = None,
        *,
        newest_first: bool = True,
        before: int | None = None,
        conversation: str | None = None,
    ) -> Page:
        """The messages newer than ``since`` and older than ``before``; with ``limit`` the first ones in the order (P5).

        Those of the wall, or of one talk. Up to ``MAX_ANSWER_BYTES``.
        """
        if since >= self._index.last_timestamp:
            return Page(self.ctx.seq, NOTHING)
        read = partial(self._index.between, since, before, limit, newest_first=newest_first, conversation=conversation)
        return self._reads.get((since, before, limit, newest_first, conversation), self.ctx.seq, read)

    @durable_objects.read
    def changes(self, since: int, limit: int | None = None) -> Changes:
        """The current state of the messages changed by commits after ``since``, ordered by their last changes.

        Up to about ``limit`` messages and ``MAX_ANSWER_BYTES``: a commit is never divided. A ``since`` beyond our seq comes
        from another database, and one among the commits that a restore has lost from another time: it gets everything.
        """
        reset = not self._is_known(since)
        changed, more = self._index.changed_after(0 if reset else since, limit)
        return Changes(changed[-1][0] if more else self.ctx.seq, [Raw(encoded) for _, encoded in changed], more, reset)

    @durable_objects.read
    def replay(self, since: int) -> Replay:
        """The messages of ``changes`` as events, for the runtime."""
        changed, more = self._index.changed_after(since if self._is_known(since) else 0, MAX_REPLAYED)
        by_seq = groupby(changed, key=itemgetter(0))
        missed = [(seq, tuple(events.changed(encoded) for _, encoded in found)) for seq, found in by_seq]
        return Replay(missed[-1][0] if more else self.ctx.seq, missed, more)

    # -- Lists of work

    @durable_objects.read
    def pending(self, limit: int, entity: str | None = None) -> list[Raw]:
        """The claimable messages, most urgent first; all of them or those to ``entity``."""
        return self._encoded(self._index.ready(limit, None if entity is None else [entity]))

    @durable_objects.read
    def listing(self, state: ListState, limit: int) -> list[Raw]:
        """The messages in one state, for operators: with the details of their failures.

        Pending ones are ordered by urgency, those that back off (waiting) and those that bots hold (held) by their deadlines;
        of the failed ones the newest is the first.
        """
        found = _LISTS[state](self._index, limit)
        return [self._details.beside(message, self._index.encoded(message.id)) for message in found]

    # -- Work

    def extend(self, message_id: str, worker_id: str, attempt: int) -> ExtendResponse:
        """Heartbeat: the lease restarts, up to the longest hold; not published. Raises like ``complete``."""
        now = self._now()
        message = self._known(message_id)
        lease.check_attempt(message, attempt)
        lease.check_holder(message, worker_id, now)
        extended = lease.extend(message, now, self._config, stands=message.bot_params.socket in self._standing)
        self._save(extended, publish=False)
        return ExtendResponse(extended.bot_params.lease_expires_at or now)

    def complete(
        self,
        message_id: str,
        worker_id: str | None = None,
        attempt: int | None = None,
        reply: Reply | None = None,
    ) -> CompleteResponse:
        """Finish a message, together with its reply (P4). If the same attempt repeats it, it returns the first answer.

        Raises ``UnknownMessage``, ``WrongState`` when it is not processing, ``NotTheHolder`` when this is not its holder.
        """
        now = self._now()
        message = self._known(message_id)
        lease.check_attempt(message, attempt)
        if attempt is None or not lease.has_completed(message, worker_id, attempt):
            lease.check_holder(message, worker_id, now)
            message = lease.complete(message, now)
        elif reply is None or _answer_to(message):
            return _completed(reply, _answer_to(message))
        answer = _answer_to(message)
        if reply is None or answer is not None:
            self._save(message)
        else:
            answer = self._answer(message, _as_message(reply, message), now)
        return _completed(reply, answer)

    def fail(
        self, message_id: str, worker_id: str, attempt: int, error: str, *, retry: bool = True, detail: str = ""
    ) -> FailResponse:
        """Give a message back: pending after a backoff, or failed if attempts are used up. Raises like ``complete``.

        ``error`` is public, ``detail`` is for operators. If the same attempt repeats it, it returns the message's state.
        """
        now = self._now()
        message = self._known(message_id)
        lease.check_attempt(message, attempt)
        reason = error.strip()[:MAX_ERROR] or "no reason given"
        if not lease.has_failed(message, worker_id, reason) and not lease.has_completed(message, worker_id, attempt):
            lease.check_holder(message, worker_id, now)
            pause = lease.backoff_ms(message.bot_params.tries, self._config, self.ctx.random)
            self._details.drop(message)
            message = lease.fail(message, reason, now, self._config, retry=retry, retry_at=now + pause)
            self._save(message)
            self._details.keep(message, detail)
        return _given_back(message)

    def release(self, message_id: str, worker_id: str, attempt: int) -> FailResponse:
        """Give a message back unanswered: pending at once, and the attempt does not count. Raises like ``complete``.

        If the same attempt repeats it, it returns the message's state.
        """
        now = self._now()
        message = self._known(message_id)
        lease.check_attempt(message, attempt)
        if not lease.has_given_back(message, worker_id, attempt):
            lease.check_holder(message, worker_id, now)
            message = lease.release(message, now, self._config)
            self._save(message)
        return _given_back(message)

    def progress(self, message_id: str, worker_id: str, attempt: int, text: str, state: ProgressState = "writing") -> None:
        """Publish what the holder does, with the reply as written so far; stores nothing. Raises like ``complete``."""
        message = self._known(message_id)
        lease.check_attempt(message, attempt)
        lease.check_holder(message, worker_id, self._now())
        self.ctx.signal(events.progress(message_id, attempt, text, state))

    def retry(self, message_id: str, by: str | None = None) -> None:
        """The operator ``by`` gives a failed message all its attempts back. Raises ``UnknownMessage``, ``WrongState``."""
        now = self._now()
        message = self._known(message_id)
        lease.check_visible(message)
        if message.bot_params.status != "failed":
            raise WrongState(f"the message is {message.bot_params.status}, not failed")
        self._save(lease.retry(message, now, self._config))
        self._audit(by, "retry", [message_id])

    def batch(self, request: BatchRequest, by: str | None = None) -> BatchResponse:
        """The operator ``by`` retries, fails or discards some messages; see ``batch.choose`` for which, and what it raises.

        One that a bot holds fails too, and that attempt is over. A discarded message is removed, as retention would do later.
        """
        now = self._now()
        chosen, more = batch.choose(self._index, request)
        for message in chosen:
            match request.action:
                case "retry":
                    self._save(lease.retry(message, now, self._config))
                case "fail":
                    reason = (request.reason or "").strip() or "ended by an operator"
                    self._save(lease.fail(message, reason, now, self._config, retry=False))
                case "discard":
                    self._remove(message.timestamp)
        self._store([])
        changed = [message.id for message in chosen]
        self._audit(by, request.action, changed, request.reason or "")
        return BatchResponse(changed, more)

    # -- Figures

    def report_circuit(self, report: CircuitReport) -> None:
        """Record that a bot does not call a provider for a while, for operators."""
        self._circuits.report(report, self.ctx.now())

    @durable_objects.read
    def stats(self, entities: tuple[str, ...] = ()) -> Stats:
        """The queue's figures; those of ``entities`` first."""
        now = self.ctx.now()
        return figures(
            self._index,
            self._config,
            entities,
            seq=self.ctx.seq,
            waited_for=[entity for entity in entities if self._is_waited_for(entity, now)],
            circuits=self._circuits.open(now),
            outcomes=self._outcomes_so_far(),
        )

    @durable_objects.read
    def tally(self) -> Tally:
        """What has been counted since the beginning, and what waits now."""
        return tally(self._index, self._outcomes_so_far())

    @durable_objects.read
    def overview(self, entities: tuple[str, ...] = ()) -> Overview:
        """What operators look at; see ``stats``."""
        ended = self._attempts
        return Overview(
            stats=self.stats(entities),
            oldest=self._index.oldest(MAX_STATS_ENTITIES),
            ended=0 if ended is None else ended.ended,
            latest=[] if ended is None else ended.latest(MAX_SHOWN_ATTEMPTS),
        )

    @durable_objects.read
    def story(self, message_id: str) -> Story:
        """All that is known of one message, for operators; raises ``UnknownMessage``."""
        message = self._known(message_id)
        answer = message.bot_params.answered_by
        return Story(
            message=self._details.beside(message, self._index.encoded(message.id)),
            attempts=[] if self._attempts is None else self._attempts.of(message_id),
            answer=UNSET if answer is None or answer not in self._index else Raw(self._index.encoded(answer)),
        )

    # -- Helpers

    def _outcomes_so_far(self) -> Outcomes:
        total = self._outcomes.total
        return replace(total, lease_expiries=self._lease_expiries, answer_times=list(total.answer_times))

    def _is_known(self, position: int) -> bool:
        """Whether all commits up to this one are commits of this object."""
        return position <= self.ctx.seq and not restores.is_lost(self._gaps, position)

    def _is_waited_for(self, entity: str, now: int) -> bool:
        return self._waiting.first(now, entity) is not None or self._standing.serves(entity)

    def _post_answer(self, new: NewMessage, reply_to: str, now: int) -> Posted:
        message = self._known(reply_to, "replyTo")
        params = message.bot_params
        lease.check_attempt(message, new.attempt)
        if first := _answer_to(message):
            return replace(first, repeated=True)
        if params.status != "complete":
            lease.check_holder(message, new.worker_id, now)
        elif new.worker_id not in {None, params.claimed_by}:
            raise NotTheHolder(f"the message was completed by {params.claimed_by!r}, not by {new.worker_id!r}")
        return self._answer(message, new, now)

    def _answer(self, message: Message, new: NewMessage, now: int) -> Posted:
        lease.check_visible(message)
        answer = self._made(new, now)
        self._save(lease.answer(message, answer.id, answer.timestamp), answer)
        return Posted(answer.id, answer.timestamp)


def _given_back(message: Message) -> FailResponse:
    return FailResponse(message.bot_params.status, message.bot_params.retry_at)


def _answer_to(message: Message) -> Posted | None:
    params = message.bot_params
    if params.answered_by is None or params.answered_at is None:
        return None
    return Posted(params.answered_by, params.answered_at)


def _completed(reply: Reply | None, answer: Posted | None) -> CompleteResponse:
    if reply is None or answer is None:
        return CompleteResponse(success=True)
    return CompleteResponse(success=True, id=answer.id, timestamp=answer.timestamp)


def _as_message(reply: Reply, message: Message) -> NewMessage:
    params = message.bot_params
    color, tail = split_color(reply.color)
    return NewMessage(
        text=reply.text,
        username=reply.username or (params.entity or params.assigned_entity or "AI")[:MAX_USERNAME],
        color=color,
        color_tail=tail or None,
        message_type="AI",
        reply_to=message.id,
        entity=params.entity,
        priority=params.priority,
    )
