"""How long it takes until a reader at another gateway sees a post, and until a visitor has the reply."""

import asyncio
import json
import statistics
import time
from typing import NamedTuple

import httpx
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.restate.systems import System

POSTS = 100
WARM_UP = 10
PAUSE_SECONDS = 0.05
"""Between posts, so that each is followed on its own."""
ARRIVAL_SECONDS = 30


class Seen(NamedTuple):
    """Times from the request of a post, in milliseconds."""

    acknowledged: list[float]
    """Until its answer."""
    seen: list[float]
    """Until a reader at the last gateway has it."""

    def __str__(self) -> str:
        answered, seen = (sorted(times) for times in self)
        return (
            f"acknowledged after {statistics.median(answered):.1f} ms; seen at the other gateway after "
            f"{statistics.median(seen):.1f} ms, at worst {seen[-1]:.1f} ms"
        )


def seen(system: System, posts: int = POSTS) -> Seen:
    """Post at the first gateway, read at the last."""
    return asyncio.run(_seen(system, posts))


async def _seen(system: System, posts: int) -> Seen:
    url = system.urls[-1].replace("http", "ws", 1) + "/api/ws"
    answered, arrived = [], []
    async with (
        httpx.AsyncClient(base_url=system.urls[0], timeout=ARRIVAL_SECONDS, trust_env=False) as http,
        connect(url, proxy=None, compression=None) as socket,
    ):
        for _ in range(posts + WARM_UP):
            one = await _one(http, socket)
            answered.append(one[0])
            arrived.append(one[1])
            await asyncio.sleep(PAUSE_SECONDS)
    return Seen(answered[WARM_UP:], arrived[WARM_UP:])


async def _one(http: httpx.AsyncClient, socket: ClientConnection) -> tuple[float, float]:
    began = time.perf_counter()
    body = {"text": "Why is space black?", "username": "Bench", "color": "169080199", "botParams": {"entity": "key-1"}}
    posting = asyncio.create_task(_post(http, body, began))
    arrivals: dict[str, float] = {}
    while True:
        for event in json.loads(await asyncio.wait_for(socket.recv(), ARRIVAL_SECONDS))["events"]:
            if event["type"] == "message":
                arrivals[event["message"]["id"]] = (time.perf_counter() - began) * 1e3
        if arrivals:
            message, answered = await posting
            if message in arrivals:
                return answered, arrivals[message]


async def _post(http: httpx.AsyncClient, body: object, began: float) -> tuple[str, float]:
    answer = (await http.post("/api/comments", json=body)).raise_for_status()
    return str(answer.json()["id"]), (time.perf_counter() - began) * 1e3
