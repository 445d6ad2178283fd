"""What an entity remembers for one answer: the earlier messages of the talk, or the ``context`` that the post brought.

A context has a row of its own, beside the message, and only while the message is work.
"""

import msgspec
from msgspec import UNSET, Raw

from durable_objects import Storage
from saywhatwant.limits import MAX_TALK_BYTES
from saywhatwant.message import Message
from saywhatwant.queue.index import Index
from saywhatwant.schemas import Talk

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[str]).decode


def context_key(message: Message) -> str:
    """The key of the entry with a message's context."""
    return f"context/{message.timestamp:015d}"


def store_context(storage: Storage, message: Message, context: tuple[str, ...]) -> None:
    """Store the context that came with a message."""
    storage.put(context_key(message), _encode(context))


def talk_of(index: Index, storage: Storage, message: Message, limit: int, max_bytes: int = MAX_TALK_BYTES) -> Talk:
    """What to remember for the answer to ``message``: up to ``limit`` turns and ``max_bytes``, the newest ones, oldest first.

    The turns are the talk's messages before it, and the answers to those, even if they came later. So a burst of questions
    is remembered in the order in which they were asked. A context takes the place of the turns.
    """
    if message.bot_params.has_context is not UNSET:
        stored = storage.get(context_key(message))
        return Talk([], _decode(stored or b"[]"))
    return Talk([Raw(encoded) for encoded in _turns(index, message, limit, max_bytes)])


def _turns(index: Index, message: Message, limit: int, max_bytes: int) -> list[bytes]:
    if message.conversation is UNSET:
        return []
    found: dict[int, bytes] = {}
    size = 0
    for entry in index.talk(message.conversation, message.timestamp):
        earlier = entry.message
        found[earlier.timestamp] = entry.encoded
        size += len(entry.encoded)
        answered_at = earlier.bot_params.answered_at
        if answered_at is not None and answered_at > message.timestamp:
            answer = index.at(answered_at)
            if answer is not None:
                found[answered_at] = answer.encoded
                size += len(answer.encoded)
        if len(found) >= limit or size >= max_bytes:
            break
    turns: list[bytes] = []
    for timestamp in sorted(found, reverse=True)[:limit]:
        max_bytes -= len(found[timestamp])
        if max_bytes < 0:
            break
        turns.append(found[timestamp])
    return turns[::-1]
