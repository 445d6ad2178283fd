"""Idempotency keys: a repeated post gets the first answer again (P7).

After the IETF draft "The Idempotency-Key HTTP Header Field". The answers live in the object's storage, not in its memory, so
that they cost a waking object nothing: each key's answer is an entry, and a ring of 10,000 slots says which key is the oldest.
"""

from hashlib import blake2b

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from durable_objects import Storage
from saywhatwant.errors import KeyReused
from saywhatwant.message import NewMessage, encode
from saywhatwant.schemas import PostResponse

MAX_KEYS = 10_000
"""Keys remembered; the oldest makes way."""
KEEP_MS = 24 * 60 * 60 * 1_000
"""How long a key is remembered."""

_RING_NEXT = "keys/next"


class _Answer(Struct, frozen=True, array_like=True):
    message_id: str
    timestamp: int
    at: int
    slot: int
    digest: bytes


_encode_answer = msgspec.msgpack.Encoder().encode
_decode_answer = msgspec.msgpack.Decoder(_Answer).decode


def _digest(new: NewMessage) -> bytes:
    # A post that names no priority gets its entity's, which may have changed since: that makes it no other message.
    return blake2b(encode(replace(new, priority=0)), digest_size=12).digest()


class IdempotencyKeys:
    """The first answers of the last 24 hours or 10,000 keyed posts, whichever is less."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def find(self, key: str, new: NewMessage, now: int) -> PostResponse | None:
        """The first answer to this key; None when it is new or forgotten. Raises ``KeyReused`` for another message."""
        stored = self._storage.get(f"keys/answer/{key}")
        if stored is None:
            return None
        answer = _decode_answer(stored)
        if now - answer.at >= KEEP_MS:
            return None
        if answer.digest != _digest(new):
            raise KeyReused("this Idempotency-Key was used for another message; use a new key for each message")
        return PostResponse(answer.message_id, answer.timestamp)

    def remember(self, key: str, new: NewMessage, posted: PostResponse, now: int) -> None:
        """Keep the answer to ``key``; part of the same commit as the message."""
        number = int(self._storage.get(_RING_NEXT) or b"0")
        slot = number % MAX_KEYS
        slot_key = f"keys/ring/{slot:05d}"
        oldest = self._storage.get(slot_key)
        if oldest is not None:
            self._forget(oldest.decode(), slot)
        answer = _Answer(posted.id, posted.timestamp, now, slot, _digest(new))
        self._storage.put(f"keys/answer/{key}", _encode_answer(answer))
        self._storage.put(slot_key, key.encode())
        self._storage.put(_RING_NEXT, b"%d" % (number + 1))

    def _forget(self, key: str, slot: int) -> None:
        stored = self._storage.get(f"keys/answer/{key}")
        # A key that was used again after a day sits in a younger slot now.
        if stored is not None and _decode_answer(stored).slot == slot:
            self._storage.delete(f"keys/answer/{key}")
