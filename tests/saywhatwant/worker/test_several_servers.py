"""Several servers over one runtime, by HTTP: one message wakes one claim, in each topology (P4).

Over several objects a claim may be woken for two messages at once. It takes one, and gives the other to the next claim.
"""

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest

from durable_objects.simulated import SimulatedRuntime
from saywhatwant.settings import load
from saywhatwant.worker.app import create_worker
from scenario import run, turns

pytestmark = pytest.mark.usefixtures("no_settings")

Json = dict[str, Any]
SERVERS = 3


class Servers:
    """Make it inside a running event loop."""

    def __init__(self, topology: str) -> None:
        runtime = SimulatedRuntime()
        settings = load(topology=topology, bind="127.0.0.1:0")
        self.workers = [create_worker(runtime, settings) for _ in range(SERVERS)]
        self.http = [
            httpx.AsyncClient(transport=httpx.ASGITransport(worker.app), base_url="http://127.0.0.1") for worker in self.workers
        ]
        self.calls: Counter[str] = Counter()
        """Calls of the walls by the long polls, by the methods' names."""
        for worker in self.workers:
            for name in ("claim_next", "cancel"):
                self._count(worker.waiters._wall, name)

    def _count(self, wall: Any, name: str) -> None:
        method = getattr(wall, name)

        def counted(*args: object, **kwargs: object) -> Any:
            self.calls[name] += 1
            return method(*args, **kwargs)

        setattr(wall, name, counted)

    async def wait(self, number: int, *entities: str) -> asyncio.Task[list[str]]:
        """A claim that waits at one server; it returns the ids that it got."""

        async def claim() -> list[str]:
            body = {"workerId": f"bot of {number}", "entities": entities, "wait": 60}
            answer = (await self.http[number].post("/api/queue/claim", json=body)).raise_for_status()
            return [message["id"] for message in answer.json()["messages"]]

        task = asyncio.create_task(claim())
        await turns()
        return task

    async def post(self, number: int, entity: str | None) -> str:
        """The id of a new message."""
        body = {"text": "Why?", "username": "Human", "color": "169080199", "botParams": {"entity": entity}}
        message_id: str = (await self.http[number].post("/api/comments", json=body)).raise_for_status().json()["id"]
        return message_id

    async def aclose(self) -> None:
        """End them."""
        for worker in self.workers:
            worker.waiters.close()
        await turns()
        for worker in self.workers:
            await worker.events.aclose()


@pytest.mark.parametrize("topology", ["single", "per-entity"])
def test_p4_each_message_wakes_one_claim_of_all_servers(topology: str) -> None:
    async def scenario() -> None:
        servers = Servers(topology)
        claims = [await servers.wait(number, "zen", "rude") for _ in range(3) for number in range(SERVERS)]
        assert servers.calls == {"claim_next": 9}
        posted = [await servers.post(number % SERVERS, ("zen", "rude", None)[number // 2]) for number in range(6)]
        for _ in range(5):
            await turns()
        done = [claim.result() for claim in claims if claim.done()]
        assert sorted(done) == sorted([message] for message in posted)
        assert servers.calls["claim_next"] == 9 + 6, "none in vain"
        await servers.aclose()

    run(scenario())
