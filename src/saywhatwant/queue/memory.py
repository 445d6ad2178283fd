"""What an entity remembers for one answer: the earlier messages of the talk, or the ``context`` that the post brought.

Hidden messages are no part of it. A context has a row of its own, beside the message, and only while the message is work.
"""

import msgspec
from msgspec import UNSET, Raw

from durable_objects import Storage
from saywhatwant.limits import MAX_TALK_BYTES
from saywhatwant.message import Message
from saywhatwant.queue.index import Index
from saywhatwant.schemas import Talk

CONTEXTS_AT_ONCE = 100
"""Contexts that one call looks through."""

_PREFIX = "context/"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[str]).decode


def context_key(message: Message) -> str:
    """The key of the entry with a message's context."""
    return _key_at(message.timestamp)


def _key_at(timestamp: int) -> str:
    return f"{_PREFIX}{timestamp:015d}"


def store_context(storage: Storage, message: Message, context: tuple[str, ...]) -> None:
    """Store the context that came with a message."""
    storage.put(context_key(message), _encode(context))


def forget_in_contexts(storage: Storage, text: str, after: int) -> int | None:
    """Remove the strings that have this text from some contexts: those of the messages after this time.

    Returns the time of the last of them; None when there are no more.
    """
    contexts = storage.list(_PREFIX, after=_key_at(after), limit=CONTEXTS_AT_ONCE)
    for key, stored in contexts:
        context = _decode(stored)
        kept = [string for string in context if text not in string]
        if len(kept) < len(context):
            storage.put(key, _encode(kept))
    return int(contexts[-1][0].removeprefix(_PREFIX)) if len(contexts) == CONTEXTS_AT_ONCE else None


def talk_of(index: Index, storage: Storage, message: Message, limit: int, max_bytes: int = MAX_TALK_BYTES) -> Talk:
    """What to remember for the answer to ``message``: up to ``limit`` turns and ``max_bytes``, the newest ones, oldest first.

    The turns are the talk's messages before it, and the answers to those, even if they came later. So a burst of questions
    is remembered in the order in which they were asked. A context takes the place of the turns.
    """
    if message.bot_params.has_context is not UNSET:
        stored = storage.get(context_key(message))
        return Talk([], _decode(stored or b"[]"))
    if message.conversation is UNSET:
        return Talk([])
    return Talk([Raw(encoded) for encoded in turns_before(index, message.conversation, message.timestamp, limit, max_bytes)])


def turns_before(index: Index, conversation: str, before: int, limit: int, max_bytes: int = MAX_TALK_BYTES) -> list[bytes]:
    """The turns of a talk before this time, as in ``talk_of``."""
    found: dict[int, bytes] = {}
    size = 0
    for entry in index.talk(conversation, before):
        earlier = entry.message
        if earlier.hidden is not UNSET:
            continue
        found[earlier.timestamp] = entry.encoded
        size += len(entry.encoded)
        answered_at = earlier.bot_params.answered_at
        if answered_at is not None and answered_at > before:
            answer = index.at(answered_at)
            if answer is not None and answer.message.hidden is UNSET:
                found[answered_at] = answer.encoded
                size += len(answer.encoded)
        if len(found) >= limit or size >= max_bytes:
            break
    stamped = [(timestamp, found[timestamp]) for timestamp in sorted(found, reverse=True)]
    return newest(stamped, limit, max_bytes)


def newest(turns: list[tuple[int, bytes]], limit: int, max_bytes: int = MAX_TALK_BYTES) -> list[bytes]:
    """Up to ``limit`` of ``turns`` (newest first) and ``max_bytes``; returns them oldest first."""
    kept: list[bytes] = []
    for _, encoded in turns[:limit]:
        max_bytes -= len(encoded)
        if max_bytes < 0:
            break
        kept.append(encoded)
    return kept[::-1]
