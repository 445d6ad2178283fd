"""Several gateways in front of the same objects, over a network that delays, reorders and loses: they are one wall."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from unittest import mock

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_objects.simulated import SimulatedRuntime
from durable_objects.wire import WireRuntime
from profiles import examples
from saywhatwant.queue import read_cache
from saywhatwant.settings import load
from saywhatwant.worker import create_worker, queue_events
from scenario import run, turns

pytestmark = pytest.mark.usefixtures("no_settings")

Json = dict[str, Any]
TOPOLOGIES = ["single", "per-entity"]
STEPS = ["post", "post", "claim", "progress", "complete", "join", "come back", "leave", "lose", "keep"]
TURNS = [0, 0, 1, 3, 20]
"""Of the event loop, after a step."""


class Reader:
    """One page: a WebSocket at some gateway, and all that it received. It may come back at another one."""

    def __init__(self, gateway: "Gateway") -> None:
        self.events: list[Json] = []
        self.since = "0"
        self._sent: asyncio.Queue[Json] = asyncio.Queue()
        self.connect(gateway)

    def connect(self, gateway: "Gateway") -> None:
        self._sent = asyncio.Queue()
        self._sent.put_nowait({"type": "websocket.connect"})
        scope: Json = {
            "type": "websocket",
            "path": "/api/ws",
            "query_string": f"since={self.since}".encode(),
            "headers": [],
            "client": ("192.0.2.1", 1),
            "extensions": {"websocket.http.response": {}},
        }
        self.task = asyncio.create_task(gateway.app(scope, self._sent.get, self._receive))

    async def leave(self) -> None:
        self._sent.put_nowait({"type": "websocket.disconnect", "code": 1_001})
        await self.task

    async def _receive(self, message: Any) -> None:
        if message["type"] == "websocket.send":
            frame = json.loads(message["text"])
            self.events += frame["events"]
            self.since = str(frame["seq"])

    def messages(self) -> dict[str, Json]:
        """The last state of each message that came; each state came once, and in order."""
        last: dict[str, Json] = {}
        for message in (event["message"] for event in self.events if event["type"] == "message"):
            known = last.get(message["id"])
            assert known is None or known["seq"] < message["seq"], "P5: twice, or out of order"
            last[message["id"]] = message
        return last


class Gateway:
    """One server process, without its sockets."""

    def __init__(self, runtime: Any, topology: str) -> None:
        self.worker = create_worker(runtime, load(topology=topology))
        self.app: Any = self.worker.app
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://127.0.0.1")
        self.held: list[Json] = []

    async def post(self, entity: str | None = "zen") -> str | None:
        body = {"text": "Why?", "username": "Human", "color": "169080199", "botParams": {"entity": entity}}
        answer = await self.http.post("/api/comments", json=body)
        return answer.json()["id"] if answer.is_success else None

    async def claim(self, *entities: str, worker: str = "bot", wait: float = 0) -> list[Json]:
        body = {"workerId": worker, "entities": entities, "wait": wait} if entities else {"workerId": worker, "wait": wait}
        answer = await self.http.post("/api/queue/claim", json=body)
        messages: list[Json] = answer.json()["messages"] if answer.is_success else []
        self.held += messages
        return messages

    async def work(self, call: str, message: Json, **more: object) -> None:
        body = {"messageId": message["id"], "workerId": "bot", "attempt": message["botParams"]["attempt"]}
        await self.http.post(f"/api/queue/{call}", json=body | more)

    async def entity(self, name: str) -> tuple[bool, str | None]:
        """Whether it is served, and why not."""
        entities = (await self.http.get("/api/entities")).raise_for_status().json()["entities"]
        (found,) = [entity for entity in entities if entity["name"] == name]
        return found["served"], found["reason"]

    async def metric(self, name: str) -> float:
        """A metric without labels."""
        lines = (await self.http.get("/metrics")).raise_for_status().text.splitlines()
        (value,) = [line.partition(" ")[2] for line in lines if line.startswith(f"{name} ")]
        return float(value)

    async def wall(self) -> dict[str, Json]:
        messages = (await self.http.get("/api/comments")).raise_for_status().json()
        return {message["id"]: message for message in messages}


class Gateways:
    """Two of them over one runtime. Make it inside a running event loop."""

    def __init__(self, topology: str, seed: int = 0) -> None:
        self.host = SimulatedRuntime()
        self.runtime = WireRuntime(self.host, seed=seed)
        self.both = [Gateway(runtime, topology) for runtime in (self.runtime, self.runtime.gateway())]
        self.readers: list[Reader] = []
        self._tasks: list[asyncio.Task[Any]] = []

    def lose(self, share: float) -> None:
        """The network loses this share of all calls, answers and signals."""
        network = self.runtime.network
        network.lost_calls = network.lost_answers = network.lost_signals = share

    def take(self, step: str, gateway: Gateway, pick: int) -> None:
        """Begin a step of a reader, a visitor or a bot."""
        held = [message for one in self.both for message in one.held]
        steps: dict[str, Callable[[], Awaitable[object] | None]] = {
            "post": lambda: gateway.post(["zen", "rude", None][pick % 3]),
            "claim": gateway.claim,
            "progress": lambda: gateway.work("progress", held[pick % len(held)], text="x" * (pick + 1)) if held else None,
            "complete": lambda: gateway.work("complete", held[pick % len(held)], reply={"text": "So."}) if held else None,
            "join": lambda: self.readers.append(Reader(gateway)),
            "leave": lambda: self.readers[pick % len(self.readers)].leave() if self.readers else None,
            "come back": lambda: self.come_back(gateway, pick),
            "lose": lambda: self.lose(0.2),
            "keep": lambda: self.lose(0),
        }
        begun = steps[step]()
        if begun is not None:
            self._tasks.append(asyncio.ensure_future(begun))

    def come_back(self, gateway: Gateway, pick: int) -> None:
        gone = [reader for reader in self.readers if reader.task.done()]
        if gone:
            gone[pick % len(gone)].connect(gateway)

    async def settle(self) -> None:
        """All that is on its way arrives, and all readers are connected."""
        self.lose(0)
        await asyncio.gather(*self._tasks)
        for _ in range(10):
            await turns()
        for number, reader in enumerate(self.readers):
            if reader.task.done():
                reader.connect(self.both[number % 2])
        for _ in range(10):
            await turns()

    async def close(self) -> None:
        for reader in self.readers:
            await reader.leave()
        for gateway in self.both:
            gateway.worker.waiters.close()
            await gateway.worker.events.aclose()
            await gateway.http.aclose()


def with_gateways(scenario: Callable[[Gateways], Awaitable[None]], topology: str = "single") -> None:
    """Run ``scenario`` with two gateways."""

    async def whole() -> None:
        gateways = Gateways(topology)
        try:
            await scenario(gateways)
        finally:
            await gateways.close()

    run(whole())


@pytest.mark.parametrize("topology", TOPOLOGIES)
@settings(max_examples=examples(60))
@given(
    seed=st.integers(0, 1_000),
    steps=st.lists(
        st.tuples(st.sampled_from(STEPS), st.integers(0, 1), st.integers(0, 9), st.sampled_from(TURNS)),
        min_size=10,
        max_size=40,
    ),
)
def test_p5_readers_at_both_gateways_get_every_change_wherever_it_was_made(
    topology: str, seed: int, steps: list[tuple[str, int, int, int]]
) -> None:
    """Also one who goes and comes back at the other gateway with its token."""

    async def scenario() -> None:
        gateways = Gateways(topology, seed)
        for step, number, pick, turns_after in steps:
            gateways.take(step, gateways.both[number], pick)
            for _ in range(turns_after):
                await asyncio.sleep(0)
        await gateways.settle()
        walls = [await gateway.wall() for gateway in gateways.both]
        assert walls[0] == walls[1]
        for reader in gateways.readers:
            assert not reader.task.done()
            assert reader.messages() == walls[0]
        await gateways.close()

    with mock.patch.object(queue_events, "FIRST_RESUME_SECONDS", 0):
        run(scenario())


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_an_entity_is_served_at_both_gateways_whichever_its_bot_claims_at(topology: str) -> None:
    nobody = (False, "no bot answers for it at the moment")

    async def scenario(gateways: Gateways) -> None:
        here, there = gateways.both
        assert await there.entity("zen") == nobody
        waiting = asyncio.create_task(here.claim("zen", wait=60))
        await gateways.settle()
        assert (await there.entity("zen"), await there.entity("rude")) == ((True, None), nobody)
        await there.post("zen")
        (message,) = await waiting
        assert await there.entity("zen") == (True, None), "it writes an answer"
        await here.work("complete", message)
        assert await there.entity("zen") == nobody, "nothing shows that it will claim again"
        assert await here.entity("zen") == (True, None)
        report = {"workerId": "bot", "provider": "http://10.0.0.5", "entities": ["zen"], "seconds": 60, "reason": "down"}
        (await here.http.post("/api/queue/circuit", json=report)).raise_for_status()
        for gateway in gateways.both:
            assert await gateway.entity("zen") == (True, "its model does not answer at the moment")

    with_gateways(scenario, topology)


def test_leases_that_run_out_are_counted_once_for_all_gateways() -> None:
    async def scenario(gateways: Gateways) -> None:
        here, there = gateways.both
        for _ in range(3):
            await here.post()
        await here.claim()
        await there.claim()
        gateways.host.advance(60)
        for gateway in gateways.both:
            assert await gateway.metric("sww_lease_expiries_total") == 2

    with_gateways(scenario)


def test_p2_gateways_share_the_cached_reads_and_none_is_older_than_the_last_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []
    page_of = read_cache.page_of

    def counting(seq: int, *given: Any) -> read_cache.Page:
        encoded.append(seq)
        return page_of(seq, *given)

    monkeypatch.setattr(read_cache, "page_of", counting)

    async def scenario() -> None:
        runtime = SimulatedRuntime()
        here, there = Gateway(runtime, "single"), Gateway(runtime, "single")
        for number in range(1, 4):
            await here.post()
            assert len(await there.wall()) == len(await here.wall()) == number
        assert encoded == [1, 2, 3]

    run(scenario())
