"""The figures that operators look at: what they count, who gets them, and that nothing runs while nobody looks."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from durable_objects.simulated import SimulatedRuntime
from saywhatwant.settings import load
from saywhatwant.worker import create_worker
from scenario import until

pytestmark = pytest.mark.usefixtures("no_settings")

Json = dict[str, Any]
TOKEN = "a-token-that-nobody-guesses"  # noqa: S105 - the test's own
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures come a hundred times a second."""
    monkeypatch.setattr("saywhatwant.worker.ops_sockets.FIGURES_SECONDS", 0.01)


class Looking:
    """A socket of an operator, without a network."""

    def __init__(self, app: Any, headers: dict[str, str]) -> None:
        self.frames: list[Json] = []
        self.status = 0
        self.close_code: int | None = None
        self.body = b""
        self._from_client: asyncio.Queue[Json] = asyncio.Queue()
        self._from_client.put_nowait({"type": "websocket.connect"})
        scope = {
            "type": "websocket",
            "path": "/api/ops/ws",
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "subprotocols": [],
            "scheme": "ws",
            "extensions": {"websocket.http.response": {}},
        }
        self.task = asyncio.create_task(app(scope, self._from_client.get, self._send))

    def say(self, text: str) -> None:
        self._from_client.put_nowait({"type": "websocket.receive", "text": text})

    async def leave(self) -> None:
        self._from_client.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await self.task

    async def _send(self, message: Json) -> None:
        match message["type"]:
            case "websocket.accept":
                self.status = 101
            case "websocket.send":
                self.frames.append({"pong": True} if message["text"] == "pong" else json.loads(message["text"]))
            case "websocket.close":
                self.close_code = message["code"]
                self._from_client.put_nowait({"type": "websocket.disconnect", "code": message["code"]})
            case "websocket.http.response.start":
                self.status = message["status"]
            case "websocket.http.response.body":
                self.body += message["body"]


class App:
    """The app on a simulated runtime."""

    def __init__(self, **settings: object) -> None:
        self.runtime = SimulatedRuntime()
        self.worker = create_worker(self.runtime, load(**settings), dollars=lambda usage: usage.requests / 100)
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(self.worker.app), base_url="http://127.0.0.1")

    def look(self, headers: dict[str, str] | None = None) -> Looking:
        return Looking(self.worker.app, headers or {})

    @property
    def listeners(self) -> int:
        return len(self.worker.events._listeners)

    async def call(self, path: str, body: Json | None = None) -> Json:
        done = self.http.get(path) if body is None else self.http.post(path, json=body)
        answer: Json = (await done).raise_for_status().json()
        return answer

    async def figures(self) -> Json:
        return await self.call("/api/ops/figures")

    async def figures_with(self, has: Callable[[Json], bool]) -> Json:
        """The figures once they have what events bring, which may come after the answers of calls."""
        for _ in range(1_000):
            if has(figures := await self.figures()):
                break
            await asyncio.sleep(0)
        return figures

    async def ask(self, text: str = "Why?") -> Json:
        """A question that a bot holds."""
        body = {"text": text, "username": "Human", "color": "169080199", "botParams": {"entity": "zen"}}
        posted = await self.call("/api/comments", body)
        hold = {"messageId": posted["id"], "workerId": "night-bot"}
        await self.call("/api/queue/claim", {"workerId": "night-bot", "entities": ["zen"], "version": "1"})
        return hold | {"attempt": 1}


def with_app(scenario: Callable[[App], Awaitable[None]], **settings: object) -> None:
    async def run() -> None:
        app = App(**settings)
        async with app.http:
            try:
                await scenario(app)
            finally:
                await app.worker.events.aclose()

    asyncio.run(run())


def test_posts_answers_and_attempts_that_ended_are_counted_while_somebody_looks() -> None:
    async def scenario(app: App) -> None:
        await app.ask("before anybody looks")
        first = await app.figures()
        assert (first["posts"], first["answers"], first["overview"]["ended"]) == (0, 0, 0)
        assert "latency" not in first
        hold = await app.ask()
        await app.call("/api/queue/progress", hold | {"text": "", "state": "waking"})
        waking = await app.figures_with(lambda figures: bool(figures["atWork"]))
        assert [(work["state"], work["entity"]) for work in waking["atWork"]] == [("waking", "zen")]
        await app.call("/api/queue/complete", hold | {"reply": {"text": "So."}})
        hold = await app.ask("and why?")
        await app.call("/api/queue/fail", hold | {"error": "no words", "retry": False})
        second = await app.figures_with(lambda figures: figures["posts"] == 2)
        assert (second["posts"], second["answers"], second["overview"]["ended"]) == (2, 1, 1)
        assert second["countingSince"] == first["countingSince"]
        assert second["latency"]["p50"] <= second["latency"]["p99"]
        assert second["atWork"] == []
        assert second["commits"] > first["commits"]
        assert second["dollars"] > first["dollars"]
        (attempt,) = second["overview"]["latest"]
        assert (attempt["messageId"], attempt["workerId"], attempt["reason"]) == (hold["messageId"], "night-bot", "no words")
        (bot,) = second["bots"]
        assert (bot["workerId"], bot["here"], bot["version"]) == ("night-bot", True, "1")

    with_app(scenario)


def test_the_oldest_message_of_each_entity_is_shown_with_the_depths() -> None:
    async def scenario(app: App) -> None:
        for entity in ("zen", "eliza", "zen"):
            body = {"text": "Why?", "username": "Human", "color": "169080199", "botParams": {"entity": entity}}
            await app.call("/api/comments", body)
        wall: Any = await app.call("/api/comments?order=asc")
        times = {message["botParams"]["entity"]: message["timestamp"] for message in wall}
        overview = (await app.figures())["overview"]
        assert overview["oldest"].keys() == {"zen", "eliza"}
        assert overview["oldest"]["eliza"] == times["eliza"]
        assert overview["oldest"]["zen"] < times["zen"], "the older of the two"
        assert overview["stats"]["entities"]["zen"]["pending"] == 2

    with_app(scenario)


def test_nothing_listens_and_nothing_runs_when_nobody_has_looked_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saywhatwant.worker.ops_figures.LOOK_SECONDS", 0.01)

    async def scenario(app: App) -> None:
        before = app.listeners
        looking = app.look()
        await until(lambda: len(looking.frames) >= 3)
        assert app.listeners == before + 1
        await looking.leave()
        await until(lambda: app.listeners == before)
        calls = app.runtime.meter.calls
        await until(lambda: not any("_look" in repr(task) for task in asyncio.all_tasks()))
        await asyncio.sleep(0.1)
        assert app.runtime.meter.calls == calls, "the object is not asked"
        await app.ask()
        assert (await app.figures())["posts"] == 0, "nothing was counted meanwhile"

    with_app(scenario)


def test_who_looks_gets_figures_again_after_an_error_that_nobody_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(app: App) -> None:
        looking = app.look()
        await until(lambda: bool(looking.frames))
        failed: list[bool] = []

        def fail(_: object) -> bytes:
            failed.append(True)
            raise ZeroDivisionError

        with monkeypatch.context() as broken:
            broken.setattr("saywhatwant.worker.ops_sockets._encode", fail)
            await until(lambda: bool(failed))
        before = len(looking.frames)
        await until(lambda: len(looking.frames) > before)
        await looking.leave()

    with_app(scenario)


def test_many_who_look_cost_the_object_as_much_as_one() -> None:
    async def scenario(app: App) -> None:
        many = [app.look() for _ in range(20)]
        await until(lambda: all(len(looking.frames) >= 5 for looking in many))
        # All have the same figures, but for the first ones of those that came later.
        made = {frame["at"] for looking in many for frame in looking.frames}
        assert len(made) <= max(len(looking.frames) for looking in many)
        for looking in many:
            await looking.leave()

    with_app(scenario)


def test_p8_only_operators_look_and_a_socket_says_why_it_is_refused() -> None:
    async def scenario(app: App) -> None:
        for headers, status in (({}, 401), ({"Authorization": "Bearer wrong"}, 401)):
            refused = app.look(headers)
            await refused.task
            assert refused.status == status
            assert json.loads(refused.body)["type"] == "urn:saywhatwant:problem:not-allowed"
        looking = app.look(BEARER)
        await until(lambda: bool(looking.frames))
        looking.say("ping")
        await until(lambda: {"pong": True} in looking.frames)
        looking.say("anything else")
        await looking.task
        assert looking.close_code == 1008

    with_app(scenario, bot_token=TOKEN)


def test_p8_without_a_token_this_servers_own_page_looks_and_no_other_one_does() -> None:
    async def scenario(app: App) -> None:
        host = {"Host": "127.0.0.1:8787"}
        looking = app.look(host | {"Origin": "http://127.0.0.1:8787"})
        await until(lambda: bool(looking.frames))
        await looking.leave()
        refused = app.look(host | {"Origin": "https://elsewhere.example"})
        await refused.task
        assert refused.status == 403

    with_app(scenario)


def test_p8_there_is_a_bound_of_those_who_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saywhatwant.worker.ops_sockets.MAX_LOOKING", 1)

    async def scenario(app: App) -> None:
        looking = app.look()
        await until(lambda: bool(looking.frames))
        refused = app.look()
        await refused.task
        assert refused.status == 429
        await looking.leave()

    with_app(scenario)
