"""Posts that are safe to repeat (P7): a key, and what makes two posts the same."""

from collections.abc import Callable
from hashlib import blake2b
from typing import Concatenate, ParamSpec, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from durable_objects import DurableObject, KeyReused, Stub
from saywhatwant.message import MessageType, NewMessage, OriginalFields, Posted
from saywhatwant.queue import MessageQueue

ObjectT = TypeVar("ObjectT", bound=DurableObject)
P = ParamSpec("P")
R = TypeVar("R")


async def post_once(stub: Stub[MessageQueue], new: NewMessage, key: str | None, elsewhere: int = 0) -> Posted:
    """Post with ``key``, or with the message's own id as its key; a repeated post gets the first answer.

    ``elsewhere`` as for ``MessageQueue.post``.

    Raises ``KeyReused`` when the key was used for another message, ``KeysFull``, and what ``MessageQueue.post`` raises.
    """
    firsts = [new]
    try:
        posted = await _keyed(stub, new, key, firsts.clear).call(MessageQueue.post, new, elsewhere)
    except KeyReused:
        raise _reused(new) from None
    return posted if firsts else replace(posted, repeated=True)


async def call_once(
    stub: Stub[ObjectT],
    method: Callable[Concatenate[ObjectT, NewMessage, P], R],
    new: NewMessage,
    key: str | None,
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> tuple[R, bool]:
    """Call a method with a post once, as ``post_once`` does; also whether the answer is that of an earlier call."""
    firsts = [new]
    try:
        answer = await _keyed(stub, new, key, firsts.clear).call(method, new, *args, **kwargs)
    except KeyReused:
        raise _reused(new) from None
    return answer, not firsts


def _keyed(stub: Stub[ObjectT], new: NewMessage, key: str | None, on_repeat: Callable[[], None]) -> Stub[ObjectT]:
    """The stub for one call with a post; it calls ``on_repeat`` when the answer is that of an earlier call."""
    if new.id is not None:
        key = key_of_id(new.id)
    assert key is not None  # noqa: S101 - one of the two is given
    return stub.options(idempotency_key=key, fingerprint=digest(new), on_repeat=on_repeat)


def _reused(new: NewMessage) -> KeyReused:
    what, field = ("Idempotency-Key", None) if new.id is None else ("id", "id")
    return KeyReused(f"this {what} was used for another message; use a new one for each message", field=field)


def key_of_id(message_id: str) -> str:
    """The key of a post that names its own id. A header's value never starts with a space, so no other key is equal."""
    return f" {message_id}"


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

_encode_digested = msgspec.json.Encoder().encode


def digest(new: NewMessage) -> bytes:
    """A digest that is equal for the same message. It ignores the priority, since an entity's default may have changed."""
    digested = _Digested(
        new.text,
        new.username,
        new.color,
        new.message_type,
        new.reply_to,
        new.entity,
        0,
        new.worker_id,
        new.attempt,
    )
    too = (new.answer, new.ais, new.session_id, new.context, new.color_tail, new.original)
    more = b"" if too == _NOTHING_TOO else _encode_digested(_DigestedToo(*too))
    return blake2b(_encode_digested(digested) + more, digest_size=12).digest()
