"""A bot's place in line at the wall: one socket after another, and the attempts that it has through all of them."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import TypeVar

import msgspec
from msgspec import Raw

from saywhatwant import frames
from saywhatwant.bot.claims import Claimed
from saywhatwant.bot.connection import Connect, SocketEnded
from saywhatwant.bot.socket import Given, Lost, Socket, Welcomed
from saywhatwant.client import ServerRefused
from saywhatwant.schemas import Conflict

T = TypeVar("T")

MAX_REMEMBERED = 1_000
"""Attempts that are over, which may be given once more by mistake."""
REOPEN_SECONDS = 15.0
"""Seconds that a call waits for the next socket when one has ended under it."""
WELCOME_SECONDS = 15.0
"""Seconds that the server may take to welcome a bot."""


class Held:
    """A message that the bot has.

    Attributes:
        attempt: the bot's; another one once it was given the message again.
        on_lost: called when the bot does not have it any more; None until it is being answered.
        is_ending: whether a call ends the attempt, which says itself whether the bot still had it.
        again: the message in a later attempt, which has come before the answer to that call.
    """

    __slots__ = ("again", "attempt", "is_ending", "message_id", "on_lost")

    def __init__(self, message_id: str, attempt: int) -> None:
        self.message_id = message_id
        self.attempt = attempt
        self.on_lost: Callable[[ServerRefused], None] | None = None
        self.is_ending = False
        self.again: Claimed | None = None


class Line:
    """See the module.

    Args:
        url: of the socket.
        headers: of its handshake.
        worker_id: the bot's.
        connect: opens a socket.
        on_conflicts: gets other bots that answer for the same entities.

    Attributes:
        given: the messages that have come, oldest first; take them out.
        news: set when there is one, or when the socket has ended.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        worker_id: str,
        connect: Connect,
        on_conflicts: Callable[[list[Conflict]], None],
    ) -> None:
        self._url = url
        self._headers = headers
        self._worker_id = worker_id
        self._connect = connect
        self._on_conflicts = on_conflicts
        self._socket: Socket | None = None
        self._name: str | None = None
        """That of the last socket."""
        self._hands: frames.HandsFrame | None = None
        self._held: dict[str, Held] = {}
        """The messages that are being answered, or wait in ``given``."""
        self._over: OrderedDict[tuple[str, int], None] = OrderedDict()
        self.given: deque[Claimed] = deque()
        self.news = asyncio.Event()
        self._settled = asyncio.Event()
        """A socket is open, or none is expected."""
        self._settled.set()

    @property
    def is_open(self) -> bool:
        """Whether messages come."""
        return self._socket is not None

    async def open(self, hands: frames.HandsFrame) -> None:
        """Open a socket and stand in line.

        One that is open ends first. Raises ``SocketRefused``, ``SocketEnded``, ``ServerRefused`` or ``ServerUnavailable``.
        """
        if self._socket is not None:
            await self._socket.close()
        connection = await self._connect(self._url, self._headers)
        socket = Socket(
            connection,
            on_given=self._on_given,
            on_lost=self._on_lost_attempt,
            on_conflicts=self._on_conflicts,
            on_end=self._on_end,
        )
        self.given.clear()  # they come again
        self._held = {held.message_id: held for held in self._held.values() if held.on_lost is not None}
        for held in self._held.values():
            held.again = None
        answering = {held.message_id: held.attempt for held in self._held.values()}
        hello = frames.HelloFrame(
            worker_id=self._worker_id,
            hands=hands.hands,
            entities=hands.entities,
            context=hands.context,
            personas=hands.personas,
            version=hands.version,
            holds=[frames.Hold(*hold) for hold in answering.items()],
            resumes=self._name,
        )
        try:
            async with asyncio.timeout(WELCOME_SECONDS):
                welcome: Welcomed = await socket.call(hello)
        except BaseException as error:
            await socket.close()
            if isinstance(error, TimeoutError):
                raise SocketEnded(f"no welcome within {WELCOME_SECONDS:g} seconds") from None
            raise
        self._socket, self._name, self._hands = socket, welcome.socket, hands
        still = {hold.message_id: hold.attempt for hold in welcome.held}
        for message_id, attempt in answering.items():
            if message_id not in still:
                self._lose(message_id, attempt, "its socket has ended, and another bot has the message")
            elif message_id in self._held:
                self._held[message_id].attempt = still[message_id]
        self._settled.set()
        if socket.has_ended:  # right after the welcome, so that nobody else will say it
            self._on_end()

    async def set_hands(self, hands: frames.HandsFrame) -> None:
        """Have these hands from now on, if they are others."""
        if self._socket is not None and hands != self._hands:
            self._hands = hands
            await self._socket.call(hands)

    async def close(self) -> None:
        """Leave: the server gives back what this bot holds."""
        socket, self._socket = self._socket, None
        self.expect(socket=False)
        if socket is not None:
            await socket.close()

    def expect(self, *, socket: bool) -> None:
        """Whether a socket will be open soon, so that calls wait for it."""
        if socket and self._socket is None:
            self._settled.clear()
        else:
            self._settled.set()

    # -- Calls

    def attempt_of(self, message_id: str, attempt: int | None) -> int | None:
        """The attempt that this bot has now at a message: another one if it was given the message again."""
        held = self._held.get(message_id)
        return attempt if held is None else held.attempt

    def goes_on(self, message_id: str) -> bool:
        """A call that ends an attempt was refused. Returns whether the bot has the message again, and so a later one to end."""
        held = self._held.get(message_id)
        if held is None or held.again is None:
            return False
        held.attempt, held.again = held.again.message.bot_params.attempt, None
        return True

    async def call(self, frame: frames.Frame, answer: type[T]) -> T:
        """The answer to a frame; raises as ``Socket.call``, and ``SocketEnded`` when none is open."""
        if self._socket is None:
            raise SocketEnded("no socket is open")
        result: Raw = await self._socket.call(frame)
        return msgspec.json.decode(result, type=answer)

    async def reopened(self) -> None:
        """Return when there is another socket, none is expected, or one does not come."""
        try:
            async with asyncio.timeout(REOPEN_SECONDS):
                await self._settled.wait()
        except TimeoutError:
            return

    # -- Messages

    def begin(self, message_id: str, attempt: int, on_lost: Callable[[ServerRefused], None]) -> Held:
        """A message is being answered; ``on_lost`` is called when the bot does not have it any more."""
        held = self._held.setdefault(message_id, Held(message_id, attempt))
        held.on_lost = on_lost
        return held

    @contextmanager
    def ending(self, message_id: str) -> Iterator[None]:
        """While a call ends the attempt that the bot has."""
        held = self._held.get(message_id) or Held(message_id, 0)
        held.is_ending = True
        try:
            yield
        finally:
            held.is_ending = False

    def end(self, held: Held) -> None:
        """It is answered, or given back. The bot may have the same message in a later attempt, which stays or begins."""
        if self._held.get(held.message_id) is held:
            del self._held[held.message_id]
        self._over[held.message_id, held.attempt] = None
        if len(self._over) > MAX_REMEMBERED:
            self._over.popitem(last=False)
        if held.again is not None:
            self._take(held.again)
            held.again = None

    def _on_given(self, given: Given) -> None:
        message = given.message
        attempt = message.bot_params.attempt
        if (message.id, attempt) in self._over:
            return
        held = self._held.get(message.id)
        claimed = Claimed(message, given.talk)
        if held is None:
            self._take(claimed)
        elif held.is_ending and attempt > held.attempt:
            held.again = claimed
        else:
            held.attempt = attempt

    def _take(self, claimed: Claimed) -> None:
        message = claimed.message
        self._held[message.id] = Held(message.id, message.bot_params.attempt)
        self.given.append(claimed)
        self.news.set()

    def _on_lost_attempt(self, lost: Lost) -> None:
        self._hands = None  # so that it says them again, which shows that it does not hang
        self.news.set()
        self._lose(lost.message_id, lost.attempt, "its lease has run out, or it was ended")

    def _lose(self, message_id: str, attempt: int, why: str) -> None:
        held = self._held.get(message_id)
        if held is not None and held.again is not None and held.again.message.bot_params.attempt == attempt:
            held.again = None
        if held is None or held.attempt != attempt or held.is_ending:
            return
        self.end(held)
        self.given = deque(claimed for claimed in self.given if claimed.message.id != message_id)
        if held.on_lost is not None:
            held.on_lost(ServerRefused(HTTPStatus.CONFLICT, f"attempt {attempt} is over: {why}"))

    def _on_end(self) -> None:
        self._socket = None
        self.expect(socket=True)
        self.news.set()
