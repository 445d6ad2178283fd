"""The bots that this gateway has seen: the entities they serve, with which personas, and when they were seen last.

Nothing is stored: after a restart a bot is known again with its next claim, which comes within a minute.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from saywhatwant.limits import MAX_WAIT_SECONDS
from saywhatwant.schemas import BotSummary, Conflict
from saywhatwant.worker.limits import MAX_BOT_ENTITIES, MAX_BOTS

LATELY_SECONDS = MAX_WAIT_SECONDS + 30.0
"""A bot that was seen within this time is here: one that has nothing to do claims once a minute."""
CLAIMED_SECONDS = 3_600.0
"""An entity that its bot has not claimed for within this time is no longer served: no message keeps a bot that long."""


@dataclass(slots=True)
class _Served:
    persona: str | None
    claimed: float


@dataclass(slots=True)
class _Bot:
    version: str | None = None
    seen: float = 0.0
    seen_ms: int = 0
    is_gone: bool = False
    """Whether it has closed the connection of a claim that waited, and has not claimed since."""
    any_claimed: float | None = None
    """When it claimed without naming entities."""
    entities: OrderedDict[str, _Served] = field(default_factory=OrderedDict)
    sockets: set[str] = field(default_factory=set)
    """The names of its open sockets: while it has one, it is here."""


class Bots:
    """Up to ``MAX_BOTS`` bots by their worker ids, of the last hour; beyond it the ones unseen for longest are forgotten.

    Args:
        clock: seconds that never step back.
        now_ms: milliseconds since 1970, for people.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._clock = clock
        self._now_ms = now_ms
        self._bots: OrderedDict[str, _Bot] = OrderedDict()
        self._sockets: dict[str, str] = {}
        """The worker ids of the bots with sockets, by the sockets' names."""

    def __len__(self) -> int:
        """How many are here."""
        return sum(map(self._is_here, self._bots.values()))

    def claims(
        self,
        worker_id: str,
        entities: Iterable[str] | None = None,
        personas: Mapping[str, str] | None = None,
        version: str | None = None,
    ) -> list[Conflict]:
        """A bot claims for these entities, or for any (None).

        Returns the other bots that are here and serve one of them with another persona: one for each entity.
        """
        now, bot = self._clock(), self._bots.get(worker_id)
        is_new = bot is None
        bot = bot or self._bots.setdefault(worker_id, _Bot())
        bot.seen, bot.seen_ms, bot.is_gone, bot.version = now, self._now_ms(), False, version
        self._bots.move_to_end(worker_id)
        if is_new:
            self._forget_some()
        if entities is None:
            bot.any_claimed = now
        personas = personas or {}
        for entity in {*(entities or ()), *personas}:
            bot.entities[entity] = _Served(personas.get(entity), now)
            bot.entities.move_to_end(entity)
        while len(bot.entities) > MAX_BOT_ENTITIES:
            bot.entities.popitem(last=False)
        return self._conflicts(worker_id, personas) if personas and len(self._bots) > 1 else []

    def stands(
        self,
        socket: str,
        worker_id: str,
        entities: Iterable[str] | None = None,
        personas: Mapping[str, str] | None = None,
        version: str | None = None,
    ) -> list[Conflict]:
        """The same for a bot on a socket, until ``leaves_socket``; a later call replaces what it serves."""
        known = self._bots.get(worker_id)
        if known is not None and known.sockets == {socket}:
            known.entities.clear()
            known.any_claimed = None
        conflicts = self.claims(worker_id, entities, personas, version)
        if worker_id in self._bots:
            self._bots[worker_id].sockets.add(socket)
            self._sockets[socket] = worker_id
        return conflicts

    def leaves_socket(self, socket: str) -> None:
        """A bot's socket has ended."""
        worker_id = self._sockets.pop(socket, None)
        bot = None if worker_id is None else self._bots.get(worker_id)
        if bot is not None:
            bot.sockets.discard(socket)
            bot.seen, bot.seen_ms = self._clock(), self._now_ms()
            bot.is_gone = not bot.sockets

    def calls(self, worker_id: str | None) -> None:
        """A bot works on a message. While it does, it may claim nothing else."""
        bot = None if worker_id is None else self._bots.get(worker_id)
        if worker_id is not None and bot is not None:
            bot.seen, bot.seen_ms = self._clock(), self._now_ms()
            self._bots.move_to_end(worker_id)

    def leaves(self, worker_id: str) -> None:
        """A bot has closed the connection of a claim that waited: it is gone, until it claims again."""
        bot = self._bots.get(worker_id)
        if bot is not None:
            bot.is_gone = True

    def serving(self, entity: str) -> set[str]:
        """The worker ids of the bots that serve this entity at the moment."""
        return {worker_id for worker_id, bot in self._bots.items() if self._is_here(bot) and self._serves(bot, entity)}

    def listing(self) -> list[BotSummary]:
        """The bots, the one seen last first; ``entities`` is None for one that claims for any."""
        self._forget_some()
        return [
            BotSummary(
                worker_id=worker_id,
                version=bot.version,
                entities=None if self._claims_any(bot) else sorted(self._entities_of(bot)),
                personas={name: served.persona for name, served in sorted(self._entities_of(bot).items()) if served.persona},
                last_seen=bot.seen_ms,
                here=self._is_here(bot),
                conflicts=self._conflicts(worker_id, _personas_of(bot)) if self._is_here(bot) else [],
            )
            for worker_id, bot in reversed(self._bots.items())
        ]

    def _forget_some(self) -> None:
        """Forget the bots beyond the bound, and those that were not seen within the last hour."""
        while self._bots:
            worker_id, bot = next(iter(self._bots.items()))
            if len(self._bots) <= MAX_BOTS and (bot.sockets or self._is_recent(bot.seen)):
                return
            del self._bots[worker_id]

    def _is_here(self, bot: _Bot) -> bool:
        return bool(bot.sockets) or (not bot.is_gone and self._clock() - bot.seen <= LATELY_SECONDS)

    def _is_recent(self, claimed: float | None) -> bool:
        return claimed is not None and self._clock() - claimed <= CLAIMED_SECONDS

    def _claims_any(self, bot: _Bot) -> bool:
        return bot.any_claimed is not None and (bool(bot.sockets) or self._is_recent(bot.any_claimed))

    def _serves(self, bot: _Bot, entity: str) -> bool:
        return self._claims_any(bot) or entity in self._entities_of(bot)

    def _entities_of(self, bot: _Bot) -> dict[str, _Served]:
        if bot.sockets:
            return bot.entities
        return {name: served for name, served in bot.entities.items() if self._is_recent(served.claimed)}

    def _conflicts(self, worker_id: str, personas: Mapping[str, str]) -> list[Conflict]:
        found: dict[str, Conflict] = {}
        for other, bot in self._bots.items():
            if other == worker_id or not self._is_here(bot):
                continue
            for entity, persona in personas.items():
                served = self._entities_of(bot).get(entity)
                if served is not None and served.persona not in {None, persona}:
                    found[entity] = Conflict(entity, other)
        return list(found.values())


def _personas_of(bot: _Bot) -> dict[str, str]:
    return {name: served.persona for name, served in bot.entities.items() if served.persona is not None}
