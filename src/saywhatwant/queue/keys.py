"""Idempotency keys: a repeated post gets the first answer again, for at least a day (P7).

See the IETF draft "The Idempotency-Key HTTP Header Field". Keys are in the object's storage, not in its memory, so that they
cost a waking object nothing: one entry by key with its answer, one by number with its age. Numbers have no gaps; the lowest is
the oldest.

Ages are counted by a separate clock, which advances at most an hour each time it is read, so that a clock that steps forward
forgets no key early. If nothing happens for hours, keys are remembered for longer.
"""

from hashlib import blake2b

import msgspec
from msgspec import Struct

from durable_objects import KeyReused, KeysFull, Storage
from durable_objects.limits import KEY_SECONDS, MAX_KEY_CLOCK_SECONDS, MAX_KEYS_FORGOTTEN
from durable_objects.limits import MAX_IDEMPOTENCY_KEYS as MAX_KEYS
from saywhatwant.message import MessageType, NewMessage, OriginalFields, Posted

_AGES = "keys/age/"
_CLOCK = "keys/clock"
_KEEP_MS = KEY_SECONDS * 1_000
_MAX_GAIN_MS = MAX_KEY_CLOCK_SECONDS * 1_000
_STORE_CLOCK_MS = 10 * 60 * 1_000


class _Answer(Struct, frozen=True, array_like=True):
    message_id: str
    timestamp: int
    at: int
    number: int
    digest: bytes


class _Age(Struct, frozen=True, array_like=True):
    key: str
    at: int
    clock: int
    """The object's clock at that time; ``at`` is by the keys' clock."""


class _Clock(Struct, frozen=True, array_like=True):
    at: int
    clock: int


class _Digested(Struct, frozen=True):
    """The fields that make two posts the same; a separate struct, so that a new field of ``NewMessage`` changes no digest.

    Digests are stored: if these names or their order change, retries across an upgrade are refused.
    """

    text: str
    username: str
    color: str
    message_type: MessageType
    reply_to: str | None
    entity: str | None
    priority: int
    worker_id: str | None
    attempt: int | None


class _DigestedToo(Struct, frozen=True):
    """The fields that posts have had since conversations; digested only if one of them is given."""

    answer: bool
    ais: str | None
    session_id: str | None
    context: tuple[str, ...] | None
    color_tail: str | None
    original: OriginalFields | None


_NOTHING_TOO = (True, None, None, None, None, None)

_encode = msgspec.msgpack.Encoder().encode
_decode_answer = msgspec.msgpack.Decoder(_Answer).decode
_decode_age = msgspec.msgpack.Decoder(_Age).decode
_decode_clock = msgspec.msgpack.Decoder(_Clock).decode
_encode_digested = msgspec.json.Encoder().encode


def digest(new: NewMessage) -> bytes:
    """A digest that is equal for the same message. It ignores the priority, since an entity's default may have changed."""
    digested = _Digested(
        text=new.text,
        username=new.username,
        color=new.color,
        message_type=new.message_type,
        reply_to=new.reply_to,
        entity=new.entity,
        priority=0,
        worker_id=new.worker_id,
        attempt=new.attempt,
    )
    too = (new.answer, new.ais, new.session_id, new.context, new.color_tail, new.original)
    more = b"" if too == _NOTHING_TOO else _encode_digested(_DigestedToo(*too))
    return blake2b(_encode_digested(digested) + more, digest_size=12).digest()


def key_of_id(message_id: str) -> str:
    """The key of a post that names its own id. A header's value never starts with a space, so no other key is equal."""
    return f" {message_id}"


class IdempotencyKeys:
    """The answers to keyed posts, up to ``max_keys`` of them."""

    def __init__(self, storage: Storage, max_keys: int = MAX_KEYS) -> None:
        self._storage = storage
        self._max_keys = max_keys
        self._loaded = False
        self._oldest = self._next = 0
        self._oldest_at = self._at = self._clock = self._stored_clock = 0

    def find(self, key: str, new: NewMessage, now: int) -> Posted | None:
        """The first answer to this key; None if the key is new.

        Raises ``KeyReused`` when the key was used for another message, ``KeysFull`` when it is new and there is no room for it.
        """
        if not self._loaded:
            self._load(now)
        at = self._advance(now)
        stored = self._storage.get(_answer_key(key))
        if stored is not None:
            answer = _decode_answer(stored)
            if at - answer.at < _KEEP_MS:
                if answer.digest != digest(new):
                    what, field = ("Idempotency-Key", None) if new.id is None else ("id", "id")
                    raise KeyReused(f"this {what} was used for another message; use a new one for each message", field=field)
                return Posted(answer.message_id, answer.timestamp, repeated=True)
        if self._next - self._oldest >= self._max_keys and not self._oldest_is_over(at):
            raise KeysFull(
                f"{self._max_keys} Idempotency-Keys are remembered; no new ones are accepted until some are a day old"
            )
        return None

    def remember(self, key: str, new: NewMessage, posted: Posted, now: int) -> None:
        """Store the answer to a key that ``find`` did not know, in the same commit as the message."""
        at = self._advance(now)
        if self._oldest_is_over(at):
            self._forget_some(at)
        if self._oldest == self._next:
            self._oldest_at = at
        self._storage.put(_answer_key(key), _encode(_Answer(posted.id, posted.timestamp, at, self._next, digest(new))))
        self._storage.put(_age_key(self._next), _encode(_Age(key, at, now)))
        self._next += 1
        self._stored_clock = now

    def store_clock(self, now: int) -> None:
        """Advance the keys' clock also without keyed posts; writes at most every ten minutes."""
        if self._loaded and abs(now - self._stored_clock) >= _STORE_CLOCK_MS:
            self._storage.put(_CLOCK, _encode(_Clock(self._advance(now), now)))
            self._stored_clock = now

    def _load(self, now: int) -> None:
        self._loaded = True
        self._at, self._clock = now, now
        oldest = self._storage.list(_AGES, limit=1)
        if oldest:
            self._oldest = int(oldest[0][0].removeprefix(_AGES))
            self._next = self._newest() + 1
            newest = self._age(self._next - 1)
            self._oldest_at = _decode_age(oldest[0][1]).at
            stored = self._storage.get(_CLOCK)
            clock = _decode_clock(stored) if stored is not None else _Clock(0, 0)
            self._at, self._clock = max((newest.at, newest.clock), (clock.at, clock.clock))
        self._stored_clock = self._clock

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
        return self._storage.get(_age_key(number)) is not None

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
        stored = self._storage.get(_answer_key(age.key))
        # A key that was reused after its time has a higher number now.
        if stored is not None and _decode_answer(stored).number == self._oldest:
            self._storage.delete(_answer_key(age.key))
        self._storage.delete(_age_key(self._oldest))
        self._oldest += 1
        if self._oldest < self._next:
            self._oldest_at = self._age(self._oldest).at

    def _age(self, number: int) -> _Age:
        stored = self._storage.get(_age_key(number))
        assert stored is not None  # noqa: S101 - numbers have no gaps
        return _decode_age(stored)


def _answer_key(key: str) -> str:
    return f"keys/answer/{key}"


def _age_key(number: int) -> str:
    return f"{_AGES}{number:015d}"
