"""What a request costs, counted and not timed: calls of functions, Python's and C's, from the ASGI app to the object and back.

A bound that is broken says that somebody has made the hot path longer: make it shorter again, or say here why it has to be.
"""

import asyncio
import cProfile
import json
import pstats
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from durable_objects import SimulatedRuntime
from saywhatwant.settings import load
from saywhatwant.worker import create_worker

pytestmark = pytest.mark.usefixtures("no_settings")

TIMES = 200
SLACK = 1.25
"""How much more than what was counted when the bound was set."""
POST = {"text": "Why is space black?", "username": "Human", "color": "169080199", "botParams": {"entity": "zen"}}


class Wall:
    """A worker in front of a simulated runtime, asked without a server, and the requests counted."""

    def __init__(self) -> None:
        self._app = create_worker(SimulatedRuntime(), load(retention=50)).app
        self.requests = 0

    async def ask(self, method: str, path: str, query: str = "", body: object = None) -> Any:
        """The decoded answer to one request."""
        self.requests += 1
        content = json.dumps(body).encode()
        answer: list[Any] = []

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": content}

        async def send(message: Any) -> None:
            answer.append(message)

        headers = [(b"host", b"localhost")]
        scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": headers}
        await self._app(scope, receive, send)
        assert answer[0]["status"] == 200, answer
        return json.loads(bytes(answer[1]["body"]))


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
    ("scenario", "counted"), [(posts, 218), (reads_of_nothing_new, 78), (reads_of_all, 388), (round_trips, 296)]
)
def test_a_request_costs_no_more_than_it_did(scenario: Callable[[Wall], Awaitable[None]], counted: float) -> None:
    assert calls_per_request(scenario) <= SLACK * counted


@pytest.mark.parametrize("scenario", [posts, reads_of_nothing_new, reads_of_all, round_trips])
def test_a_request_costs_the_same_however_many_messages_wait(scenario: Callable[[Wall], Awaitable[None]]) -> None:
    assert calls_per_request(scenario, retained=20 * TIMES) <= 1.1 * calls_per_request(scenario)
