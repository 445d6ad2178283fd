"""The app in this process: bounds of answers, access to figures, and counters."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any, get_type_hints
from unittest import mock

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.responses import Response
from starlette.types import ASGIApp

from durable_objects.simulated import SimulatedRuntime
from saywhatwant.limits import MAX_ANSWER_BYTES
from saywhatwant.settings import Settings, load
from saywhatwant.worker import create_worker
from saywhatwant.worker.operations import OPERATIONS, Operation
from saywhatwant.worker.ops_api import OPS_OPERATIONS, OpsApi
from saywhatwant.worker.original import ORIGINAL_OPERATIONS
from saywhatwant.worker.original.handlers import OriginalApi
from saywhatwant.worker.routes import Api

pytestmark = pytest.mark.usefixtures("no_settings")

Json = dict[str, Any]
TOKEN = "a-token-that-nobody-guesses"  # noqa: S105 - the test's own
BEARER = {"Authorization": f"Bearer {TOKEN}"}
LONGEST = "\U0001f30c" * 5_000
"""20,000 bytes."""


class App:
    """The app on a simulated runtime, and a client of it."""

    def __init__(self, settings: Settings) -> None:
        self.runtime = SimulatedRuntime()
        self.worker = create_worker(self.runtime, settings)
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(self.worker.app), base_url="http://127.0.0.1")

    async def post(self, text: str = "Why?", **more: object) -> str:
        """The id of a new message."""
        body = {"text": text, "username": "Human", "color": "169080199"} | more
        posted: Json = (await self.http.post("/api/comments", json=body)).raise_for_status().json()
        message_id: str = posted["id"]
        return message_id

    async def queue(self, call: str, **body: object) -> Json:
        """A call of the queue that succeeds."""
        done: Json = (await self.http.post(f"/api/queue/{call}", json=body)).raise_for_status().json()
        return done

    async def samples(self, name: str) -> dict[tuple[str, ...], float]:
        """A metric's values by the values of its labels, in alphabetical order of their names."""
        text = (await self.http.get("/metrics", headers=BEARER)).raise_for_status().text
        families = text_string_to_metric_families(text)
        found = (sample for family in families for sample in family.samples if sample.name == name)
        return {tuple(sample.labels[label] for label in sorted(sample.labels)): sample.value for sample in found}


def with_app(scenario: Callable[[App], Awaitable[None]], **settings: object) -> None:
    """Run ``scenario`` with a new app."""

    async def run() -> None:
        app = App(load(**settings))
        async with app.http:
            await scenario(app)

    asyncio.run(run())


@pytest.mark.parametrize(
    "operation",
    [*OPERATIONS, *OPS_OPERATIONS, *ORIGINAL_OPERATIONS],
    ids=lambda operation: f"{operation.tag} {operation.handler}",
)
def test_every_handler_takes_what_its_operation_decodes(operation: Operation) -> None:
    """The tables name handlers as text, so that no type checker looks."""
    api = {"": Api, "ops": OpsApi, "original": OriginalApi}[operation.tag]
    _, decoded, answer = get_type_hints(getattr(api, operation.handler)).values()
    assert decoded is (operation.query if operation.body is None else operation.body).kind
    assert answer is Response


# -- How long an answer may be


@pytest.mark.parametrize("query", ["", "?order=asc", "?limit=1000", "?changedAfter=0", "?changedAfter=0&limit=600"])
def test_p6_a_long_wall_is_answered_in_pages_of_a_bounded_size(query: str) -> None:
    async def scenario(app: App) -> None:
        posted = [await app.post(LONGEST) for _ in range(500)]
        sizes, read = [], []
        url: str | None = f"/api/comments{query}"
        while url is not None:
            page = (await app.http.get(url)).raise_for_status()
            sizes.append(len(page.content))
            read += [message["id"] for message in page.json()]
            url = page.links["next"]["url"] if "next" in page.links else None
        newest_first = query in {"", "?limit=1000"}
        assert read == (posted[::-1] if newest_first else posted)
        assert len(sizes) == 2
        assert max(sizes) <= MAX_ANSWER_BYTES + 25_000, "one message more than the bound at most, and commas"

    with_app(scenario)


def test_p6_a_long_wall_is_cut_for_the_originals_pages_too_and_says_so() -> None:
    async def scenario(app: App) -> None:
        posted = [await app.post(LONGEST) for _ in range(500)]
        bare = (await app.http.get("/original/api/comments")).raise_for_status()
        assert len(bare.content) <= MAX_ANSWER_BYTES * 1.05
        newest = [message["id"] for message in bare.json()]
        assert newest == posted[::-1][: len(newest)]
        page = (await app.http.get("/original/api/comments?offset=0&limit=1000")).json()
        assert [message["id"] for message in page["comments"]] == newest
        assert (page["total"], page["hasMore"]) == (500, True)

    with_app(scenario)


def test_p6_a_short_wall_and_a_page_that_was_asked_for_have_no_link() -> None:
    async def scenario(app: App) -> None:
        for _ in range(3):
            await app.post()
        for query in ("", "?limit=2", "?order=asc", "?changedAfter=0", "?changedAfter=0&limit=3"):
            assert "link" not in (await app.http.get(f"/api/comments{query}")).headers
        page = await app.http.get("/api/comments?changedAfter=0&limit=2")
        assert page.links["next"]["url"] == "/api/comments?limit=2&changedAfter=2"
        assert page.headers["etag"] == '"2"'

    with_app(scenario)


# -- Who sees what


def test_p8_with_a_token_figures_for_prometheus_and_circuits_need_it() -> None:
    async def scenario(app: App) -> None:
        provider = "http://10.0.0.5:11434/v1"
        report = {"workerId": "w", "provider": provider, "entities": [], "seconds": 60, "reason": "down"}
        assert (await app.http.post("/api/queue/circuit", json=report, headers=BEARER)).status_code == 200
        assert (await app.http.get("/metrics")).status_code == 401
        assert provider in (await app.http.get("/metrics", headers=BEARER)).text
        public, private = await app.http.get("/api/stats"), await app.http.get("/api/stats", headers=BEARER)
        assert "circuits" not in public.json()
        assert "10.0.0.5" not in public.text
        assert private.json() == public.json() | {name: private.json()[name] for name in ("circuits", "usage")}
        assert [circuit["provider"] for circuit in private.json()["circuits"]] == [provider]

    with_app(scenario, bot_token=TOKEN)


@pytest.mark.parametrize("token", [None, TOKEN])
@pytest.mark.parametrize("kind", [{}, {"messageType": "AI"}])
def test_p8_a_page_of_another_site_may_not_post(token: str | None, kind: Json) -> None:
    async def scenario(app: App) -> None:
        body = {"text": "Why?", "username": "Human", "color": "169080199"} | kind
        for origin in ("https://elsewhere.example", "null", "http://127.0.0.1:1"):
            refused = await app.http.post("/api/comments", json=body, headers=BEARER | {"Origin": origin})
            assert refused.status_code == 403
            assert refused.json()["type"] == "urn:saywhatwant:problem:cross-site"
        for origin in ("http://127.0.0.1", "https://friend.example"):
            accepted = await app.http.post("/api/comments", json=body, headers=BEARER | {"Origin": origin})
            assert accepted.status_code == 200
        assert len((await app.http.get("/api/comments")).json()) == 2

    with_app(scenario, bot_token=token, cors_origins=["https://friend.example"])


# -- What is counted


def test_p8_requests_that_reach_no_handler_are_counted_too() -> None:
    async def scenario(app: App) -> None:
        for path in ("/nothing", "/api/nothing", "/page/nothing"):
            assert (await app.http.get(path)).status_code == 404
        for method in ("DELETE", "PATCH"):
            assert (await app.http.request(method, "/api/comments")).status_code == 405
        assert (await app.http.post("/")).status_code == 405
        origin = {"Origin": "https://friend.example", "Access-Control-Request-Method": "POST"}
        assert (await app.http.options("/api/comments", headers=origin)).status_code == 200
        app.worker.on_refused(431)
        counted = await app.samples("sww_http_requests_total")
        assert counted["other", "other", "404"] == 3
        assert counted["other", "/api/comments", "405"] == 2
        assert counted["other", "/page", "405"] == 1
        assert counted["OPTIONS", "preflight", "200"] == 1
        assert await app.samples("sww_http_refused_total") == {("431",): 1}

    with_app(scenario, cors_origins=["https://friend.example"])


def test_p8_handshakes_and_ends_of_websockets_are_counted() -> None:
    async def scenario(app: App) -> None:
        asgi = app.worker.app
        assert await opened(asgi, b"") == "websocket.close"
        assert await opened(asgi, b"token=1") == "websocket.http.response.body"
        assert await opened(asgi, b"", path="/api/nothing") == "websocket.http.response.body"
        assert await app.samples("sww_websocket_handshakes_total") == {("101",): 1, ("422",): 1}
        assert await app.samples("sww_websocket_closes_total") == {("1008",): 1}
        assert (await app.samples("sww_http_requests_total"))["other", "other", "404"] == 1

    with_app(scenario)


async def opened(asgi: ASGIApp, query: bytes, path: str = "/api/ws") -> str:
    """Open a WebSocket and send what clients may not; the type of the last ASGI message."""
    messages: Iterator[Json] = iter([{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "hello"}])
    sent: list[str] = []

    async def receive() -> Json:
        await asyncio.sleep(0)
        return next(messages)

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message["type"])

    extensions: Json = {"websocket.http.response": {}}
    scope = {"type": "websocket", "path": path, "query_string": query, "headers": [], "extensions": extensions}
    await asgi(scope, receive, send)
    return sent[-1]


def test_p8_the_figures_count_requests_commits_and_messages() -> None:
    async def scenario(app: App) -> None:
        for _ in range(3):
            await app.post(botParams={"entity": "zen"})
        assert (await app.http.post("/api/comments", json={})).status_code == 422
        await app.http.get("/api/comments")
        response = await app.http.get("/metrics")
        assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
        families = list(text_string_to_metric_families(response.text))
        assert len({family.name for family in families}) == len(families) > 20
        requests = await app.samples("sww_http_requests_total")
        assert requests["POST", "/api/comments", "200"] == 3
        assert requests["POST", "/api/comments", "422"] == 1
        assert requests["GET", "/api/comments", "200"] == 1
        assert (await app.samples("sww_http_request_seconds_count"))["POST", "/api/comments"] == 4
        assert await app.samples("sww_storage_commits_total") == {(): 3}
        assert (await app.samples("sww_queue_depth"))["zen", "pending"] == 3
        assert await app.samples("sww_queue_backlog") == {(): 3}

    with_app(scenario)


def test_p4_the_figures_count_leases_that_ran_out() -> None:
    async def scenario(app: App) -> None:
        posted = await app.post(botParams={"entity": "zen"})
        hold = {"messageId": posted, "workerId": "worker-1"}
        await app.queue("claim", **hold)
        assert (await app.samples("sww_queue_depth"))["zen", "processing"] == 1
        assert await app.samples("sww_lease_expiries_total") == {(): 0}
        app.runtime.advance(60)
        assert await app.samples("sww_lease_expiries_total") == {(): 1}
        assert (await app.samples("sww_queue_depth"))["zen", "pending"] == 1
        await app.queue("claim", **hold)
        await app.queue("complete", **hold, attempt=2)
        assert (await app.samples("sww_queue_depth"))["zen", "complete"] == 1
        assert await app.samples("sww_lease_expiries_total") == {(): 1}

    with_app(scenario)


def test_the_figures_begin_with_the_entities_of_the_file_as_it_is_now(tmp_path: Path) -> None:
    file = tmp_path / "entities.toml"

    def write(*names: str) -> None:
        file.write_text(
            "\n".join(f'[{name}]\ndisplay_name = "{name}"\ncolor = "169080199"\nmodel = "nltk:zen"' for name in names)
        )

    async def scenario(app: App) -> None:
        for number in range(60):
            await app.post(botParams={"entity": f"entity-{number:02d}"})
        await app.post(botParams={"entity": "zz-old"})
        await app.post(botParams={"entity": "zz-new"})
        assert "zz-old" in (await app.http.get("/api/stats")).json()["entities"]
        write("zz-new")
        entities = (await app.http.get("/api/stats")).json()["entities"]
        assert "zz-new" in entities
        assert "zz-old" not in entities

    write("zz-old")
    with_app(scenario, entities=str(file), open_entities=True)


# -- What an operator watches


def test_answers_failures_and_what_waits_are_counted() -> None:
    async def scenario(app: App) -> None:
        for name in ("zen", "zen", "joy"):
            await app.post(botParams={"entity": name})
        (first,) = (await app.queue("claim", workerId="bot", entities=["zen"]))["messages"]
        await app.queue("complete", messageId=first["id"], workerId="bot", attempt=1, reply={"text": "Because."})
        (second,) = (await app.queue("claim", workerId="bot", entities=["zen"]))["messages"]
        await app.queue("fail", messageId=second["id"], workerId="bot", attempt=1, error="no words", retry=False)
        assert await app.samples("sww_answer_seconds_count") == {(): 1}
        assert await app.samples("sww_failures_total") == {(): 1}
        waits = await app.samples("sww_next_since_timestamp_seconds")
        assert waits == {("joy",): pytest.approx(app.runtime.now_ms / 1_000, abs=0.1)}

    with_app(scenario)


def test_an_entity_is_served_while_a_bot_is_there_and_so_are_messages_to_anyone() -> None:
    async def scenario(app: App) -> None:
        before = await app.samples("sww_entity_served")
        assert set(before.values()) == {0}
        assert {("",), ("zen",)} <= set(before)
        await app.queue("claim", workerId="bot", entities=["zen"])
        served = await app.samples("sww_entity_served")
        assert {entity for (entity,), value in served.items() if value} == {"", "zen"}

    with_app(scenario)


def test_a_wall_whose_last_commit_failed_is_not_ready() -> None:
    async def scenario(app: App) -> None:
        assert await app.samples("sww_ready") == {(): 1}
        with mock.patch.object(app.runtime, "health", return_value="the disk is full"):
            assert await app.samples("sww_ready") == {(): 0}

    with_app(scenario)


def test_the_disk_is_told_of_where_it_is_known() -> None:
    async def scenario(app: App) -> None:
        assert await app.samples("sww_disk_free_bytes") == {}
        app.worker = create_worker(app.runtime, load(), disk=lambda: (5, 100))
        app.http._transport.app = app.worker.app  # type: ignore[attr-defined] # httpx's own
        assert await app.samples("sww_disk_free_bytes") == {(): 5}
        assert await app.samples("sww_disk_size_bytes") == {(): 100}

    with_app(scenario)
