"""What became of questions, counted since the beginning: answers, how long they took, and failures.

The counts are exact in memory. They are stored with each failure, and with an answer now and then, so that most answers write
no row for them: when the object wakes, it finds the answers since then among the messages. So the counts are stored before
retention removes a message that they lack.
"""

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct, field

from durable_objects import Storage
from saywhatwant.answer_times import bucket_of
from saywhatwant.message import Message
from saywhatwant.queue.config import QueueConfig
from saywhatwant.tally import Outcomes, sum_of

OUTCOMES_KEY = "outcomes"

MOST_FINISHED: Final = 64
"""Messages that finish before the counts are stored; fewer where retention keeps fewer."""


class _Stored(Struct, array_like=True):
    outcomes: Outcomes = field(default_factory=Outcomes)
    answered_at: int = 0
    """The time of the last answer among them; later ones have later times."""

    def count_answer(self, asked_at: int, at: int) -> None:
        total, took = self.outcomes, max(at - asked_at, 0)
        total.answers += 1
        total.answer_ms += took
        total.answer_times[bucket_of(took)] += 1
        self.answered_at = max(self.answered_at, at)


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Stored).decode


class OutcomeCounts:
    """The counts of one queue; leases that ran out are counted elsewhere.

    Args:
        storage: the object's.
        config: says how many messages are kept.
        messages: those in memory when the object wakes.
    """

    def __init__(self, storage: Storage, config: QueueConfig, messages: Iterable[Message]) -> None:
        self._storage = storage
        self._most_finished = max(min(MOST_FINISHED, config.retention), 1)
        stored = storage.get(OUTCOMES_KEY)
        self._counted = _counted(stored, messages)
        self._is_stored = _encode(self._counted) == (stored or _encode(_Stored()))
        self._finished = self._most_finished
        """How many messages have finished since the first answer that is not stored, or more."""

    @property
    def total(self) -> Outcomes:
        """What has been counted."""
        return self._counted.outcomes

    def count(self, old: Message, new: Message) -> None:
        """Count a message's answer if it has just got one, or its failure if it has just failed."""
        before, after = old.bot_params, new.bot_params
        if after.answered_at is not None and before.answered_at is None:
            self._counted.count_answer(new.timestamp, after.answered_at)
            if self._is_stored:
                self._is_stored, self._finished = False, 0
        elif after.status == "failed" and before.status != "failed":
            self._counted.outcomes.failures += 1
            self.store()

    def finished(self, count: int) -> None:
        """This many messages have finished, those that were counted included."""
        if not self._is_stored:
            self._finished += count
            if self._finished >= self._most_finished:
                self.store()

    def store(self) -> None:
        """Store the counts."""
        self._storage.put(OUTCOMES_KEY, _encode(self._counted))
        self._is_stored = True


def _counted(stored: bytes | None, messages: Iterable[Message]) -> _Stored:
    """What is stored, and what has ended since among the messages."""
    counted = _Stored() if stored is None else _decode(stored)
    stored_until = counted.answered_at
    for message in messages:
        at = message.bot_params.answered_at
        if at is not None and at > stored_until:
            counted.count_answer(message.timestamp, at)
    return counted


def moved(parts: Iterable[tuple[bytes | None, Iterable[Message]]], until: int) -> tuple[bytes, bytes]:
    """The counts of queues whose messages move into others: what is stored in one of those, and in each of the rest.

    Args:
        parts: what each queue has stored of its counts, and its messages.
        until: the newest timestamp of all messages.
    """
    total = Outcomes()
    for stored, messages in parts:
        total = sum_of(total, _counted(stored, messages).outcomes)
    return _encode(_Stored(total, until)), _encode(_Stored(answered_at=until))
