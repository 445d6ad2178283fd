"""Claims over several objects: the most urgent messages of all of them, each with the whole of its talk."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import replace

from durable_objects import Refusal
from saywhatwant.errors import UnknownMessage, WrongState
from saywhatwant.limits import MAX_ANSWER_BYTES
from saywhatwant.message import conversation_of
from saywhatwant.queue.directory import ANYONE
from saywhatwant.queue.memory import newest
from saywhatwant.queue.shard import QueueShard, ReadyMessage
from saywhatwant.queue.waiting import Wait
from saywhatwant.schemas import ClaimNextResponse, ClaimResponse, Talk
from saywhatwant.topology.shards import Shard, Shards
from saywhatwant.topology.together import together

MAX_ROUNDS = 10
"""How often a claim looks for messages when others have claimed first what it saw."""


class _Params(Struct, frozen=True, rename="camel"):
    entity: str | None
    assigned_entity: str | None = None


class _Claimed(Struct, frozen=True, rename="camel"):
    """What is needed of a claimed message to find the rest of its talk."""

    id: str
    timestamp: int
    bot_params: _Params
    conversation: str | UnsetType = UNSET


class _Stamped(Struct, frozen=True):
    timestamp: int


_claimed_of = msgspec.json.Decoder(_Claimed).decode
_stamp_of = msgspec.json.Decoder(_Stamped).decode


class Claim(NamedTuple):
    """Who claims, and how; see ``MessageQueue.claim_next``."""

    worker_id: str
    entities: tuple[str, ...] | None
    also: tuple[str, ...]
    context: int
    unfenced: bool


class MergedClaims:
    """Claims messages of all objects."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    async def claim_at(self, shard: Shard, message_id: str, claim: Claim, ready: ReadyMessage | None = None) -> ClaimResponse:
        """Claim one message of this object. ``ready`` saves the question what it is."""
        entities, also = claim.entities, claim.also
        if entities and _is_choice_at(shard, claim):
            if ready is None:
                ready = await shard.stub.call(QueueShard.work, message_id)
            if (partner := await self._last_partner(ready, (*entities, *also))) is not None:
                entities, also = (partner,), ()
        answer = await shard.stub.call(
            QueueShard.claim,
            message_id,
            claim.worker_id,
            entities=entities,
            also=also,
            context=claim.context,
            unfenced=claim.unfenced,
        )
        talks = answer.talks
        if talks is not UNSET:
            talks = await self._whole_talks(shard, [answer.message], talks, claim.context)
        return ClaimResponse(answer.message, talks=talks)

    async def claim_next(self, claim: Claim, limit: int, wait: Wait | None) -> ClaimNextResponse:
        """Claim up to ``limit`` of the most urgent messages. With ``wait``, if there are none, wait at each object."""
        shards = await self._shards.for_work(claim.entities)
        woken = wait if wait is None else replace(wait, left_ms=0)
        found: list[ClaimNextResponse] = []
        claimed_at: set[Shard] = set()
        for _ in range(MAX_ROUNDS):
            left = limit - sum(len(answer.messages) for answer in found)
            ready = await self._ready(shards, claim.entities, left, wait.woken_for if wait else ()) if left > 0 else []
            if not ready:
                break
            found += await self._claim_all(ready, claim, woken, MAX_ANSWER_BYTES - sum(map(size_of, found)))
            claimed_at.update(shard for shard, _ in ready if not _is_choice_at(shard, claim))
            if claim.context and sum(map(size_of, found)) > MAX_ANSWER_BYTES:
                break
        if not any(answer.messages for answer in found) and wait is not None:
            return await self._wait(shards, claim, limit, wait)
        if wait is not None:
            # Where it has called claim_next, the ticket is gone and what it did not take is passed on.
            await self.cancel([shard for shard in shards if shard not in claimed_at], wait.ticket, wait.woken_for)
        return as_one(found, claim)

    async def _ready(
        self, shards: tuple[Shard, ...], entities: tuple[str, ...] | None, limit: int, woken_for: tuple[str, ...]
    ) -> list[tuple[Shard, ReadyMessage]]:
        """The messages to claim, in the order of ``MessageQueue.claim_next``: also what it was woken for has precedence."""
        found = await together([shard.stub.call(QueueShard.ready, limit, entities, woken_for) for shard in shards])
        ready = [(shard, message) for shard, messages in zip(shards, found, strict=True) for message in messages]
        worst = max((message.priority for _, message in ready if message.id in woken_for), default=0)

        def order(one: tuple[Shard, ReadyMessage]) -> tuple[bool, bool, int, int]:
            shard, message = one
            return message.priority >= worst, message.id not in woken_for, message.urgency, shard.source

        return sorted(ready, key=order)[:limit]

    async def _claim_all(
        self, ready: list[tuple[Shard, ReadyMessage]], claim: Claim, woken: Wait | None, room: int
    ) -> list[ClaimNextResponse]:
        """Claim as many messages of each object as ``ready`` has; with their talks, up to about ``room`` bytes.

        Others may have claimed these meanwhile; then it is the object's next ones.
        """
        found: list[ClaimNextResponse] = []
        for shard, messages in _by_shard(ready).items():
            if _is_choice_at(shard, claim):
                found += [
                    answer for message in messages if (answer := await self._try_claim(shard, message, claim)) is not None
                ]
            else:
                found.append(await self._claim_next_at(shard, claim, len(messages), woken))
            if claim.context and sum(map(size_of, found)) > room:
                break
        return found

    async def _try_claim(self, shard: Shard, ready: ReadyMessage, claim: Claim) -> ClaimNextResponse | None:
        try:
            answer = await self.claim_at(shard, ready.id, claim, ready)
        except (UnknownMessage, WrongState):
            return None
        return ClaimNextResponse([answer.message], talks=answer.talks)

    async def _claim_next_at(self, shard: Shard, claim: Claim, limit: int, wait: Wait | None = None) -> ClaimNextResponse:
        """Claim the next messages of one object, with the whole of their talks."""
        answer = await shard.stub.call(
            QueueShard.claim_next,
            claim.worker_id,
            claim.entities,
            limit,
            also=claim.also,
            context=claim.context,
            unfenced=claim.unfenced,
            wait=wait,
        )
        if answer.talks is UNSET:
            return answer
        talks = await self._whole_talks(shard, answer.messages, answer.talks, claim.context)
        return ClaimNextResponse(answer.messages, talks=talks)

    # -- Waiting

    async def _wait(self, shards: tuple[Shard, ...], claim: Claim, limit: int, wait: Wait) -> ClaimNextResponse:
        """Leave the ticket at each object, until one has a message."""
        try:
            for shard in shards:
                answer = await self._claim_next_at(shard, claim, limit, wait)
                if answer.messages:
                    await self.cancel([other for other in shards if other != shard], wait.ticket, wait.woken_for)
                    return answer
        except Refusal:
            await self.cancel(shards, wait.ticket, wait.woken_for)
            raise
        return answer

    async def cancel(self, shards: Sequence[Shard], ticket: str, woken_for: tuple[str, ...]) -> None:
        """See ``MessageQueue.cancel``; an object without the ticket or the messages ignores it."""
        await together([shard.stub.call(QueueShard.cancel, ticket, woken_for) for shard in shards])

    # -- Talks

    async def _last_partner(self, message: ReadyMessage, entities: tuple[str, ...]) -> str | None:
        """The entity that the author of a message to anyone talked with last; None if with none of them, or if it has one."""
        if not message.to_anyone or message.assigned_entity in entities:
            return None
        talks = {
            name: conversation_of(name, message.username, message.color, message.color_tail, message.session_id)
            for name in dict.fromkeys(entities)
        }
        last = dict.fromkeys(talks, 0)
        holding = [(shard, [name for name in talks if shard.name in {ANYONE, ANYONE + name}]) for shard in self._shards.all]
        asked = [(shard, names) for shard, names in holding if names]
        calls = [shard.stub.call(QueueShard.last_turns, tuple(talks[name] for name in names)) for shard, names in asked]
        for (_, names), times in zip(asked, await together(calls), strict=True):
            for name, at in zip(names, times, strict=True):
                last[name] = max(last[name], at)
        partner = max(last, key=last.__getitem__)
        return partner if last[partner] else None

    async def _whole_talks(self, shard: Shard, messages: Sequence[Raw], talks: dict[str, Talk], limit: int) -> dict[str, Talk]:
        """The talks with what other objects have of them: messages to the entity, and messages to anyone."""
        claimed = [_claimed_of(encoded) for encoded in messages]
        whole = await together([self._whole_talk(shard, message, talks[message.id], limit) for message in claimed])
        return {message.id: talk for message, talk in zip(claimed, whole, strict=True)}

    async def _whole_talk(self, shard: Shard, message: _Claimed, talk: Talk, limit: int) -> Talk:
        conversation = message.conversation
        entity = message.bot_params.entity or message.bot_params.assigned_entity
        if talk.context is not UNSET or conversation is UNSET or entity is None:
            return talk
        others = [other for other in self._shards.all if other != shard and other.name in {ANYONE, ANYONE + entity}]
        calls = [other.stub.call(QueueShard.turns, conversation, message.timestamp, limit) for other in others]
        found = [turn for turns in await together(calls) for turn in turns]
        if not found:
            return talk
        turns = sorted([(_stamp_of(turn).timestamp, bytes(turn)) for turn in (*talk.turns, *found)], reverse=True)
        return Talk(list(map(Raw, newest(turns, limit))))


def _is_choice_at(shard: Shard, claim: Claim) -> bool:
    """Whether a message of this object may be assigned one of several entities."""
    return shard.name == ANYONE and claim.entities is not None and len(claim.entities) + len(claim.also) > 1


def _by_shard(ready: Sequence[tuple[Shard, ReadyMessage]]) -> dict[Shard, list[ReadyMessage]]:
    """The messages of each object, in the order of their first ones."""
    found: dict[Shard, list[ReadyMessage]] = {}
    for shard, message in ready:
        found.setdefault(shard, []).append(message)
    return found


def size_of(claimed: ClaimNextResponse) -> int:
    """The bytes of the messages and of their talks."""
    talks = [] if claimed.talks is UNSET else claimed.talks.values()
    strings = sum(len(text) for talk in talks if talk.context is not UNSET for text in talk.context)
    return sum(map(len, claimed.messages)) + strings + sum(len(turn) for talk in talks for turn in talk.turns)


def as_one(found: Sequence[ClaimNextResponse], claim: Claim) -> ClaimNextResponse:
    """The answer to a claim whose messages have come from several calls."""
    talks = {name: talk for answer in found if answer.talks is not UNSET for name, talk in answer.talks.items()}
    messages = [message for answer in found for message in answer.messages]
    return ClaimNextResponse(messages, talks=talks if claim.context else UNSET)
