"""What callers know of each message, and in which states it may be: alarms may be late, and clocks step.

After the clock has stepped back by more than is tolerated, the queue moves deadlines; those of the messages there are then
unknown.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec import UNSET, UnsetType

from saywhatwant.message import NewMessage, Posted, Status
from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.lease import LATE_MS

FINISHED = {"complete", "failed"}


def short_config(max_attempts: int, retention: int, talk_retention: int) -> QueueConfig:
    """Short times, and room for few messages."""
    return QueueConfig(
        lease_ms=1_000,
        max_hold_ms=2_500,
        max_attempts=max_attempts,
        backoff_ms=400,
        max_backoff_ms=1_000,
        max_wait_ms=20_000,
        aging_ms=1_000,
        retention=retention,
        talk_retention=talk_retention,
        talk_ms=10_000,
        max_kept=10,
        backlog_limit=8,
        entities=("fear",),
    )


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
    number: int
    expires: int
    """When it fails if nobody claims it; the earliest time, where the time is not known."""
    attempt: int = 0
    claims: int = 0
    worker: str | None = None
    claimed_at: int = 0
    until: int = 0
    not_before: int | None = None
    answer: Posted | None = None
    error: str | None = None
    silent: bool = False
    """Whether its holder completed it without a reply."""
    maybe_released: bool = False
    """Whether it was released when its lease may have run out already."""
    pruned: bool = False
    retried: bool = False
    removal_judged: bool = False
    seq: int = 0
    conversation: str | UnsetType = UNSET

    @property
    def finished(self) -> bool:
        return self.state in FINISHED


@dataclass
class States:
    """All messages, and what the clock has done."""

    config: QueueConfig
    known: dict[str, Known] = field(default_factory=dict)
    ticks: list[Moment] = field(default_factory=list)
    steps_back: list[int] = field(default_factory=list)
    """After which calls the clock stepped back so far that deadlines move."""

    def _over(self, at: int, known: Known, moment: Moment) -> bool:
        """Whether a deadline had passed when the call ran, or the clock had reached it before: an alarm may have run."""
        return at <= moment.now or self._unclear(known) or self._passed(at, known.number, moment.number)

    def _passed(self, at: int, since: int, until: int) -> bool:
        return any(tick.now >= at for tick in self.ticks if since <= tick.number < until)

    def _unclear(self, known: Known) -> bool:
        """Whether its deadlines may have been moved since they were set."""
        return any(number >= known.number for number in self.steps_back)

    def _settled(self, known: Known) -> Status:
        """Where a message goes when its lease ends: no attempt is endless, no answer is lost."""
        if known.answer is not None:
            return "complete"
        return "failed" if known.claims >= self.config.max_attempts else "pending"

    def _may_be(self, known: Known, moment: Moment) -> set[Status]:
        """The states in which the message may be when the call runs."""
        states: set[Status] = {known.state}
        expires = known.expires
        if known.state == "processing" and self._over(known.until, known, moment):
            states.add(self._settled(known))
            expires = known.until + self.config.max_wait_ms
        if known.maybe_released:
            states.add("pending" if known.answer is None else "complete")
            expires = min(expires, known.expires)
        if "pending" in states and self._over(expires, known, moment):
            states.add("failed")
        return states

    def _settle(self, known: Known, state: Status) -> None:
        if known.state == "processing":
            known.error = None if state == "complete" else f"the lease of {known.worker!r} ran out"
            known.expires = known.until + self.config.max_wait_ms
        if state == "failed" and self._settled(known) == "pending":
            known.error = "nobody answered"
        known.state, known.not_before = state, None

    def _holds(self, known: Known, moment: Moment, worker: str | None, attempt: int | None) -> bool | None:
        """P3: whether this is the holder; None where its lease may have ended."""
        if attempt is None and known.attempt > 1:
            return False
        if known.state != "processing" or attempt not in {None, known.attempt} or worker not in {None, known.worker}:
            return False
        if known.until <= moment.now and not self._unclear(known):
            return False
        return True if self._may_be(known, moment) == {"processing"} else None

    def _claimable(self, known: Known, moment: Moment, *, next_one: bool) -> bool | None:
        states = self._may_be(known, moment)
        if "pending" not in states:
            return False
        if self._unclear(known):
            return None
        if known.state == "processing":
            return True if known.until <= moment.now and "failed" not in states else None
        if known.not_before is not None and known.not_before > moment.now:
            return None if self._passed(known.not_before, known.number, moment.number) else False
        if "failed" in states:
            late = next_one and known.not_before is None and 0 <= moment.now - known.expires <= LATE_MS
            return False if late else None
        return True

    def _retained(self) -> list[Known]:
        return [known for known in self.known.values() if not known.pruned]

    def _may_be_finished(self, known: Known, moment: Moment) -> bool:
        return bool(self._may_be(known, moment) & FINISHED)

    def _may_be_pruned(self, known: Known, moment: Moment) -> bool:
        """Whether enough others may have been finished at some time; which of them went first is for ``judge_durable``."""
        others = [k for k in self.known.values() if k is not known and (k.retried or self._may_be_finished(k, moment))]
        newest = min(self.config.retention, self.config.max_kept)
        return known.pruned or (self._may_be_finished(known, moment) and len(others) >= newest)

    def _has_room(self, new: NewMessage, moment: Moment) -> bool | None:
        """P6: a group may have as much unfinished work as there is room left."""
        if new.message_type == "AI" or not new.answer:
            return True
        most = [known for known in self._retained() if not known.finished]
        least = [known for known in most if not self._may_be_finished(known, moment)]
        if self._share(new, most) < self.config.backlog_limit - len(most):
            return True
        return False if self._share(new, least) >= self.config.backlog_limit - len(least) else None

    def _share(self, new: NewMessage, unfinished: list[Known]) -> int:
        return sum(self._group(known.new.entity) == self._group(new.entity) for known in unfinished)

    def _group(self, entity: str | None) -> str | None:
        return entity if entity is None or entity in self.config.entities else "others"
