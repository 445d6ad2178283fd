"""What a queue has promised so far, learnt only from its answers and from what is durable; it judges every answer.

Not the queue over again: leases and pauses are taken from answers, and where a late alarm leaves a choice, either is right.
Calls are judged in the order they were made, each by what all calls before it have brought about.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from msgspec import UNSET
from msgspec.structs import replace
from queue_states import FINISHED, Known, Moment, States, Ticket

from durable_objects import KeyReused, Refusal
from saywhatwant.errors import AttemptRequired, BacklogFull, UnknownMessage
from saywhatwant.message import Message, NewMessage, Posted, Status, conversation_of, decode
from saywhatwant.schemas import (
    BatchResponse,
    ClaimNextResponse,
    ClaimResponse,
    CompleteResponse,
    ExtendResponse,
    FailResponse,
    Talk,
)

ResultT = TypeVar("ResultT")


def _finish(message: Message) -> tuple[int, int]:
    return message.seq, message.timestamp


def _happened(outcome: ResultT | Refusal, *, expected: bool | None) -> bool:
    happened = not isinstance(outcome, Refusal)
    assert expected is None or happened == expected, f"expected {expected}, but: {outcome!r}"
    return happened


@dataclass
class Promises(States):
    """The model. Each ``judge_*`` takes a call, its moment and its outcome, fails on a broken promise, and learns."""

    keys: dict[str, tuple[NewMessage, Posted]] = field(default_factory=dict)
    tickets: list[Ticket] = field(default_factory=list)
    answers: dict[str, set[str]] = field(default_factory=dict)
    retried: set[str] = field(default_factory=set)
    """What operators have retried since it was last looked at."""
    discarding: set[str] = field(default_factory=set)
    """What operators have tried to discard."""
    looked: dict[str, Message] = field(default_factory=dict)
    """What was durable when it was last looked at."""

    def _find(self, message_id: str, moment: Moment, outcome: ResultT | Refusal) -> Known | None:
        known = self.known[message_id]
        if isinstance(outcome, UnknownMessage):
            assert self._may_be_pruned(known, moment), "P6: a message vanished that had to stay"
            known.pruned = True
            return None
        assert not known.pruned, "P6: a message beyond the retention is still there"
        return known

    # -- The calls

    def judge_post(self, new: NewMessage, key: str | None, moment: Moment, outcome: Posted | Refusal) -> None:
        if key is not None and key in self.keys:
            first, posted = self.keys[key]
            if new == first:
                assert outcome == replace(posted, repeated=True), "P7: a repeated key gives the first answer"
            else:
                assert isinstance(outcome, KeyReused), "P7: a key stands for one message"
            return
        if new.message_type == "AI" and new.reply_to is not None:
            self._judge_answer(new, new.reply_to, moment, outcome)
        elif not _happened(outcome, expected=self._has_room(new, moment)):
            assert isinstance(outcome, BacklogFull)
        elif isinstance(outcome, Posted):
            self._add(outcome, new, moment)
        if key is not None and isinstance(outcome, Posted):
            self.keys[key] = (new, replace(outcome, repeated=False))

    def _judge_answer(self, new: NewMessage, reply_to: str, moment: Moment, outcome: Posted | Refusal) -> None:
        known = self._find(reply_to, moment, outcome)
        if known is None:
            return
        holds = self._holds(known, moment, new.worker_id, new.attempt)
        if new.attempt is None and known.attempt > 1:
            assert isinstance(outcome, AttemptRequired), "P3: a reply that names no attempt is refused after the first"
        elif new.attempt not in {None, known.attempt}:
            assert isinstance(outcome, Refusal), "P3: the reply of an attempt that is over is refused"
        elif known.answer is not None:
            assert outcome == replace(known.answer, repeated=True), "P4: a second answer gets the first one's"
        elif _happened(outcome, expected=known.state == "complete" or holds):
            assert isinstance(outcome, Posted)
            self._add(outcome, new, moment)
            known.answer = outcome

    def _add(self, posted: Posted, new: NewMessage, moment: Moment) -> None:
        assert posted.id not in self.known
        assert posted.timestamp > max((known.timestamp for known in self.known.values()), default=0), "P5: timestamps increase"
        state: Status = "pending" if new.message_type == "human" and new.answer else "complete"
        expires = moment.now + self.config.max_wait_ms
        known = self.known[posted.id] = Known(posted.id, posted.timestamp, new, state, moment.number, expires)
        if new.message_type == "human" and new.entity is not None:
            known.conversation = conversation_of(new.entity, new.username, new.color)
        elif new.message_type == "AI" and new.reply_to is not None:
            known.conversation = self.known[new.reply_to].conversation

    def judge_claim(self, message_id: str, worker: str, moment: Moment, outcome: ClaimResponse | Refusal) -> None:
        known = self._find(message_id, moment, outcome)
        if known is not None and _happened(outcome, expected=self._claimable(known, moment, next_one=False)):
            assert isinstance(outcome, ClaimResponse)
            self._take(known, decode(outcome.message), worker, moment)

    def judge_claim_next(
        self, worker: str, entities: tuple[str, ...] | None, limit: int, moment: Moment, outcome: ClaimNextResponse
    ) -> None:
        taken = [decode(encoded) for encoded in outcome.messages]
        ids = {message.id for message in taken}
        wanted = [known for known in self._retained() if entities is None or known.new.entity in {*entities, None}]
        order = sorted(wanted, key=lambda k: (k.new.priority * self.config.aging_ms + k.timestamp, k.timestamp))
        claimable = [(known, self._claimable(known, moment, next_one=True)) for known in order]
        expected = [k.id for k, may_be in claimable if may_be or (may_be is None and k.id in ids)][:limit]
        assert [message.id for message in taken] == expected, "the most urgent first, then the oldest, and none passed over"
        for message in taken:
            known = self.known[message.id]
            if known.new.entity is None and entities is not None:
                assert message.bot_params.assigned_entity in entities
                talks = {conversation_of(entity, known.new.username, known.new.color) for entity in entities}
                assert message.conversation in talks, "it joins a talk of the person who asked"
                known.conversation = message.conversation
            self._take(known, message, worker, moment)
        if outcome.talks is not UNSET:
            self._judge_talks(taken, outcome.talks)

    def _judge_talks(self, taken: Sequence[Message], talks: Mapping[str, Talk]) -> None:
        for message in taken:
            turns = [decode(encoded) for encoded in talks[message.id].turns]
            assert [turn.timestamp for turn in turns] == sorted({turn.timestamp for turn in turns})
            for turn in turns:
                assert turn.conversation == message.conversation, "no word of another talk"
                asked = self.known[turn.reply_to or ""] if turn.message_type == "AI" else self.known[turn.id]
                assert asked.timestamp < message.timestamp, "no word from after the question, but answers from before"

    def _take(self, known: Known, message: Message, worker: str, moment: Moment) -> None:
        params = message.bot_params
        assert (message.id, params.status, params.claimed_by) == (known.id, "processing", worker)
        assert params.attempt == known.attempt + 1, "P3: every claim is an attempt of its own"
        assert params.claimed_at == moment.now
        assert message.conversation == known.conversation
        assert params.lease_expires_at == moment.now + min(self.config.lease_ms, self.config.max_hold_ms)
        assert params.error in {known.error, f"the lease of {known.worker!r} ran out"}
        known.error = params.error
        if known.maybe_released:
            known.maybe_released, known.claims = False, params.tries - 1
        known.state, known.worker, known.attempt, known.claims = "processing", worker, params.attempt, known.claims + 1
        known.claimed_at, known.until, known.number = moment.now, params.lease_expires_at, moment.number
        self.tickets.append(Ticket(known.id, worker, known.attempt))

    def judge_extend(self, ticket: Ticket, moment: Moment, outcome: ExtendResponse | Refusal) -> None:
        known = self._find(ticket.message_id, moment, outcome)
        if known is None:
            return
        if _happened(outcome, expected=self._holds(known, moment, ticket.worker, ticket.attempt)):
            assert isinstance(outcome, ExtendResponse)
            longest = known.claimed_at + self.config.max_hold_ms
            if not self._unclear(known):
                assert outcome.lease_expires_at == min(moment.now + self.config.lease_ms, longest)
            assert moment.now < outcome.lease_expires_at <= moment.now + self.config.lease_ms
            known.until = outcome.lease_expires_at
            if not self._unclear(known):
                known.number = moment.number

    def judge_complete(
        self, ticket: Ticket, reply: NewMessage | None, moment: Moment, outcome: CompleteResponse | Refusal, *, fenced: bool
    ) -> None:
        known = self._find(ticket.message_id, moment, outcome)
        if known is None:
            return
        worker, attempt = (ticket.worker, ticket.attempt) if fenced else (None, None)
        if not fenced and known.attempt > 1:
            assert isinstance(outcome, AttemptRequired), "P3: a call that names no attempt is refused after the first"
        expected = self._holds(known, moment, worker, attempt)
        if fenced and known.attempt == attempt:
            states = self._may_be(known, moment)
            expected = True if known.state == "complete" else None if "complete" in states else expected
        if not _happened(outcome, expected=expected):
            return
        assert isinstance(outcome, CompleteResponse)
        if reply is not None:
            assert outcome.id is not None
            assert outcome.timestamp is not None
            answer = Posted(outcome.id, outcome.timestamp)
            assert known.answer in {None, answer}, "P4: a second answer gets the first one's"
            if known.answer is None:
                self._add(answer, reply, moment)
                known.answer = answer
        known.state, known.error, known.silent = "complete", None, known.answer is None

    def judge_fail(self, ticket: Ticket, reason: str, moment: Moment, outcome: FailResponse | Refusal, *, retry: bool) -> None:
        known = self._find(ticket.message_id, moment, outcome)
        if known is None:
            return
        states = self._may_be(known, moment)
        is_current = ticket.attempt == known.attempt
        repeated = is_current and (known.state == "complete" or (known.state != "processing" and known.error == reason))
        expected = self._holds(known, moment, ticket.worker, ticket.attempt)
        if is_current and len(states) > 1:
            expected = None
        if not _happened(outcome, expected=True if repeated and len(states) == 1 else expected):
            return
        assert isinstance(outcome, FailResponse)
        if known.state != "processing":
            assert outcome.status in states, "P7: a repeated call gets the first answer"
            return
        settled = self._settled(known)
        assert outcome.status == ("failed" if settled == "pending" and not retry else settled)
        known.state, known.not_before, known.number = outcome.status, outcome.retry_at, moment.number
        known.error = None if outcome.status == "complete" else reason
        if outcome.status == "pending":
            pause = min(self.config.backoff_ms * 2 ** (known.claims - 1), self.config.max_backoff_ms)
            assert known.not_before is not None
            assert pause // 2 <= known.not_before - moment.now <= pause, "the pause doubles"
            known.expires = known.not_before + self.config.max_wait_ms

    def judge_release(self, ticket: Ticket, moment: Moment, outcome: FailResponse | Refusal) -> None:
        known = self._find(ticket.message_id, moment, outcome)
        if known is None:
            return
        is_current = ticket.attempt == known.attempt
        is_unclear = is_current and len(self._may_be(known, moment)) > 1
        over = is_current and known.state in {"pending", "complete"}
        expected = self._holds(known, moment, ticket.worker, ticket.attempt)
        if not _happened(outcome, expected=None if is_unclear else True if over else expected):
            return
        assert isinstance(outcome, FailResponse)
        assert is_current, "P3: an attempt that is over gives nothing back"
        if known.state != "processing":
            assert outcome.status in self._may_be(known, moment), "P7: a repeated call gets the first answer"
        elif is_unclear:
            known.maybe_released = True
        else:
            assert outcome == FailResponse("pending" if known.answer is None else "complete", None)
            self._release(known, moment)

    def _release(self, known: Known, moment: Moment) -> None:
        """A stop is not an attempt."""
        known.maybe_released, known.number = False, moment.number
        if known.answer is not None:
            known.state, known.error = "complete", None
            return
        known.state, known.not_before, known.claims = "pending", None, known.claims - 1
        known.expires = min(known.expires, moment.now + self.config.max_wait_ms)

    def judge_retry(self, message_id: str, moment: Moment, outcome: Refusal | None) -> None:
        known = self._find(message_id, moment, outcome)
        if known is None:
            return
        states = self._may_be(known, moment)
        if _happened(outcome, expected=None if len(states) > 1 and "failed" in states else known.state == "failed"):
            known.state, known.claims, known.not_before, known.number = "pending", 0, None, moment.number
            known.expires, known.error, known.retried = moment.now + self.config.max_wait_ms, None, True
            self.retried.add(known.id)

    def judge_batch(self, action: str, message_id: str, moment: Moment, outcome: BatchResponse | Refusal) -> None:
        """An operator fails or discards one message."""
        known = self._find(message_id, moment, outcome)
        if known is None:
            return
        states = self._may_be(known, moment)
        fitting = states & ({"pending", "processing"} if action == "fail" else {"failed"})
        if not _happened(outcome, expected=None if fitting and fitting != states else bool(fitting)):
            return
        assert isinstance(outcome, BatchResponse)
        assert (outcome.changed, outcome.more) == ([message_id], False)
        if action == "discard":
            # Its timestamp stays taken, which ``_add`` checks.
            known.pruned = known.removal_judged = True
            return
        known.maybe_released, known.number = False, moment.number
        known.state, known.error = ("failed", "ended by an operator") if known.answer is None else ("complete", None)

    # -- What is durable

    def judge_durable(self, messages: Sequence[Message], moment: Moment) -> None:
        """P1, P2, P6: what a crash would leave now is what was promised, nothing less and nothing more."""
        present = {message.id: message for message in messages}
        assert set(present) <= set(self.known), "a message is there that no caller knows of"
        for message in messages:
            self._judge_message(self.known[message.id], message, moment)
        for known in self._retained():
            assert known.id in present or self._may_be_pruned(known, moment), "P1, P6: an unfinished message vanished"
            known.pruned = known.id not in present
        self._judge_retention(present)
        for question, replies in self.answers.items():
            assert len(replies) == 1, "P4: one answer"
            assert question not in self.known or self.known[question].state != "failed", "P4: never an answer and failed"

    def _judge_retention(self, present: dict[str, Message]) -> None:
        """P6: only what neither the wall nor a living talk keeps is removed; only the newest message of all always stays."""
        finished = [message for message in present.values() if message.bot_params.status in FINISHED]
        removed = [known for known in self.known.values() if known.pruned and not known.removal_judged]
        seen_again = {
            seen.id
            for seen in self.looked.values()
            if seen.id in present and seen.bot_params.status in FINISHED and present[seen.id].bot_params.status not in FINISHED
        }
        again = len(seen_again | self.retried)
        wall = min(self.config.retention, self.config.max_kept)
        newest = max((message.timestamp for message in present.values()), default=0)
        assert len(finished) <= self.config.max_kept + 1, "P6: the bound of all is kept to"
        unkept = [message for message in sorted(finished, key=_finish)[:-wall] if message.conversation is UNSET]
        assert len(unkept) <= 1 + again, "P6: the retention is kept to"
        for known in removed:
            known.removal_judged = True
            # One that was not finished when last seen has done so since.
            seen = self.looked.get(known.id)
            ended = _finish(seen) if seen and seen.bot_params.status in FINISHED else (0, 0)
            later = [message for message in finished if _finish(message) > ended]
            assert len(later) + len(removed) + again > wall, "P6: one of the newest was removed"
            if seen is None or seen.conversation is UNSET or len(finished) + len(removed) + again > self.config.max_kept:
                continue
            of_talk = [message for message in later if message.conversation == seen.conversation]
            others = sum(other.conversation == seen.conversation for other in removed)
            is_crowded = len(of_talk) + others + again > self.config.talk_retention
            last = max(m.timestamp for m in self.looked.values() if m.conversation == seen.conversation)
            assert is_crowded or last + self.config.talk_ms <= newest, "P6: a living talk lost a message"
        self.looked = present
        self.retried.clear()

    def _judge_message(self, known: Known, message: Message, moment: Moment) -> None:
        params, new = message.bot_params, known.new
        assert not known.pruned, "P6: what was removed came back"
        assert (message.text, message.username, message.message_type) == (new.text, new.username, new.message_type)
        assert (params.entity, params.priority, message.reply_to) == (new.entity, new.priority, new.reply_to)
        assert message.timestamp == known.timestamp
        assert message.conversation == known.conversation
        assert message.seq >= known.seq, "P2: what was seen was taken back"
        known.seq = message.seq
        if known.maybe_released and params.tries < known.claims:
            self._release(known, moment)
        if params.status != known.state:
            assert params.status in self._may_be(known, moment), f"P1: {known.state} was promised, it is {params.status}"
            self._settle(known, params.status)
        assert (params.attempt, params.tries) == (known.attempt, known.claims)
        assert params.answered_by == (known.answer.id if known.answer else None)
        self._judge_deadlines(known, message, moment)
        assert params.status != "failed" or params.error, "P4: failed with the reason on it"
        if known.error == "nobody answered":
            assert (params.error or "").startswith("nobody answered within "), "P4: failed and says so"
        else:
            assert params.error == known.error
        if message.message_type == "AI" and message.reply_to is not None:
            self.answers.setdefault(message.reply_to, set()).add(message.id)

    def _judge_deadlines(self, known: Known, message: Message, moment: Moment) -> None:
        params = message.bot_params
        if params.status == "processing":
            assert params.claimed_by == known.worker
            assert params.lease_expires_at == known.until or self._unclear(known)
            known.until, known.claimed_at = params.lease_expires_at or 0, params.claimed_at or 0
        if params.status == "pending":
            if params.retry_at != known.not_before and not self._unclear(known):
                assert params.retry_at is None
                assert known.not_before is not None
                assert self._passed(known.not_before, known.number, moment.number), "a pause ended early"
            assert params.expires_at is not None, "P4: nothing waits for ever"
            assert params.expires_at >= known.expires or self._unclear(known), "P4: a wait ended early"
            known.not_before, known.expires = params.retry_at, params.expires_at

    def learn(self, messages: Iterable[Message], unanswered: Iterable[tuple[NewMessage, str | None]], moment: Moment) -> None:
        """The process died after a commit and before it answered anyone: take what changed as it is."""
        posts = {new.text: (new, key) for new, key in unanswered}
        present = {message.id: message for message in messages}
        for known in self._retained():
            known.pruned = known.id not in present
            known.removal_judged = known.pruned and known.id in self.discarding
        for message in present.values():
            params = message.bot_params
            if message.id not in self.known:
                new, key = posts[message.text]
                posted = Posted(message.id, message.timestamp)
                self._add(posted, new, moment)
                if key is not None:
                    self.keys[key] = (new, posted)
            known = self.known[message.id]
            known.conversation = message.conversation
            if message.seq == known.seq:
                continue
            known.state, known.attempt, known.claims, known.worker = (
                params.status, params.attempt, params.tries, params.claimed_by,
            )  # fmt: skip
            known.claimed_at, known.until = params.claimed_at or 0, params.lease_expires_at or 0
            known.not_before, known.expires, known.number = params.retry_at, params.expires_at or 0, moment.number
            known.error = "nobody answered" if (params.error or "").startswith("nobody answered") else params.error
            if params.answered_by is not None and params.answered_at is not None:
                known.answer = Posted(params.answered_by, params.answered_at)
            known.silent = params.status == "complete" and known.answer is None
