"""Idempotency keys: a call repeated with its key gets the first answer, for at least a day.

See the IETF draft "The Idempotency-Key HTTP Header Field". Keys are rows in the object's storage, not in memory, so that they
cost a waking object nothing: one row by key with its answer, one by number with its age. Numbers have no gaps; the lowest is
the oldest.

Ages are counted by a separate clock, which advances at most an hour each time it is read, so that a clock that steps forward
forgets no key early. If nothing happens for hours, keys are remembered for longer.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

import msgspec
from msgspec import Struct

from durable_objects.contract import Storage
from durable_objects.errors import KeyReused, KeysFull, LimitExceeded
from durable_objects.limits import (
    KEY_SECONDS,
    MAX_FINGERPRINT_BYTES,
    MAX_IDEMPOTENCY_KEY_CHARS,
    MAX_IDEMPOTENCY_KEYS,
    MAX_KEY_CLOCK_SECONDS,
    MAX_KEYS_FORGOTTEN,
)
from durable_objects.storage import RUNTIME_PREFIX, utf8_length

_ANSWERS = f"{RUNTIME_PREFIX}keys/answer/"
_AGES = f"{RUNTIME_PREFIX}keys/age/"
_CLOCK = f"{RUNTIME_PREFIX}keys/clock"
_KEEP_MS = KEY_SECONDS * 1_000
_MAX_GAIN_MS = MAX_KEY_CLOCK_SECONDS * 1_000
_STORE_CLOCK_MS = 10 * 60 * 1_000


def check_key(key: str, fingerprint: bytes | None) -> None:
    """Check a key and a fingerprint; raises ``LimitExceeded``, or ``TypeError`` for a key or a fingerprint of another type."""
    if not isinstance(key, str):
        raise TypeError(f"an idempotency key is {type(key).__name__}, not str")
    if not 1 <= len(key) <= MAX_IDEMPOTENCY_KEY_CHARS:
        raise LimitExceeded(f"an idempotency key has {len(key)} characters; 1 to {MAX_IDEMPOTENCY_KEY_CHARS} are allowed")
    if not key.isascii():
        utf8_length(key)
    if fingerprint is not None:
        if not isinstance(fingerprint, bytes):
            raise TypeError(f"a fingerprint is {type(fingerprint).__name__}, not bytes")
        if len(fingerprint) > MAX_FINGERPRINT_BYTES:
            raise LimitExceeded(f"a fingerprint has {len(fingerprint)} bytes; at most {MAX_FINGERPRINT_BYTES} are allowed")


def fingerprint_of(method: str, arguments: bytes) -> bytes:
    """The fingerprint of a call that names none."""
    return blake2b(b"%b\x00%b" % (method.encode(), arguments), digest_size=12).digest()


class _Answer(Struct, frozen=True, array_like=True):
    """The row of a key: the first answer, the number and the age of the key, and what its calls have in common."""

    result: bytes
    at: int
    number: int
    fingerprint: bytes


class _Age(Struct, frozen=True, array_like=True):
    """The row of a number: its key, and when that was used first."""

    key: str
    at: int
    clock: int
    """The object's clock at that time; ``at`` is by the keys' clock."""


class _Clock(Struct, frozen=True, array_like=True):
    """The keys' clock, as of a time of the object's."""

    at: int
    clock: int


_encode = msgspec.msgpack.Encoder().encode
_decode_answer = msgspec.msgpack.Decoder(_Answer).decode
_decode_age = msgspec.msgpack.Decoder(_Age).decode
_decode_clock = msgspec.msgpack.Decoder(_Clock).decode


class IdempotencyKeys:
    """The answers to one object's keyed calls, up to ``max_keys`` of them, in the runtime's rows of its storage."""

    def __init__(self, rows: Storage, max_keys: int = MAX_IDEMPOTENCY_KEYS) -> None:
        self._rows = rows
        self._max_keys = max_keys
        self._loaded = False
        self._oldest = self._next = 0
        self._oldest_at = self._at = self._clock = 0
        self.stored_clock = 0
        """The object's clock when the keys' was stored last."""

    def find(self, key: str, fingerprint: bytes, now: int) -> bytes | None:
        """The first answer to this key; None if the key is new.

        Raises ``KeyReused`` when the key belongs to calls with another fingerprint, ``KeysFull`` when it is new and there is no
        room for it.
        """
        if not self._loaded:
            self._load(now)
        at = self._at if now == self._clock else self._advance(now)
        stored = self._rows.get(_ANSWERS + key)
        if stored is not None:
            answer = _decode_answer(stored)
            if at - answer.at < _KEEP_MS:
                if answer.fingerprint != fingerprint:
                    raise KeyReused("this idempotency key was used for another call; use a new one for each call")
                return answer.result
        if self._next - self._oldest >= self._max_keys and not self._oldest_is_over(at):
            raise KeysFull(
                f"{self._max_keys} idempotency keys are remembered; no new ones are accepted until some are a day old"
            )
        return None

    def remember(self, key: str, fingerprint: bytes, result: bytes) -> None:
        """Store the answer to a key that ``find`` has just not known, in the same commit as the call's changes.

        Raises ``LimitExceeded`` for an answer that is too long for a row.
        """
        number, at, clock = self._next, self._at, self._clock
        if at - self._oldest_at >= _KEEP_MS:
            self._forget_some(at)
        if self._oldest == number:
            self._oldest_at = at
        # The bytes of an ``_Answer`` and an ``_Age``, in less time.
        self._rows.put(_ANSWERS + key, _encode((result, at, number, fingerprint)))
        self._rows.put(_age_key(number), _encode((key, at, clock)))
        self._next = number + 1
        self.stored_clock = clock

    def store_clock(self, now: int) -> None:
        """Advance the keys' clock also without keyed calls; writes at most every ten minutes."""
        if not -_STORE_CLOCK_MS < now - self.stored_clock < _STORE_CLOCK_MS and self._loaded:
            self._rows.put(_CLOCK, _encode(_Clock(self._advance(now), now)))
            self.stored_clock = now

    def _load(self, now: int) -> None:
        self._at, self._clock = now, now
        oldest = self._rows.list(_AGES, limit=1)
        if oldest:
            self._oldest = int(oldest[0][0].removeprefix(_AGES))
            self._next = self._newest() + 1
            newest = self._age(self._next - 1)
            self._oldest_at = _decode_age(oldest[0][1]).at
            stored = self._rows.get(_CLOCK)
            clock = _decode_clock(stored) if stored is not None else _Clock(0, 0)
            self._at, self._clock = max((newest.at, newest.clock), (clock.at, clock.clock))
        self.stored_clock = self._clock
        self._loaded = True

    def _newest(self) -> int:
        """The highest number, found by exponential search."""
        known, step = self._oldest, 1
        while self._is_there(known + step):
            known += step
            step *= 2
        while step > 1:
            step //= 2
            if self._is_there(known + step):
                known += step
        return known

    def _is_there(self, number: int) -> bool:
        return self._rows.get(_age_key(number)) is not None

    def _advance(self, now: int) -> int:
        gain = now - self._clock
        if gain > 0:
            self._at += min(gain, _MAX_GAIN_MS)
        self._clock = now
        return self._at

    def _oldest_is_over(self, at: int) -> bool:
        return at - self._oldest_at >= _KEEP_MS and self._oldest < self._next

    def _forget_some(self, at: int) -> None:
        for _ in range(MAX_KEYS_FORGOTTEN):
            if self._oldest_is_over(at):
                self._forget_oldest()

    def _forget_oldest(self) -> None:
        age = self._age(self._oldest)
        stored = self._rows.get(_ANSWERS + age.key)
        # A key that was reused after its time has a higher number now.
        if stored is not None and _decode_answer(stored).number == self._oldest:
            self._rows.delete(_ANSWERS + age.key)
        self._rows.delete(_age_key(self._oldest))
        self._oldest += 1
        if self._oldest < self._next:
            self._oldest_at = self._age(self._oldest).at

    def _age(self, number: int) -> _Age:
        stored = self._rows.get(_age_key(number))
        assert stored is not None  # noqa: S101 - numbers have no gaps
        return _decode_age(stored)


def _age_key(number: int) -> str:
    """The row of a number."""
    return _AGES + str(number).zfill(15)


# -- Rows that another table of keys is converted to


def answer_row(key: str, result: bytes, fingerprint: bytes, *, number: int, at: int) -> tuple[str, bytes]:
    """The entry with the first answer to ``key``: of the key with this number, used at ``at`` by the keys' clock."""
    return _ANSWERS + key, _encode(_Answer(result, at, number, fingerprint))


def age_row(key: str, *, number: int, at: int, clock: int) -> tuple[str, bytes]:
    """The entry of a number, for each one from the oldest key's to the newest's. ``clock`` is the object's clock then."""
    return _age_key(number), _encode(_Age(key, at, clock))


def clock_row(at: int, clock: int) -> tuple[str, bytes]:
    """The entry of the keys' clock, as of the time ``clock``."""
    return _CLOCK, _encode(_Clock(at, clock))


class KeptKey(NamedTuple):
    """A key with its first answer, and when it was used first: by the keys' clock, and by the object's."""

    key: str
    result: bytes
    fingerprint: bytes
    at: int
    clock: int


def kept_keys(entries: Mapping[str, bytes]) -> list[KeptKey]:
    """The keys in an object's entries, the oldest first; one that was used again after its time is there once."""
    found: list[KeptKey] = []
    for name in sorted(name for name in entries if name.startswith(_AGES)):
        age = _decode_age(entries[name])
        stored = entries.get(_ANSWERS + age.key)
        if stored is not None and (answer := _decode_answer(stored)).number == int(name.removeprefix(_AGES)):
            found.append(KeptKey(age.key, answer.result, answer.fingerprint, answer.at, age.clock))
    return found


def key_rows(keys: Sequence[KeptKey]) -> dict[str, bytes]:
    """The entries of these keys, for an object that has no others; the oldest is the first."""
    rows: dict[str, bytes] = {}
    for number, key in enumerate(keys):
        rows |= [answer_row(key.key, key.result, key.fingerprint, number=number, at=key.at)]
        rows |= [age_row(key.key, number=number, at=key.at, clock=key.clock)]
    return rows
