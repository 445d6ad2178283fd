"""Round trips as bots make them, over their WebSocket and over HTTP: ``python -m benchmarks.bots``.

Visitors post, and bots answer at once; a visitor posts again when an answer is acknowledged, so that as many messages are on
their way at any time. Posts are the same HTTP requests for all. One server answers all kinds in turn, in the opposite order
every other round. The bot is that of ``sww bot``, with a model that answers at once: it is what limits them. Bare clients do
as little as possible, so that the server limits them: over HTTP each claims one message with a long poll, and completes it.
"""

import argparse
import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from http import HTTPStatus
from pathlib import Path
from statistics import median
from tempfile import NamedTemporaryFile
from typing import Any, NamedTuple, NoReturn

import msgspec
import structlog
import uvloop
from msgspec import Struct
from websockets.asyncio.client import connect

from benchmarks.contenders.product import Product
from benchmarks.http_connection import HttpConnection
from benchmarks.running import Running, scratch
from saywhatwant.bot import Bot
from saywhatwant.bot.connection import Connect, Connection, SocketRefused
from saywhatwant.client import WallClient
from saywhatwant.entities import Entities, Entity
from saywhatwant.frames import PATH
from saywhatwant.models import Answer, Finished, OpenCircuit, Piece, Request

MESSAGES = 32
"""Messages on their way at once; over HTTP as many bots."""
ANSWER = "y" * 300
ENTITY = f"""
[bench]
display_name = "Bench"
color = "070140180"
model = "none"
context = 0
concurrency = {MESSAGES}
"""
_POST = msgspec.json.encode(
    {"text": "x" * 300, "username": "Bench", "color": "169080199", "botParams": {"entity": "bench"}},
)


class Speed(NamedTuple):
    """Of one kind of bot in one round."""

    per_second: float
    cpu_us: float
    """The server's processor time per round trip."""


class _Params(Struct, frozen=True):
    attempt: int


class _Message(Struct, frozen=True, rename="camel"):
    id: str
    bot_params: _Params


class _Claimed(Struct, frozen=True):
    messages: list[_Message]


class _Frame(Struct, frozen=True):
    type: str
    message: _Message | None = None


_claimed = msgspec.json.Decoder(_Claimed).decode
_frame = msgspec.json.Decoder(_Frame).decode


class _Trips:
    """Counts round trips, and lets visitors post."""

    def __init__(self) -> None:
        self.done = 0
        self.may_post = asyncio.Semaphore(MESSAGES)

    def complete(self) -> None:
        """An answer is acknowledged."""
        self.done += 1
        self.may_post.release()


async def _visit(url: str, trips: _Trips) -> None:
    async with HttpConnection.open(url) as http:
        while True:
            await trips.may_post.acquire()
            await http.post("/api/comments", _POST)


async def _answer_by_http(url: str, trips: _Trips) -> None:
    async def work(number: int) -> None:
        worker = f"bench-{number}"
        claim = msgspec.json.encode({"workerId": worker, "entities": ["bench"], "wait": 60})
        async with HttpConnection.open(url) as http:
            while True:
                for message in _claimed(await http.post("/api/queue/claim", claim)).messages:
                    done = {"messageId": message.id, "workerId": worker, "attempt": message.bot_params.attempt}
                    await http.post("/api/queue/complete", msgspec.json.encode(done | {"reply": {"text": ANSWER}}))
                    trips.complete()

    await asyncio.gather(*map(work, range(MESSAGES)))


async def _answer_by_socket(url: str, trips: _Trips) -> None:
    async with connect(url.replace("http", "ws", 1) + PATH, compression=None, proxy=None, max_size=None) as socket:
        hello = {"type": "hello", "workerId": "bench", "hands": MESSAGES, "entities": {"bench": MESSAGES}}
        await socket.send(msgspec.json.encode(hello).decode())
        async for text in socket:
            answers = []
            for frame in map(_frame, str(text).split("\n")):
                if frame.message is not None:
                    answers.append(
                        msgspec.json.encode(
                            {
                                "type": "complete",
                                "id": 1,
                                "messageId": frame.message.id,
                                "attempt": frame.message.bot_params.attempt,
                                "reply": {"text": ANSWER},
                            }
                        )
                    )
                elif frame.type == "ok":
                    trips.complete()
                elif frame.type != "welcome":
                    raise AssertionError(text)
            if answers:
                await socket.send(b"\n".join(answers).decode())


class Instant:
    """A model that answers at once."""

    def warm_up(self, entity: Entity) -> None:
        """Nothing."""

    async def wake(self, entity: Entity) -> None:
        """Nothing."""

    async def window(self, entity: Entity) -> int | None:
        return entity.context_tokens

    async def stream(self, entity: Entity, request: Request) -> AsyncIterator[Piece]:  # noqa: ARG002 - it has one answer
        yield Answer(ANSWER)
        yield Finished("stop")

    def preview(self, entity: Entity, request: Request) -> dict[str, Any]:
        raise NotImplementedError

    def open_circuit(self, _: Entity) -> OpenCircuit | None:
        return None

    async def aclose(self) -> None:
        """Nothing."""


async def _no_socket(url: str, headers: Mapping[str, str]) -> Connection:  # noqa: ARG001 - for none of them
    raise SocketRefused(HTTPStatus.NOT_FOUND)


async def _answer_as_bot(url: str, trips: _Trips, connect: Connect | None) -> None:
    def count(_: object, __: str, line: MutableMapping[str, Any]) -> NoReturn:
        if line["event"] == "answered":
            trips.complete()
        raise structlog.DropEvent

    structlog.configure(processors=[count])
    with NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(ENTITY)
        file.flush()
        async with WallClient(url) as client:
            await Bot(client, "bench", Entities(Path(file.name)), Instant(), connect=connect).run()


KINDS: dict[str, Callable[[str, _Trips], Awaitable[None]]] = {
    "bot, HTTP": lambda url, trips: _answer_as_bot(url, trips, _no_socket),
    "bot, WebSocket": lambda url, trips: _answer_as_bot(url, trips, None),
    "bare client, HTTP": _answer_by_http,
    "bare client, WebSocket": _answer_by_socket,
}


async def measure(server: Running, kind: str, seconds: float) -> Speed:
    """Round trips with bots of this kind for some seconds, after a short while to begin."""
    trips = _Trips()
    tasks = [asyncio.ensure_future(KINDS[kind](server.url, trips))]
    tasks += [asyncio.ensure_future(_visit(server.url, trips)) for _ in range(MESSAGES)]
    try:
        await asyncio.wait(tasks, timeout=min(seconds, 1), return_when=asyncio.FIRST_COMPLETED)
        begun, done, cpu = time.perf_counter(), trips.done, server.cpu_seconds
        ended, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
        count, took = trips.done - done, time.perf_counter() - begun
        return Speed(count / took, (server.cpu_seconds - cpu) * 1e6 / max(count, 1))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def compare(rounds: int, seconds: float, directory: Path) -> dict[str, list[Speed]]:
    """The speeds of each kind, round by round, on one server."""
    speeds: dict[str, list[Speed]] = {kind: [] for kind in KINDS}
    with Product().start(directory) as server:
        for number in range(rounds):
            for kind in list(KINDS) if number % 2 == 0 else reversed(KINDS):
                speeds[kind].append(uvloop.run(measure(server, kind, seconds)))
    return speeds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bots", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    arguments = parser.parse_args()
    with scratch() as directory:
        speeds = compare(arguments.rounds, arguments.seconds, directory)
    for kind, found in speeds.items():
        rate, cpu = median(speed.per_second for speed in found), median(speed.cpu_us for speed in found)
        each = ", ".join(f"{speed.per_second:,.0f}" for speed in found)
        print(f"{kind}: {rate:,.0f} round trips a second, {cpu:.0f} us of the server's processor time each ({each})")
    for client in ("bot", "bare client"):
        pairs = zip(speeds[f"{client}, WebSocket"], speeds[f"{client}, HTTP"], strict=True)
        print(f"{client}, WebSocket / HTTP: {median(fast.per_second / slow.per_second for fast, slow in pairs):.2f} x")


if __name__ == "__main__":
    main()
