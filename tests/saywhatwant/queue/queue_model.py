"""What a queue has promised so far, learnt only from its answers and from what is durable; the judge of its every answer.

Not the queue over again: leases and pauses are taken from answers, and where a late alarm leaves a choice, either is right.
Calls are judged in the order they were made, each by what all calls before it have brought about.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from msgspec import Raw

from durable_objects import Refusal
from saywhatwant.errors import BacklogFull, KeyReused, UnknownMessage
from saywhatwant.message import Message, NewMessage, Status, decode
from saywhatwant.queue.config import QueueConfig
from saywhatwant.schemas import CompleteResponse, ExtendResponse, FailResponse, PostResponse

ResultT = TypeVar("ResultT")

FINISHED = {"complete", "failed"}


class Moment(NamedTuple):
    """When a call ran: its place among all calls, and the clock."""

    number: int
    now: int


class Ticket(NamedTuple):
    """What a bot knows of a claim it made, perhaps long ago."""

    message_id: str
    worker: str
    attempt: int


@dataclass
class Known:
    """What callers know of one message."""

    id: str
    timestamp: int
    new: NewMessage
    state: Status
    attempt: int = 0
    claims: int = 0
    worker: str | None = None
    claimed_at: int = 0
    until: int = 0
    not_before: int | None = None
    number: int = 0
    answer: PostResponse | None = None
    silent: bool = False
    pruned: bool = False
    retried: bool = False
    removal_judged: bool = False
    seq: int = 0

    @property
    def finished(self) -> bool:
        return self.state in FINISHED

    @property
    def urgency(self) -> tuple[int, int]:
        return self.new.priority, self.timestamp


def _happened(outcome: ResultT | Refusal, *, expected: bool | None) -> bool:
    happened = not isinstance(outcome, Refusal)
    assert expected is None or happened == expected, f"expected {expected}, but: {outcome!r}"
    return happened


@dataclass
class Promises:
    """The model. Each ``judge_*`` takes a call, its moment and its outcome, fails on a broken promise, and learns."""

    policy: QueueConfig
    known: dict[str, Known] = field(default_factory=dict)
    keys: dict[str, tuple[NewMessage, PostResponse]] = field(default_factory=dict)
    tickets: list[Ticket] = field(default_factory=list)
    ticks: list[Moment] = field(default_factory=list)
    answers: dict[str, set[str]] = field(default_factory=dict)
    looked: dict[str, Message] = field(default_factory=dict)
    """What was durable when it was last looked at."""

    # -- What may be, by the clock

    def _passed(self, at: int, since: int, until: int) -> bool:
        """Whether the clock reached ``at`` between two calls, so that an alarm may have run."""
        return any(tick.now >= at for tick in self.ticks if since <= tick.number < until)

    def _settled(self, known: Known) -> Status:
        """Where a message goes when its lease ends: no attempt is endless, no answer is lost."""
        if known.answer is not None:
            return "complete"
        return "failed" if known.claims >= self.policy.max_attempts else "pending"

    def _may_have_ended(self, known: Known, moment: Moment) -> bool:
        return known.state == "processing" and (
            known.until <= moment.now or self._passed(known.until, known.number, moment.number)
        )

    def _settle(self, known: Known) -> None:
        known.state, known.not_before = self._settled(known), None

    def _holds(self, known: Known, moment: Moment, worker: str | None, attempt: int | None) -> bool | None:
        if known.state != "processing" or known.until <= moment.now:
            return False
        if attempt not in {None, known.attempt} or worker not in {None, known.worker}:
            return False
        return None if self._may_have_ended(known, moment) else True

    def _claimable(self, known: Known, moment: Moment) -> bool | None:
        if known.state == "pending":
            if known.not_before is None or known.not_before <= moment.now:
                return True
            return None if self._passed(known.not_before, known.number, moment.number) else False
        if not self._may_have_ended(known, moment) or self._settled(known) != "pending":
            return False
        return True if known.until <= moment.now else None

    def _retained(self) -> list[Known]:
        return [known for known in self.known.values() if not known.pruned]

    def _may_be_finished(self, known: Known, moment: Moment) -> bool:
        return known.finished or (self._may_have_ended(known, moment) and self._settled(known) != "pending")

    def _may_be_pruned(self, known: Known, moment: Moment) -> bool:
        """Whether enough others may have been finished at some time; which of them went first is for ``judge_durable``."""
        others = [k for k in self.known.values() if k is not known and (k.retried or self._may_be_finished(k, moment))]
        return known.pruned or (self._may_be_finished(known, moment) and len(others) >= self.policy.retention)

    def _gone(self, known: Known) -> None:
        known.pruned = True
        if not known.finished:
            self._settle(known)

    def _find(self, message_id: str, moment: Moment, outcome: ResultT | Refusal) -> Known | None:
        known = self.known[message_id]
        if isinstance(outcome, UnknownMessage):
            assert self._may_be_pruned(known, moment), "P6: a message vanished that had to stay"
            self._gone(known)
            return None
        assert not known.pruned, "P6: a message beyond the retention is still there"
        return known

    # -- The calls

    def judge_post(self, new: NewMessage, key: str | None, moment: Moment, outcome: PostResponse | Refusal) -> None:
        if key is not None and key in self.keys:
            first, posted = self.keys[key]
            if new == first:
                assert outcome == posted, "P7: a repeated key gives the first answer"
            else:
                assert isinstance(outcome, KeyReused), "P7: a key stands for one message"
            return
        if new.message_type == "AI" and new.reply_to is not None:
            self._judge_answer(new, new.reply_to, moment, outcome)
        else:
            unfinished = [known for known in self._retained() if not known.finished]
            surely = [known for known in unfinished if not self._may_be_finished(known, moment)]
            room = new.message_type == "AI" or len(unfinished) < self.policy.backlog_limit
            full = new.message_type == "human" and len(surely) >= self.policy.backlog_limit
            if not _happened(outcome, expected=True if room else False if full else None):
                assert isinstance(outcome, BacklogFull)
            elif isinstance(outcome, PostResponse):
                self._add(outcome, new)
        if key is not None and isinstance(outcome, PostResponse):
            self.keys[key] = (new, outcome)

    def _judge_answer(self, new: NewMessage, reply_to: str, moment: Moment, outcome: PostResponse | Refusal) -> None:
        known = self._find(reply_to, moment, outcome)
        if known is None:
            return
        holds = self._holds(known, moment, new.worker_id, new.attempt)
        if new.attempt not in {None, known.attempt}:
            assert isinstance(outcome, Refusal), "P3: the reply of an attempt that is over is refused"
        elif known.answer is not None:
            assert outcome == known.answer, "P4: a second answer gets the first one's"
        elif _happened(outcome, expected=known.state == "complete" or holds):
            assert isinstance(outcome, PostResponse)
            self._add(outcome, new)
            known.answer = outcome
        elif holds is None:
            self._settle(known)

    def _add(self, posted: PostResponse, new: NewMessage) -> None:
        assert posted.id not in self.known
        assert posted.timestamp > max((known.timestamp for known in self.known.values()), default=0), "P5: timestamps increase"
        state: Status = "pending" if new.message_type == "human" else "complete"
        self.known[posted.id] = Known(posted.id, posted.timestamp, new, state)

    def judge_claim(self, message_id: str, worker: str, moment: Moment, outcome: Raw | Refusal) -> None:
        known = self._find(message_id, moment, outcome)
        if known is not None and _happened(outcome, expected=self._claimable(known, moment)):
            assert isinstance(outcome, Raw)
            self._take(known, decode(outcome), worker, moment)

    def judge_claim_next(
        self, worker: str, entities: tuple[str, ...] | None, limit: int, moment: Moment, outcome: list[Raw]
    ) -> None:
        taken = [decode(wire) for wire in outcome]
        wanted = [
            known
            for known in sorted(self._retained(), key=lambda known: known.urgency)
            if (entities is None or known.new.entity in {*entities, None}) and self._claimable(known, moment) is not False
        ]
        expected = [k.id for k in wanted if self._claimable(k, moment) or k.id in {message.id for message in taken}][:limit]
        assert [message.id for message in taken] == expected, "the most urgent first, then the oldest, and none passed over"
        for message in taken:
            self._take(self.known[message.id], message, worker, moment)
        for known in self._retained():
            if known.state == "processing" and known.until <= moment.now:
                self._settle(known)

    def _take(self, known: Known, message: Message, worker: str, moment: Moment) -> None:
        params = message.bot_params
        assert (message.id, params.status, params.claimed_by) == (known.id, "processing", worker)
        assert params.attempt == known.attempt + 1, "P3: every claim is an attempt of its own"
        assert params.claimed_at == moment.now
        assert params.lease_expires_at == moment.now + min(self.policy.lease_ms, self.policy.max_hold_ms)
        known.state, known.worker, known.attempt, known.claims = "processing", worker, params.attempt, known.claims + 1
        known.claimed_at, known.until, known.number = moment.now, params.lease_expires_at, moment.number
        self.tickets.append(Ticket(known.id, worker, known.attempt))

    def judge_extend(self, ticket: Ticket, moment: Moment, outcome: ExtendResponse | Refusal) -> None:
        known = self._find(ticket.message_id, moment, outcome)
        if known is None or not self._let(known, ticket.worker, ticket.attempt, moment, outcome):
            return
        assert isinstance(outcome, ExtendResponse)
        longest = known.claimed_at + self.policy.max_hold_ms
        assert outcome.lease_expires_at == min(moment.now + self.policy.lease_ms, longest)
        known.until, known.number = outcome.lease_expires_at, moment.number

    def judge_complete(
        self, ticket: Ticket, reply: NewMessage | None, moment: Moment, outcome: CompleteResponse | Refusal, *, fenced: bool
    ) -> None:
        known = self._find(ticket.message_id, moment, outcome)
        worker, attempt = (ticket.worker, ticket.attempt) if fenced else (None, None)
        if known is None or not self._let(known, worker, attempt, moment, outcome):
            return
        assert isinstance(outcome, CompleteResponse)
        if reply is None:
            known.silent = known.answer is None
        else:
            assert outcome.id is not None
            assert outcome.timestamp is not None
            answer = PostResponse(outcome.id, outcome.timestamp)
            assert known.answer in {None, answer}, "P4: a second answer gets the first one's"
            if known.answer is None:
                self._add(answer, reply)
                known.answer = answer
        known.state = "complete"

    def judge_fail(self, ticket: Ticket, moment: Moment, outcome: FailResponse | Refusal, *, retry: bool) -> None:
        known = self._find(ticket.message_id, moment, outcome)
        if known is None or not self._let(known, ticket.worker, ticket.attempt, moment, outcome):
            return
        assert isinstance(outcome, FailResponse)
        settled = self._settled(known)
        assert outcome.status == ("failed" if settled == "pending" and not retry else settled)
        known.state, known.not_before, known.number = outcome.status, outcome.retry_at, moment.number
        if outcome.status == "pending":
            pause = min(self.policy.backoff_ms * 2 ** (known.claims - 1), self.policy.max_backoff_ms)
            assert known.not_before is not None
            assert pause // 2 <= known.not_before - moment.now <= pause, "the pause doubles"

    def judge_retry(self, message_id: str, moment: Moment, outcome: Refusal | None) -> None:
        known = self._find(message_id, moment, outcome)
        if known is None:
            return
        doubtful = self._may_have_ended(known, moment) and self._settled(known) == "failed"
        if _happened(outcome, expected=None if doubtful else known.state == "failed"):
            known.state, known.claims, known.not_before, known.number = "pending", 0, None, moment.number
            known.retried = True

    def _let(self, known: Known, worker: str | None, attempt: int | None, moment: Moment, outcome: ResultT | Refusal) -> bool:
        """P3: the holder, and no one else."""
        holds = self._holds(known, moment, worker, attempt)
        if _happened(outcome, expected=holds):
            return True
        if holds is None:
            self._settle(known)
        return False

    # -- What is durable

    def judge_durable(self, messages: Sequence[Message], moment: Moment) -> None:
        """P1, P2, P6: what a crash would leave now is what was promised, nothing less and nothing more."""
        present = {message.id: message for message in messages}
        assert set(present) <= set(self.known), "a message is there that nobody was told of"
        for message in messages:
            self._judge_message(self.known[message.id], message, moment)
        for known in self._retained():
            assert known.id in present or self._may_be_pruned(known, moment), "P1, P6: an unfinished message vanished"
            if known.id not in present:
                self._gone(known)
        self._judge_retention(present)
        for question, replies in self.answers.items():
            assert len(replies) == 1, "P4: one answer"
            assert question not in self.known or self.known[question].state != "failed", "P4: never an answer and failed"

    def _judge_retention(self, present: dict[str, Message]) -> None:
        """P6: what finished first goes first; only the newest message of all stays, whenever it finished."""
        finished = [message for message in present.values() if message.bot_params.status in FINISHED]
        assert len(finished) <= self.policy.retention, "P6: the retention is kept to"
        was_newest = max((message.timestamp for message in self.looked.values()), default=0)
        last_seq = max((message.seq for message in self.looked.values()), default=0)
        stayed = [(message.seq, message.timestamp) for message in finished if message.timestamp < was_newest]
        for known in self.known.values():
            if known.pruned and not known.removal_judged:
                known.removal_judged = True
                seen = self.looked.get(known.id)
                # One that was not finished yet has done so since, and what was there before must have gone first.
                ended = (seen.seq, seen.timestamp) if seen and seen.bot_params.status in FINISHED else (last_seq + 1, 0)
                assert all(ended < other for other in stayed), "P6: what finished later was removed sooner"
        self.looked = present

    def _judge_message(self, known: Known, message: Message, moment: Moment) -> None:
        params, new = message.bot_params, known.new
        assert not known.pruned, "P6: what was removed came back"
        assert (message.text, message.username, message.message_type) == (new.text, new.username, new.message_type)
        assert (params.entity, params.priority, message.reply_to) == (new.entity, new.priority, new.reply_to)
        assert message.timestamp == known.timestamp
        assert message.seq >= known.seq, "P2: what was seen was taken back"
        known.seq = message.seq
        if params.status != known.state:
            assert self._may_have_ended(known, moment), f"P1: {known.state} was promised, it is {params.status}"
            assert params.status == self._settled(known)
            self._settle(known)
        assert params.attempt == known.attempt
        assert params.answered_by == (known.answer.id if known.answer else None)
        if params.status == "processing":
            assert (params.claimed_by, params.lease_expires_at) == (known.worker, known.until)
        if params.status == "pending" and params.retry_at != known.not_before:
            assert params.retry_at is None
            assert known.not_before is not None
            assert self._passed(known.not_before, known.number, moment.number), "a pause ended early"
            known.not_before = None
        assert params.status != "failed" or params.error, "P4: failed with the reason on it"
        if message.message_type == "AI" and message.reply_to is not None:
            self.answers.setdefault(message.reply_to, set()).add(message.id)

    def learn(self, messages: Iterable[Message], unheard: Iterable[tuple[NewMessage, str | None]], number: int) -> None:
        """The process died after a commit and before it told anyone: take what changed as it is."""
        posts = {new.text: (new, key) for new, key in unheard}
        present = {message.id: message for message in messages}
        for known in self._retained():
            if known.id not in present:
                known.pruned = True
                if not known.finished:
                    known.state, known.silent = "complete", known.answer is None
        for message in present.values():
            params = message.bot_params
            if message.id not in self.known:
                new, key = posts[message.text]
                posted = PostResponse(message.id, message.timestamp)
                self._add(posted, new)
                if key is not None:
                    self.keys[key] = (new, posted)
            known = self.known[message.id]
            if message.seq == known.seq:
                continue
            known.state, known.attempt, known.claims, known.worker = (
                params.status, params.attempt, params.tries, params.claimed_by,
            )  # fmt: skip
            known.claimed_at, known.until = params.claimed_at or 0, params.lease_expires_at or 0
            known.not_before, known.number = params.retry_at, number
            if params.answered_by is not None and params.answered_at is not None:
                known.answer = PostResponse(params.answered_by, params.answered_at)
            known.silent = known.silent or (params.status == "complete" and known.answer is None)
