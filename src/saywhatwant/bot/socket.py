"""One open socket of a bot: frames out, and their answers."""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct
from msgspec.structs import replace

from saywhatwant import frames, schemas
from saywhatwant.bot.connection import Connection, SocketEnded
from saywhatwant.client import ClaimedTalk, ServerRefused, ServerUnavailable
from saywhatwant.message import Message

ANSWER_SECONDS = 40.0
"""Seconds that a frame may wait for its answer: longer than a server waits for its disk. Then the socket is given up."""
TEMPORARY = {408, 425, 429}
"""Statuses below 500 after which the same call may succeed."""
SERVER_ERRORS = 500


class Given(Struct, frozen=True, tag_field="type", tag="message"):
    """``frames.Work``, decoded."""

    message: Message
    talk: ClaimedTalk | None = None


class Welcomed(Struct, frozen=True, tag_field="type", tag="welcome"):
    """``frames.Welcome``, decoded."""

    socket: str
    held: list[frames.Hold]
    id: int
    conflicts: list[schemas.Conflict] = []


class _Done(Struct, frozen=True, tag_field="type", tag="ok"):
    id: int
    result: Raw = Raw(b"null")
    conflicts: list[schemas.Conflict] = []


class _Problem(Struct, frozen=True):
    status: Annotated[int, Meta(ge=400)]
    detail: str


class _Refused(Struct, frozen=True, tag_field="type", tag="problem"):
    problem: _Problem
    id: int | None = None


class Lost(Struct, frozen=True, rename="camel", tag_field="type", tag="lost"):
    """``frames.Lost``, decoded."""

    message_id: str
    attempt: int


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Given | Welcomed | _Done | _Refused | Lost).decode


class Socket:
    """See the module.

    ``on_given`` and ``on_lost`` get what comes unasked; ``on_end`` is called once, when nothing more comes.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        on_given: Callable[[Given], None],
        on_lost: Callable[[Lost], None],
        on_conflicts: Callable[[list[schemas.Conflict]], None],
        on_end: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._on_given = on_given
        self._on_lost = on_lost
        self._on_conflicts = on_conflicts
        self._on_end = on_end
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self.has_ended = False
        self._reading = asyncio.create_task(self._read())

    async def call(self, frame: frames.Frame) -> Any:  # noqa: ANN401 - a welcome, or what the call of that name answers
        """The answer to a frame.

        Raises ``ServerRefused``, ``ServerUnavailable``, or ``SocketEnded``: then the outcome is unknown.
        """
        if self.has_ended:
            raise SocketEnded("the socket has ended")
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._connection.send(_encode(replace(frame, id=number)).decode())
            async with asyncio.timeout(ANSWER_SECONDS):
                return await answer
        except SocketEnded:
            # Everybody knows of the end before the caller does: who tries again finds another socket, or waits for one.
            answer.cancel()
            await asyncio.wait([self._reading])
            raise
        except TimeoutError:
            await self.close()
            raise SocketEnded(f"no answer within {ANSWER_SECONDS:g} seconds") from None
        finally:
            del self._waiting[number]

    async def close(self) -> None:
        """End it."""
        await self._connection.close()
        await asyncio.wait([self._reading])

    async def _read(self) -> None:
        try:
            while (text := await self._connection.receive()) is not None:
                for line in text.split("\n"):
                    self._take(line)
        except msgspec.MsgspecError as error:
            await self._connection.close()
            self._end(f"the server sends what is no frame: {error}")
        else:
            self._end("the socket has ended")

    def _end(self, why: str) -> None:
        self.has_ended = True
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(SocketEnded(why))
        self._on_end()

    def _take(self, line: str) -> None:
        match _decode(line):
            case Given() as given:
                self._on_given(given)
            case Lost() as lost:
                self._on_lost(lost)
            case _Refused(problem, number):
                self._answer(number, _error(problem))
            case Welcomed() as welcome:
                self._on_conflicts(welcome.conflicts)
                self._answer(welcome.id, welcome)
            case _Done(number, result, conflicts):
                self._on_conflicts(conflicts)
                self._answer(number, result)

    def _answer(self, number: int | None, outcome: object) -> None:
        answer = None if number is None else self._waiting.get(number)
        if answer is None or answer.done():
            return
        if isinstance(outcome, Exception):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)


def _error(problem: _Problem) -> Exception:
    if problem.status >= SERVER_ERRORS or problem.status in TEMPORARY:
        return ServerUnavailable(problem.detail)
    return ServerRefused(problem.status, problem.detail)
