"""How long a visitor waits: from the post until the reply arrives on a WebSocket, with a model that takes no time."""

import asyncio
import json
import time

import httpx
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.running import Running

WARM_UP = 20


def post_to_reply(server: Running, messages: int) -> list[float]:
    """Post one question after another, with one bot and one reader; returns the seconds for each."""
    return replies(server.url, server.url, messages)


def replies(visitor: str, bot: str, messages: int) -> list[float]:
    """The same, of a visitor and a bot at these URLs, which may be those of two gateways."""
    return asyncio.run(_ask(visitor, bot, messages))


async def _ask(url: str, bot_url: str, messages: int) -> list[float]:
    async with (
        httpx.AsyncClient(base_url=url, timeout=90, trust_env=False) as http,
        connect(url.replace("http", "ws", 1) + "/api/ws", proxy=None, compression=None) as socket,
    ):
        bot = asyncio.create_task(_answer(bot_url))
        waits = [await _one(http, socket, bot) for _ in range(messages + WARM_UP)]
        bot.cancel()
    return waits[WARM_UP:]


async def _one(http: httpx.AsyncClient, socket: ClientConnection, bot: "asyncio.Task[None]") -> float:
    began = time.perf_counter()
    body = {"text": "Why is space black?", "username": "Bench", "color": "169080199"}
    posted = (await http.post("/api/comments", json=body)).raise_for_status().json()["id"]
    while True:
        for event in json.loads(await asyncio.wait_for(socket.recv(), 90))["events"]:
            if event["type"] == "message" and event["message"]["replyTo"] == posted:
                return time.perf_counter() - began
        if bot.done():
            bot.result()  # raises what ended it


async def _answer(url: str) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=90, trust_env=False) as http:
        while True:
            claim = {"workerId": "bench", "wait": 60}
            for message in (await http.post("/api/queue/claim", json=claim)).raise_for_status().json()["messages"]:
                complete = {
                    "messageId": message["id"],
                    "workerId": "bench",
                    "attempt": message["botParams"]["attempt"],
                    "reply": {"text": "Because.", "username": "Bench"},
                }
                (await http.post("/api/queue/complete", json=complete)).raise_for_status()
