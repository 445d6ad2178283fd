"""What a queue publishes: JSON objects with a ``type``, as the wall's subscribers will get them."""

from typing import Final

import msgspec
from msgspec import Struct

from saywhatwant.message import Status

_LEASE_ENDED: Final = b'{"type":"leaseEnded"'


def changed(wire: bytes) -> bytes:
    """A message is new or stands elsewhere now; ``wire`` is its encoding, used as it is."""
    return b'{"type":"message","message":' + wire + b"}"


def lease_ended(message_id: str) -> bytes:
    """A bot's lease ran out."""
    return _LEASE_ENDED + b',"id":"' + message_id.encode() + b'"}'


def progress(message_id: str, attempt: int, text: str) -> bytes:
    """A reply is being written; ``text`` is all of it so far."""
    return msgspec.json.encode({"type": "progress", "id": message_id, "attempt": attempt, "text": text})


def is_lease_ended(event: bytes) -> bool:
    """Whether ``event`` is one of ``lease_ended``."""
    return event.startswith(_LEASE_ENDED)


class _Params(Struct, frozen=True, rename="camel"):
    status: Status
    entity: str | None
    retry_at: int | None


class _Message(Struct, frozen=True, rename="camel"):
    bot_params: _Params
    seq: int


class _Event(Struct, frozen=True):
    message: _Message | None = None


_decode = msgspec.json.Decoder(_Event).decode


def seq_of(event: bytes) -> int | None:
    """The commit that ``event`` tells of; None when it tells of nothing stored."""
    message = _decode(event).message
    return None if message is None else message.seq


def claimable_entity(event: bytes) -> tuple[str | None] | None:
    """The entity of a message that has become claimable (None for nobody's), in a tuple; None for any other event."""
    message = _decode(event).message
    if message is None or message.bot_params.status != "pending" or message.bot_params.retry_at is not None:
        return None
    return (message.bot_params.entity,)
