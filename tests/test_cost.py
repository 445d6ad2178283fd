"""What a request costs, counted and not timed: calls of functions, Python's and C's, from its bytes to the object and back.

A bound that is broken says that somebody has made the hot path longer: make it shorter again, or say here why it has to be.
"""

import asyncio
import cProfile
import json
import pstats
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from durable_objects.simulated import SimulatedRuntime
from saywhatwant.settings import load
from saywhatwant.worker import create_worker
from saywhatwant.worker.connection import BoundedProtocol
from saywhatwant.worker.server import Server

pytestmark = pytest.mark.usefixtures("no_settings")

TIMES = 200
SLACK = 1.25
"""How much more than what was counted when the bound was set."""
POST = {"text": "Why is space black?", "username": "Human", "color": "169080199", "botParams": {"entity": "zen"}}


class EncodedMessage(asyncio.Transport):
    """The end of a connection that only remembers what was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.answered = asyncio.Event()

    def write(self, data: Any) -> None:
        self.sent += data
        self.answered.set()

    def is_closing(self) -> bool:
        return False


class Wall:
    """A connection to a worker in front of a simulated runtime: bytes in, bytes out, no sockets; and the requests counted."""

    def __init__(self) -> None:
        settings = load(retention=50, rate_limit=0)
        server = Server(create_worker(SimulatedRuntime(), settings), settings, on_ready=print)
        server.config.load()
        self._wire = EncodedMessage()
        self._connection = BoundedProtocol(server.config, server.server_state, {}, max_connections=1)
        self._connection.connection_made(self._wire)
        self.requests = 0

    async def ask(self, method: str, path: str, query: str = "", body: object = None) -> Any:
        """The decoded answer to one request."""
        self.requests += 1
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path}?{query} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n\r\n"
        self._wire.sent.clear()
        self._wire.answered.clear()
        self._connection.data_received(head.encode() + content)
        await self._wire.answered.wait()
        found, _, answer = bytes(self._wire.sent).partition(b"\r\n\r\n")
        assert found.startswith(b"HTTP/1.1 200 "), self._wire.sent
        return json.loads(answer)


async def posts(wall: Wall) -> None:
    for _ in range(TIMES):
        await wall.ask("POST", "/api/comments", body=POST)


async def reads_of_nothing_new(wall: Wall) -> None:
    for _ in range(TIMES):
        assert await wall.ask("GET", "/api/comments", "since=9000000000000") == []


async def reads_of_all(wall: Wall) -> None:
    for _ in range(TIMES):
        assert len(await wall.ask("GET", "/api/comments", "limit=100")) == 100


async def round_trips(wall: Wall) -> None:
    for _ in range(TIMES):
        await wall.ask("POST", "/api/comments", body=POST)
        (message,) = (await wall.ask("POST", "/api/queue/claim", body={"workerId": "bot"}))["messages"]
        fence = {"messageId": message["id"], "workerId": "bot", "attempt": 1}
        await wall.ask("POST", "/api/queue/complete", body=fence | {"reply": {"text": "Because."}})


def calls_per_request(scenario: Callable[[Wall], Awaitable[None]], *, retained: int = TIMES) -> float:
    """Counted when everything is warm and so many messages are on the wall."""
    profile = cProfile.Profile()

    async def measured() -> Wall:
        wall = Wall()
        for _ in range(retained // TIMES):
            await posts(wall)
        await scenario(wall)
        wall.requests = 0
        profile.enable()
        await scenario(wall)
        profile.disable()
        return wall

    wall = asyncio.run(measured())
    total: int = pstats.Stats(profile).total_calls  # type: ignore[attr-defined]
    return total / wall.requests


@pytest.mark.parametrize(
    ("scenario", "counted"), [(posts, 311), (reads_of_nothing_new, 160), (reads_of_all, 160), (round_trips, 384)]
)
def test_a_request_costs_no_more_than_it_did(scenario: Callable[[Wall], Awaitable[None]], counted: float) -> None:
    assert calls_per_request(scenario) <= SLACK * counted


@pytest.mark.parametrize("scenario", [posts, reads_of_nothing_new, reads_of_all, round_trips])
def test_a_request_costs_the_same_however_many_messages_wait(scenario: Callable[[Wall], Awaitable[None]]) -> None:
    assert calls_per_request(scenario, retained=20 * TIMES) <= 1.1 * calls_per_request(scenario)
