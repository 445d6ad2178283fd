"""The latest attempts that ended without an answer, for operators: a ring in the object's storage.

Nothing is written for an attempt that ends with an answer, since the message says who answered it and when. Two small rows are
written for any other, in the commit that ends it. The ring is bounded by itself, so that no message that is removed
has to know whether there is something to remove with it; nothing is read before it is needed.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from durable_objects import Storage
from saywhatwant.limits import MAX_ENDED_ATTEMPTS
from saywhatwant.message import Message
from saywhatwant.overview import EndedAttempt

PREFIX: Final = "attempt/"
ENDED_KEY: Final = "attempts-ended"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(EndedAttempt).decode


class Attempts:
    """The ring of one object."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._ended: int | None = None

    @property
    def ended(self) -> int:
        """How many attempts have ended without an answer, since the beginning."""
        if self._ended is None:
            self._ended = int(self._storage.get(ENDED_KEY) or 0)
        return self._ended

    def on_change(self, old: Message, new: Message, now: int) -> None:
        """A bot held ``old``; note its attempt if ``new`` shows that it has ended without an answer."""
        before, after = old.bot_params, new.bot_params
        is_held = after.status == "processing"
        if after.status == "complete" or (is_held and after.attempt == before.attempt):
            return
        # A message that was given back counts one try less; it may be held again already.
        was_released = after.tries - is_held < before.tries
        number = self.ended + 1
        ended = EndedAttempt(
            number=number,
            message_id=old.id,
            entity=before.entity or before.assigned_entity or None,
            attempt=before.attempt,
            worker_id=before.claimed_by,
            claimed_at=before.claimed_at,
            ended_at=now,
            reason=None if was_released else after.error,
        )
        self._storage.put(f"{PREFIX}{number % MAX_ENDED_ATTEMPTS:03d}", _encode(ended))
        self._storage.put(ENDED_KEY, b"%d" % number)
        self._ended = number

    def latest(self, limit: int) -> list[EndedAttempt]:
        """Up to ``limit`` of them, the newest first."""
        return sorted(self._all(), key=lambda attempt: -attempt.number)[:limit]

    def of(self, message_id: str) -> list[EndedAttempt]:
        """Those at one message, oldest first."""
        return sorted((one for one in self._all() if one.message_id == message_id), key=lambda attempt: attempt.number)

    def _all(self) -> Iterator[EndedAttempt]:
        return (_decode(value) for _, value in self._storage.list(PREFIX))


def attempts_in(entries: Mapping[str, bytes]) -> tuple[int, list[EndedAttempt]]:
    """How many attempts have ended at an object that stores this, and those in its ring, oldest first."""
    ring = [_decode(value) for key, value in entries.items() if key.startswith(PREFIX)]
    return int(entries.get(ENDED_KEY, 0)), sorted(ring, key=lambda attempt: attempt.number)


def attempt_entries(ended: int, attempts: Sequence[EndedAttempt]) -> dict[str, bytes]:
    """What an object stores at which this many have ended, these the last ones, oldest first."""
    if not ended:
        return {}
    ring = attempts[-MAX_ENDED_ATTEMPTS:]
    numbered = [replace(attempt, number=ended - len(ring) + place) for place, attempt in enumerate(ring, 1)]
    entries = {f"{PREFIX}{attempt.number % MAX_ENDED_ATTEMPTS:03d}": _encode(attempt) for attempt in numbered}
    return entries | {ENDED_KEY: b"%d" % ended}
