"""Several servers over one runtime, by HTTP: one message wakes one claim, in each topology (P4).

Over several objects a claim may be woken for two messages at once. It takes one, and gives the other to the next claim, which
may come in vain.
"""

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest

from durable_objects.simulated import SimulatedRuntime
from durable_objects.wire import WireRuntime
from saywhatwant.settings import load
from saywhatwant.worker.app import create_worker
from scenario import run, turns, until

pytestmark = pytest.mark.usefixtures("no_settings")

Json = dict[str, Any]
SERVERS = 3


class Servers:
    """Make it inside a running event loop."""

    def __init__(self, topology: str, *, wire: bool) -> None:
        host = SimulatedRuntime()
        settings = load(topology=topology, bind="127.0.0.1:0")
        over_wire = WireRuntime(host, seed=5)
        self.workers = [create_worker(over_wire.gateway() if wire else host, settings) for _ in range(SERVERS)]
        self.http = [
            httpx.AsyncClient(transport=httpx.ASGITransport(worker.app), base_url="http://127.0.0.1") for worker in self.workers
        ]
        self.calls: Counter[str] = Counter()
        """Calls of the walls by the long polls, by the methods' names."""
        self.ended: Counter[str] = Counter()
        for worker in self.workers:
            for name in ("claim_next", "cancel"):
                self._count(worker.waiters._wall, name)

    def _count(self, wall: Any, name: str) -> None:
        method = getattr(wall, name)

        async def counted(*args: object, **kwargs: object) -> Any:
            self.calls[name] += 1
            try:
                return await method(*args, **kwargs)
            finally:
                self.ended[name] += 1

        setattr(wall, name, counted)

    async def wait(self, number: int, *entities: str) -> asyncio.Task[list[str]]:
        """A claim that waits at one server; it returns the ids that it got."""

        async def claim() -> list[str]:
            body = {"workerId": f"bot of {number}", "entities": entities, "wait": 60}
            answer = (await self.http[number].post("/api/queue/claim", json=body)).raise_for_status()
            return [message["id"] for message in answer.json()["messages"]]

        waiting = sum(len(worker.waiters) for worker in self.workers)
        calls = self.calls["claim_next"]
        task = asyncio.create_task(claim())
        await until(lambda: self.ended["claim_next"] > calls)
        assert sum(len(worker.waiters) for worker in self.workers) == waiting + 1
        return task

    async def post(self, number: int, entity: str | None) -> str:
        """The id of a new message."""
        body = {"text": "Why?", "username": "Human", "color": "169080199", "botParams": {"entity": entity}}
        message_id: str = (await self.http[number].post("/api/comments", json=body)).raise_for_status().json()["id"]
        return message_id

    async def settle(self) -> None:
        """Return when all calls have ended."""
        await turns()
        await until(lambda: self.calls == self.ended)

    async def aclose(self) -> None:
        """End them."""
        for worker in self.workers:
            worker.waiters.close()
        await self.settle()
        for worker in self.workers:
            await worker.events.aclose()


@pytest.mark.parametrize("wire", [False, True], ids=["one process", "wire"])
@pytest.mark.parametrize("topology", ["single", "per-entity"])
def test_p4_each_message_wakes_one_claim_of_all_servers(topology: str, *, wire: bool) -> None:
    async def scenario() -> None:
        servers = Servers(topology, wire=wire)
        claims = [await servers.wait(number, "zen", "rude") for _ in range(3) for number in range(SERVERS)]
        entities = ("zen", "rude", None)
        posted = await asyncio.gather(*[servers.post(number % SERVERS, entities[number // 2]) for number in range(6)])
        await until(lambda: sum(claim.done() for claim in claims) == len(posted))
        await servers.settle()
        done = [claim.result() for claim in claims if claim.done()]
        assert sorted(done) == sorted([message] for message in posted)
        if topology == "single":
            assert servers.calls["claim_next"] == len(claims) + len(posted), "none in vain"
        await servers.aclose()

    run(scenario())
