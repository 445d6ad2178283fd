"""What a request costs in calls of objects, entries of storage, commits and SQL: exact numbers, the same on every machine.

A number that grows makes the product slower everywhere. Bring it down again, or change it here and say why in the commit.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from durable_objects import Meter
from durable_objects.embedded import EmbeddedRuntime
from saywhatwant.settings import load
from saywhatwant.worker import create_worker
from sql_trace import SqlTrace, trace_sql

pytestmark = pytest.mark.usefixtures("no_settings")

POST = {"text": "Why is space black?", "username": "Human", "color": "169080199", "botParams": {"entity": "zen"}}


class Cost(NamedTuple):
    calls: int
    """Calls of objects."""
    reads: int
    """Entries read from storage."""
    writes: int
    deletes: int
    commits: int
    statements: int
    """SQL statements, without those of triggers."""

    def since(self, before: "Cost") -> "Cost":
        return Cost(*(now - earlier for now, earlier in zip(self, before, strict=True)))


class Client:
    """A worker in this process, without sockets, and what its requests cost."""

    def __init__(self, http: httpx.AsyncClient, meter: Meter, trace: SqlTrace) -> None:
        self._http = http
        self._meter = meter
        self._trace = trace

    async def send(self, method: str, path: str, body: object = None, **query: int) -> Any:
        """The decoded answer."""
        answer = await self._http.request(method, path, params=query, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, **more: object) -> Any:
        return await self.send("POST", "/api/comments", POST | more)

    async def claim(self) -> Any:
        (message,) = (await self.send("POST", "/api/queue/claim", {"workerId": "bot"}))["messages"]
        return {"messageId": message["id"], "workerId": "bot", "attempt": message["botParams"]["attempt"]}

    @property
    def total(self) -> Cost:
        meter = self._meter
        return Cost(meter.calls, meter.reads, meter.writes, meter.deletes, meter.commits, len(self._trace.statements))

    def start(self) -> Cost:
        """Begin to count SQL; returns the total so far."""
        self._trace.start()
        return self.total

    async def cost(self, operation: str) -> Cost:
        """What ``operation`` costs; what it needs is made before it is measured."""
        needs_claim = operation in {"complete with a reply", "fail", "extend"}
        fence: dict[str, Any] = await self.claim() if needs_claim else {}
        since = (await self.send("GET", "/api/comments", limit=1))[0]["timestamp"]
        before = self.start()
        match operation:
            case "post":
                await self.post()
            case "claim":
                await self.claim()
            case "complete with a reply":
                await self.send("POST", "/api/queue/complete", fence | {"reply": {"text": "Because."}})
            case "extend":
                await self.send("POST", "/api/queue/extend", fence)
            case "fail":
                await self.send("POST", "/api/queue/fail", fence | {"error": "not now"})
            case "read nothing new":
                assert await self.send("GET", "/api/comments", since=since) == []
            case "read all":
                await self.send("GET", "/api/comments")
            case "pending":
                await self.send("GET", "/api/queue/pending")
            case _:
                raise AssertionError(operation)
        return self.total.since(before)


@asynccontextmanager
async def worker(directory: Path, monkeypatch: pytest.MonkeyPatch, *, waiting: int) -> AsyncIterator[Client]:
    """A worker with ``waiting`` messages, all in memory."""
    trace = trace_sql(monkeypatch)
    settings = load(retention=5, rate_limit=0)
    runtime = EmbeddedRuntime(directory)
    transport = httpx.ASGITransport(app=create_worker(runtime, settings).app, client=("127.0.0.1", 1))
    async with runtime, httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        client = Client(http, runtime.meter, trace)
        await asyncio.gather(*(client.post() for _ in range(waiting)))
        yield client


READ_ONLY = Cost(calls=1, reads=0, writes=0, deletes=0, commits=0, statements=0)
ONE_WRITE = Cost(calls=1, reads=0, writes=1, deletes=0, commits=1, statements=1)
COSTS = {
    "post": ONE_WRITE,
    "claim": ONE_WRITE,
    "complete with a reply": ONE_WRITE._replace(writes=2),  # the message and its reply, in one commit
    "fail": ONE_WRITE,
    "extend": ONE_WRITE,
    "read nothing new": READ_ONLY,
    "read all": READ_ONLY,
    "pending": READ_ONLY,
}


@pytest.mark.parametrize("waiting", [3, 300])
@pytest.mark.parametrize("operation", COSTS)
def test_a_request_costs_the_same_however_many_messages_wait(
    operation: str, waiting: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cost() -> Cost:
        async with worker(tmp_path, monkeypatch, waiting=waiting) as client:
            return await client.cost(operation)

    assert asyncio.run(cost()) == COSTS[operation]


def test_p9_posts_that_come_together_share_one_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def cost() -> Cost:
        async with worker(tmp_path, monkeypatch, waiting=3) as client:
            before = client.start()
            await asyncio.gather(*(client.post() for _ in range(50)))
            return client.total.since(before)

    together = asyncio.run(cost())
    assert (together.calls, together.writes) == (50, 50)
    assert together.commits == together.statements <= 3
