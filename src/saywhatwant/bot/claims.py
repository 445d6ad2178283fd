"""Claim scheduling: which entities a bot claims for, in which calls, with how much of their talks, and for how long."""

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from itertools import islice
from typing import NamedTuple

import structlog

from saywhatwant import frames
from saywhatwant.client import ClaimedTalk, ServerRefused, ServerUnavailable, WallClient
from saywhatwant.entities import Entity
from saywhatwant.limits import MAX_ENTITIES, MAX_HANDS, MAX_SOCKET_ENTITIES, MAX_WAIT_SECONDS
from saywhatwant.message import Message
from saywhatwant.schemas import ClaimRequest, Conflict

MANY_CLAIMS = 16
"""Above this many concurrent long polls, new ones are short, so that they merge soon."""
MERGE_SECONDS = 2.0
"""Duration of those short long polls."""


class Claimed(NamedTuple):
    """A message, and its talk if the claim asked for it."""

    message: Message
    talk: ClaimedTalk | None = None


class Claims:
    """The long polls of one bot.

    ``serving`` returns the current entities, without those whose circuit is open. Every claim carries a digest of each one's
    persona: so the server notices bots whose files differ, and a message to anyone goes to the entity that its author talked
    with last, whichever claim takes it. Each claim therefore asks for as much of a talk as any of these entities reads.

    A running long poll is never cancelled to add entities, since the server may have claimed something for it. Entities that
    become free get a second long poll, which ends no later than the first; after that, one call covers all of them again.
    """

    def __init__(
        self,
        client: WallClient,
        worker_id: str,
        serving: Callable[[], Mapping[str, Entity]],
        *,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._client = client
        self._worker_id = worker_id
        self._serving = serving
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._entities: dict[asyncio.Task[list[Claimed]], list[str]] = {}
        self._shared_deadline = 0.0
        self._merge_deadline = 0.0
        self.until = math.inf
        """Until when long polls may wait, by the clock."""
        self._warned: set[Conflict] = set()
        self._log = structlog.get_logger().bind(worker=worker_id)

    @property
    def tasks(self) -> set[asyncio.Task[list[Claimed]]]:
        """The long polls that are running, and those whose messages have not been collected."""
        return set(self._entities)

    def start(self, names: Sequence[str]) -> None:
        """Start long polls for the entities among ``names`` that no running one covers."""
        asked = {name for entities in self._entities.values() for name in entities}
        missing = [name for name in names if name not in asked]
        for start in range(0, len(missing), MAX_ENTITIES):
            some = missing[start : start + MAX_ENTITIES]
            self._entities[asyncio.create_task(self._claim(some, self._timeout()))] = some

    def collect(self) -> tuple[list[Claimed], ServerRefused | ServerUnavailable | None]:
        """The messages claimed since the last call, and the error of a failed claim; a refusal takes precedence."""
        claimed: list[Claimed] = []
        error: ServerRefused | ServerUnavailable | None = None
        for task in [task for task in self._entities if task.done()]:
            del self._entities[task]
            try:
                claimed += task.result()
            except ServerRefused as refusal:
                error = refusal
            except ServerUnavailable as away:
                error = error or away
        return claimed, error

    async def take_now(self, names: Sequence[str]) -> list[Claimed]:
        """Claim one message for any of these entities, without waiting; returns an empty list when there is none."""
        for start in range(0, len(names), MAX_ENTITIES):
            if claimed := await self._claim(names[start : start + MAX_ENTITIES], 0):
                return claimed
        return []

    async def cancel(self) -> list[Message]:
        """Cancel all long polls; returns the messages that they had claimed."""
        for task in self._entities:
            task.cancel()
        results = await asyncio.gather(*self._entities, return_exceptions=True)
        self._entities.clear()
        return [claimed.message for result in results if isinstance(result, list) for claimed in result]

    def _timeout(self) -> float:
        """Seconds that a new long poll may wait: until the shared deadline, or the merge deadline above ``MANY_CLAIMS``."""
        now = self._clock()
        if not self._entities or self._shared_deadline <= now:
            self._shared_deadline = now + MAX_WAIT_SECONDS
        if self._merge_deadline <= now:
            self._merge_deadline = now + MERGE_SECONDS
        is_many = len(self._entities) >= MANY_CLAIMS
        deadline = min(self._merge_deadline, self._shared_deadline) if is_many else self._shared_deadline
        # Rounding may make (now + 60) - now more than 60, which the server refuses.
        return max(min(deadline - now, self.until - now, MAX_WAIT_SECONDS), 0)

    async def _claim(self, names: Sequence[str], wait: float) -> list[Claimed]:
        serving = self._serving()
        # Those that it claims for come first, in case there are more than one call may name.
        known = [name for name in dict.fromkeys((*names, *serving)) if name in serving][:MAX_ENTITIES]
        claim = ClaimRequest(
            worker_id=self._worker_id,
            entities=list(names),
            wait=wait,
            context=max((_context_of(serving[name]) for name in known), default=0),
            personas={name: serving[name].persona_digest for name in known},
            version=_version(),
        )
        found = await self._client.claim_next(claim)
        self.warn_of(found.conflicts)
        return [Claimed(message, found.talks.get(message.id)) for message in found.messages]

    def warn_of(self, conflicts: Iterable[Conflict]) -> None:
        """Log once that another bot answers as one of these entities, with another persona."""
        for conflict in conflicts:
            if conflict not in self._warned:
                self._warned.add(conflict)
                self._log.warning(
                    "another bot answers for this entity, with another persona: their entities files differ",
                    entity=conflict.entity,
                    other=conflict.worker_id,
                )


def hands_of(entities: Mapping[str, Entity]) -> frames.HandsFrame:
    """The hands of a bot that answers for these entities: for each as many as its file says."""
    known = dict(islice(entities.items(), MAX_SOCKET_ENTITIES))
    each = {name: entity.concurrency for name, entity in known.items()}
    return frames.HandsFrame(
        hands=min(sum(each.values()), MAX_HANDS),
        entities=each or None,
        context=max(map(_context_of, known.values()), default=0),
        personas={name: entity.persona_digest for name, entity in known.items()},
        version=_version(),
    )


def _context_of(entity: Entity) -> int:
    """How many messages of a talk this entity needs; 1 gets what a client sent as ``context``, which always counts."""
    if entity.chatbot is not None:
        return 0
    return max(entity.context if entity.reads == "talk" else 0, 1)


@cache
def _version() -> str:
    return version("saywhatwant")
