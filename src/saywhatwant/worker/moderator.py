"""The operator's rules at a server, which keeps them in memory: a post pays a look-up, and nothing where there are none."""

import asyncio
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Concatenate, ParamSpec, TypeVar

import msgspec
from msgspec.structs import replace
from starlette.requests import HTTPConnection

from durable_objects import DurableObjectError, EventsLost, Refusal, Stub
from saywhatwant.errors import InvalidField, RefusedByRule, RequestRefused, ReviewFull, SlowMode
from saywhatwant.limits import MAX_HELD_BYTES
from saywhatwant.message import NewMessage, Posted, Ruling
from saywhatwant.moderation.object import RULES, Moderation
from saywhatwant.moderation.ruleset import Ruleset
from saywhatwant.topology import Wall
from saywhatwant.worker.decoders import client_of
from saywhatwant.worker.limits import FIRST_RESUME_SECONDS, LONGEST_RESUME_SECONDS, MAX_RATE_ADDRESSES

log = logging.getLogger("saywhatwant")

P = ParamSpec("P")
R = TypeVar("R")


class SlowClients:
    """When each client has posted last. ``clock`` returns seconds and never steps back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: OrderedDict[str, float] = OrderedDict()
        """The client that posted last is at the end."""

    def enter(self, client: str, seconds: int) -> Callable[[], None]:
        """Count a post; returns what takes that back if nothing comes of it. Raises ``SlowMode``."""
        now, before = self._clock(), self._last.get(client)
        if before is not None and (left := before + seconds - now) > 0:
            raise SlowMode(seconds, math.ceil(left))
        self._last[client] = now
        self._last.move_to_end(client)
        if len(self._last) > MAX_RATE_ADDRESSES:
            self._last.popitem(last=False)

        def take_back() -> None:
            if self._last.get(client) == now:
                del self._last[client]

        return take_back


class Moderator:
    """Applies the rules to posts of people, and calls ``Moderation`` for operators.

    The first post reads the rules. What an operator changes through this server holds here before the answer. With other
    servers, this one follows the object's events: a change there holds here as soon as its event has come, which takes about as
    long as an answer of the object, and after an interruption as long as it takes to read the rules again.

    Args:
        wall: where posts go.
        moderation: the rules.
        follows: whether other servers may change them too.
        clock: seconds since 1970.
        slow: counts posts for slow mode.
        sleep: pauses the follower after an error.
    """

    def __init__(
        self,
        wall: Wall,
        moderation: Stub[Moderation],
        *,
        follows: bool,
        clock: Callable[[], float] = time.time,
        slow: SlowClients | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._wall = wall
        self._moderation = moderation
        self._follows = follows
        self._clock = clock
        self._slow = slow or SlowClients()
        self._sleep = sleep
        self._ruleset = Ruleset()
        self._is_read = False
        self._task: asyncio.Task[None] | None = None
        self.is_idle = False
        """Whether it is known that there are no rules: posts may go to the wall."""

    # -- Posts

    async def post(self, request: HTTPConnection, new: NewMessage, key: str | None) -> Posted:
        """Post by the rules; ``key`` as for ``Wall.post``.

        A post that repeats an earlier one gets the first answer, whatever the rules are now (P7). Raises ``Banned``,
        ``WordNotAllowed``, ``SlowMode``, ``ReviewFull``, ``InvalidField`` for a post that is too long to be held, and what
        ``Wall.post`` raises.
        """
        await self._know()
        if self.is_idle or new.message_type == "AI":
            return await self._wall.post(new, key)
        verdict = self._ruleset.judge(new, request.client.host if request.client else None)
        if verdict.refusal is not None:
            return await self._first_answer(new, key, verdict.refusal)
        take_back = None
        if seconds := self._ruleset.rules.slow_seconds:
            try:
                take_back = self._slow.enter(client_of(request), seconds)
            except SlowMode as error:
                return await self._first_answer(new, key, error)
        try:
            if verdict.held_for is not None:
                return await self._hold(new, key, verdict.held_for)
            return await self._wall.post(new, key)
        except (Refusal, RequestRefused):
            if take_back is not None:
                take_back()
            raise

    async def _hold(self, new: NewMessage, key: str | None, phrase: str) -> Posted:
        size = len(msgspec.json.encode(new))
        if size > MAX_HELD_BYTES:
            rule = f"must leave the post with at most {MAX_HELD_BYTES} bytes, since it would wait for review; it has {size}"
            return await self._first_answer(new, key, InvalidField("text" if new.context is None else "context", rule))
        try:
            await self._moderation.call(Moderation.check_room)
        except ReviewFull as error:
            return await self._first_answer(new, key, error)
        return await self._wall.post(replace(new, ruling=Ruling("hold", phrase)), key)

    async def _first_answer(self, new: NewMessage, key: str | None, refusal: Exception) -> Posted:
        """The answer to the first post with this key or id; raises ``refusal`` if this is the first one."""
        if key is None and new.id is None:
            raise refusal
        try:
            return await self._wall.post(replace(new, ruling=Ruling("refuse")), key)
        except RefusedByRule:
            raise refusal from None

    # -- Operators

    async def call(self, method: Callable[Concatenate[Moderation, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call ``Moderation``, raising as its stub."""
        return await self._moderation.call(method, *args, **kwargs)

    async def change_rules(self, method: Callable[Concatenate[Moderation, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """The same; what has changed holds here then."""
        try:
            answer = await self._moderation.call(method, *args, **kwargs)
            await self._read()
        except Refusal:
            raise
        except DurableObjectError:
            self._is_read = self.is_idle = False  # it may have changed: the next post reads the rules
            raise
        return answer

    async def settle(self) -> None:
        """Return once the wall has taken what was decided; or before, if that takes long: it is durable anyway."""
        with suppress(DurableObjectError):
            await self._moderation.settle()

    # -- The rules

    async def _know(self) -> None:
        """Read the rules if they are not known, and leave out bans that have ended."""
        if not self._is_read:
            await self._read()
            if self._follows and self._task is None:
                self._task = asyncio.create_task(self._follow())
        ends = self._ruleset.changes_at
        if ends is not None and ends <= self._clock() * 1_000:
            self._take(Ruleset(self._ruleset.rules, round(self._clock() * 1_000)))

    async def _read(self) -> None:
        rules = await self._moderation.call(Moderation.rules)
        if not self._is_read or rules.seq >= self._ruleset.rules.seq:
            self._take(Ruleset(rules, round(self._clock() * 1_000)))
            self._is_read = True

    def _take(self, ruleset: Ruleset) -> None:
        self._ruleset = ruleset
        self.is_idle = ruleset.is_empty

    async def _follow(self) -> None:
        pause = FIRST_RESUME_SECONDS
        while True:
            try:
                async with self._moderation.events(self._ruleset.rules.seq) as stream:
                    async for events in stream:
                        if RULES in events.data:
                            await self._read()
                        pause = FIRST_RESUME_SECONDS
            except EventsLost:
                with suppress(DurableObjectError):
                    self._is_read = False
                    await self._read()
            except DurableObjectError as error:
                log.debug("the events of the rules were interrupted: %s", error)
            except Exception:
                log.exception("the rules stay as they are until they can be read again")
            await self._sleep(pause)
            pause = min(2 * pause, LONGEST_RESUME_SECONDS)

    async def aclose(self) -> None:
        """End following; harmless when it has not begun."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
