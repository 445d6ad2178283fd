"""Bots on sockets, which stand in line for work with a number of hands: a message is handed to a free one.

The object hands it over in the commit that makes the message claimable, so a bot that stands here never has to claim. Storage
has one row for each bot, from when it comes until it leaves; a hand-over writes none, because the message itself says to which
socket it went (``botParams.socket``), and what a bot holds is counted from the messages.

A bot is in line for an entity while it has a hand free for it. A line is in the order in which hands became free, so that work
spreads over the bots. That order alone is only in memory: after a restart it is the order in which the bots came.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping

import msgspec
from msgspec import UNSET, Struct, UnsetType

from durable_objects import Storage
from saywhatwant.message import Message

Place = tuple[int, str]
"""When a hand became free, and whose socket: the order of a line."""

PREFIX = "standing/"
"""What the keys of stands begin with in an object's storage."""

_encode = msgspec.json.Encoder().encode


class Stand(Struct, frozen=True):
    """A bot on a socket, and what it takes."""

    socket: str
    """Its name, which messages show while they are held through it: it must say nothing of the gateway."""
    gateway: str
    """The name of the socket's gateway; the next one with this name is its successor."""
    life: int
    """Grows with each start of the gateway."""
    worker_id: str
    hands: int
    """How many messages it holds at most; 0 takes no more."""
    entities: dict[str, int] | None = None
    """Whose messages it takes, and how many of each at most; None for those of all. Messages to anyone come too."""
    also: tuple[str, ...] = ()
    """Entities that it answers for too; see ``MessageQueue.claim_next``."""


class Hold(Struct, frozen=True, rename="camel"):
    """An attempt that a bot has."""

    message_id: str
    attempt: int


class _Stored(Struct, frozen=True):
    since: int
    stand: Stand


_decode = msgspec.json.Decoder(_Stored).decode


class StandingBot:
    """One bot in memory: its hands, and its places in the lines."""

    __slots__ = ("places", "stand")

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        self.places: dict[str | None, Place] = {}
        """By entity; under None if it takes the messages of all."""

    @property
    def lines(self) -> Iterable[str | None]:
        """The lines that it may be in."""
        return (None,) if self.stand.entities is None else self.stand.entities

    def line_of(self, entity: str | None) -> tuple[str | None, ...]:
        """The line in which it takes messages to this entity, if there is one."""
        if self.stand.entities is None:
            return (None,)
        return (entity,) if entity in self.stand.entities else ()


class StandingBots:
    """The bots that stand at this object, in storage and in memory."""

    def __init__(self, storage: Storage, unfinished: Iterable[Message]) -> None:
        self._storage = storage
        self._bots: dict[str, StandingBot] = {}
        self.by_socket: Mapping[str, StandingBot] = self._bots
        """All of them."""
        self._held: dict[str, dict[str, str | None]] = {}
        """The messages that are held through each socket, with their entities; also of sockets that are gone."""
        self._counts: dict[str, Counter[str | None]] = {}
        """How many of each entity that are."""
        self._lines: dict[str | None, OrderedDict[Place, None]] = {}
        self._newest = 0
        for message in unfinished:
            self._note(message, is_held=True)
        for name, stored in sorted(_stored(storage), key=lambda one: (one[1].since, one[0])):
            self._bots[name] = StandingBot(stored.stand)
            self._newest = max(self._newest, stored.since - 1)
            self._settle(name, self._bots[name].lines, stored.since)

    def __len__(self) -> int:
        return len(self._bots)

    def __iter__(self) -> Iterator[str]:
        return iter(self._bots)

    def __contains__(self, socket: str | UnsetType) -> bool:
        return socket in self._bots

    @property
    def entities(self) -> Iterable[str]:
        """The entities for which a hand is free."""
        return filter(None, self._lines)

    def get(self, socket: str) -> Stand | None:
        """The bot at this socket, if it stands here."""
        bot = self._bots.get(socket)
        return None if bot is None else bot.stand

    def held(self, socket: str) -> tuple[str, ...]:
        """The ids of the messages that are held through it."""
        return tuple(self._held.get(socket, ()))

    # -- Who stands

    def put(self, stand: Stand, now: int) -> None:
        """It stands here from now on, with these hands; if it does already, it keeps its places."""
        known = self._bots.get(stand.socket)
        if known is not None and known.stand == stand:
            return
        since = max(now, self._newest + 1)
        self._storage.put(PREFIX + stand.socket, _encode(_Stored(since, stand)))
        bot = StandingBot(stand)
        if known is not None:
            bot.places = known.places
            self._leave(bot, [line for line in known.places if line not in set(bot.lines)])
        self._bots[stand.socket] = bot
        self._settle(stand.socket, bot.lines, now)

    def remove(self, socket: str) -> bool:
        """It stands here no more; what it holds stays as it is. Returns whether it did."""
        bot = self._bots.pop(socket, None)
        if bot is None:
            return False
        self._leave(bot, list(bot.places))
        self._storage.delete(PREFIX + socket)
        return True

    def of_past_lives(self, gateway: str, life: int, limit: int) -> list[str]:
        """Up to ``limit`` sockets of this gateway from before its last start."""
        stands = [bot.stand for bot in self._bots.values()]
        return [stand.socket for stand in stands if stand.gateway == gateway and stand.life < life][:limit]

    # -- Hands

    def first(self, entity: str | None, *, of_any: bool = False) -> Place | None:
        """The place of the bot that has waited longest with a hand free for ``entity``; with ``of_any`` for any entity."""
        lines = self._lines.values() if of_any else filter(None, (self._lines.get(entity), self._lines.get(None)))
        return min(map(next, map(iter, lines)), default=None)

    def serves(self, entity: str) -> bool:
        """Whether a bot stands here that takes messages to this entity, also if it has no hand free at the moment."""
        if self.first(entity) is not None:
            return True
        stands = (bot.stand for bot in self._bots.values() if bot.stand.hands)
        return any(stand.entities is None or stand.entities.get(entity) for stand in stands)

    def free(self, socket: str) -> tuple[str, ...] | None:
        """The entities for which it has a hand free; None if it takes all and has one free; () if it has left."""
        bot = self._bots.get(socket)
        if bot is None:
            return ()
        if bot.stand.entities is None:
            return None if self._has_free(bot, None) else ()
        return tuple(entity for entity in bot.stand.entities if self._has_free(bot, entity))

    def change(self, old: Message | None, new: Message, now: int) -> str | None:
        """A message has changed; returns the socket of the bot that does not hold it any more, if one did."""
        before = UNSET if old is None else old.bot_params.socket
        if before == new.bot_params.socket:  # nearly always none
            return None
        self._note(new, is_held=True)
        self._move(new, now)
        if old is None or before is UNSET:
            return None
        self._note(old, is_held=False)
        self._move(old, now)
        return before

    def _move(self, message: Message, now: int) -> None:
        """Its bot has one message more or less: if it still has a hand free for it, it is now the last in line."""
        socket = message.bot_params.socket
        bot = None if socket is UNSET else self._bots.get(socket)
        if bot is None:
            return
        line = bot.line_of(_entity_of(message))
        self._leave(bot, [name for name in line if name in bot.places])
        was_in_line, is_in_line = bool(bot.places), self._total_free(bot) > 0
        self._settle(bot.stand.socket, line if was_in_line == is_in_line else bot.lines, now)

    def _note(self, message: Message, *, is_held: bool) -> None:
        socket = message.bot_params.socket
        if socket is UNSET:
            return
        held, counts = self._held.setdefault(socket, {}), self._counts.setdefault(socket, Counter())
        if is_held:
            held[message.id] = _entity_of(message)
            counts[held[message.id]] += 1
            return
        entity = held.pop(message.id)
        counts[entity] -= 1
        if not held:
            del self._held[socket], self._counts[socket]

    def _total_free(self, bot: StandingBot) -> int:
        return bot.stand.hands - len(self._held.get(bot.stand.socket, ()))

    def _has_free(self, bot: StandingBot, entity: str | None) -> bool:
        if self._total_free(bot) <= 0:
            return False
        if bot.stand.entities is None:
            return True
        counts = self._counts.get(bot.stand.socket)
        return bot.stand.entities.get(entity or "", 0) > (counts[entity] if counts else 0)

    # -- Lines

    def _settle(self, socket: str, lines: Iterable[str | None], now: int) -> None:
        """Put the bot into those of these lines for which it has a hand free, and out of the others."""
        bot = self._bots[socket]
        place = None
        for line in lines:
            if not self._has_free(bot, line):
                self._leave(bot, [line] if line in bot.places else [])
            elif line not in bot.places:
                if place is None:
                    self._newest = max(now, self._newest + 1)
                    place = (self._newest, socket)
                bot.places[line] = place
                self._lines.setdefault(line, OrderedDict())[place] = None

    def _leave(self, bot: StandingBot, lines: Iterable[str | None]) -> None:
        for line in lines:
            of_line = self._lines[line]
            del of_line[bot.places.pop(line)]
            if not of_line:
                del self._lines[line]


def _entity_of(message: Message) -> str | None:
    assigned = message.bot_params.assigned_entity
    return message.bot_params.entity or (None if assigned is UNSET else assigned)


def _stored(storage: Storage) -> Iterator[tuple[str, _Stored]]:
    after = ""
    while entries := storage.list(PREFIX, after=after):
        for after, encoded in entries:
            yield after.removeprefix(PREFIX), _decode(encoded)
