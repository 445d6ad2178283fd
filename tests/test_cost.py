"""What a request costs in calls of objects, entries of storage, commits and SQL: exact numbers, the same on every machine.

A number that grows makes the product slower everywhere. Bring it down again, or change it here and say why in the commit.
"""

import asyncio
import json
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
from saywhatwant.worker.bot_desk import BotDesk
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
    rows_read: int = 0
    """Rows that were found in the file; what is in memory is read from there."""
    rows_written: int = 0
    """Entries and heads."""
    alarms_set: int = 0
    """Commits that moved the object's alarm."""

    def since(self, before: "Cost") -> "Cost":
        return Cost(*(now - earlier for now, earlier in zip(self, before, strict=True)))


class Client:
    """A worker in this process, without sockets, and what its requests cost."""

    def __init__(self, http: httpx.AsyncClient, meter: Meter, trace: SqlTrace, desk: BotDesk) -> None:
        self.desk = desk
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
        return Cost(
            meter.calls,
            meter.reads,
            meter.writes,
            meter.deletes,
            meter.commits,
            len(self._trace.statements),
            meter.rows_read,
            meter.rows_written,
            meter.alarms_set,
        )

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
    made = create_worker(runtime, settings)
    transport = httpx.ASGITransport(app=made.app, client=("127.0.0.1", 1))
    async with runtime, httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        client = Client(http, runtime.meter, trace, made.desk)
        await asyncio.gather(*(client.post() for _ in range(waiting)))
        yield client


READ_ONLY = Cost(calls=1, reads=0, writes=0, deletes=0, commits=0, statements=0)
ONE_WRITE = Cost(calls=1, reads=0, writes=1, deletes=0, commits=1, statements=1, rows_written=2)
MOVES_THE_ALARM = ONE_WRITE._replace(alarms_set=1)  # to the end of the earliest lease
COSTS = {
    "post": ONE_WRITE,
    "claim": MOVES_THE_ALARM,
    "complete with a reply": MOVES_THE_ALARM._replace(writes=2, rows_written=3),  # the message and its reply, in one commit
    # With the attempt that has ended, and how many have, which is read once after a wake: operators see both.
    "fail": MOVES_THE_ALARM._replace(reads=1, writes=3, statements=2, rows_written=4),
    "extend": MOVES_THE_ALARM,
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


def test_a_round_trip_through_a_bots_socket_is_two_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One has the post and the claim, the other one the reply and the completion."""

    async def cost() -> Cost:
        async with worker(tmp_path, monkeypatch, waiting=0) as client:
            await client.post(botParams={"answer": False})  # the first one has the server read the rules
            given: asyncio.Queue[Any] = asyncio.Queue()
            session = client.desk.open(lambda text: given.put_nowait(json.loads(text)))
            await session.receive('{"type":"hello","id":1,"workerId":"bot","hands":1}')
            assert (await given.get())["type"] == "welcome"
            before = client.start()
            posted = await client.post()
            message = (await given.get())["message"]
            assert message["id"] == posted["id"]
            done = {"messageId": posted["id"], "attempt": 1, "reply": {"text": "Because."}}
            await session.receive(json.dumps({"type": "complete", "id": 2, **done}))
            assert (await given.get())["type"] == "ok"
            return client.total.since(before)

    cost_of_one = asyncio.run(cost())
    assert (cost_of_one.commits, cost_of_one.statements, cost_of_one.writes) == (2, 2, 3)
    assert (cost_of_one.rows_written, cost_of_one.alarms_set) == (3 + 2, 1)


def test_p9_posts_that_come_together_share_one_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def cost() -> Cost:
        async with worker(tmp_path, monkeypatch, waiting=3) as client:
            before = client.start()
            await asyncio.gather(*(client.post() for _ in range(50)))
            return client.total.since(before)

    together = asyncio.run(cost())
    assert (together.calls, together.writes) == (50, 50)
    assert together.commits == together.statements <= 3
