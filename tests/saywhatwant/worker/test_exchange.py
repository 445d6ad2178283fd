"""One connection and who waits on it: the server's short way and the long one look the same from outside."""

import asyncio
import json
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
import uvloop
from stage import ALIVE, CLOSE, WALL, Play, Stage, claim, post, request, turns, until
from starlette.requests import Request
from starlette.responses import Response

from saywhatwant.calls import Stats
from saywhatwant.queue import MessageQueue
from saywhatwant.worker.connection import MAX_HEADER_BYTES, MAX_REQUEST_SECONDS
from saywhatwant.worker.exchange import PAUSE_AT_PIPELINED, _go_on
from saywhatwant.worker.openapi import _assets
from saywhatwant.worker.routes import Api

pytestmark = pytest.mark.usefixtures("no_settings")

READ_BYTES = 256 * 1024
"""What uvloop reads from a socket at a time."""
CHUNKED = request(WALL, "Transfer-Encoding: chunked", method="POST")


@pytest.fixture
def play(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Play:
    return Play(tmp_path, caplog)


# -- Pipelines


def test_pipelined_reads_are_answered_in_order_and_each_once(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.hang(*[f"number {number}" for number in range(20)])
        limits = [1 + 7 * number % 20 for number in range(200)]
        client = await stage.client()
        client.send(*[request(f"{WALL}?limit={limit}") for limit in limits], request("/healthz", CLOSE))
        assert [len((await client.answer()).texts) for _ in limits] == limits
        assert (await client.answer()).body == ALIVE
        await client.assert_closed()

    play(scenario)


def test_p2_a_read_pipelined_behind_a_post_sees_it(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        client = await stage.client()
        client.send(*[sent for number in range(100) for sent in (post(f"number {number}"), request(f"{WALL}?limit=1"))])
        for number in range(100):
            assert (await client.answer()).status == 200
            assert (await client.answer()).texts == [f"number {number}"]

    play(scenario)


def test_thousands_of_pipelined_requests_do_not_stand_on_each_other(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        client = await stage.client()
        client.send(request("/healthz") * 3_000, request(WALL, method="DELETE") * 500, request("/healthz", CLOSE))
        assert {(await client.answer()).body for _ in range(3_000)} == {ALIVE}
        assert {(await client.answer()).status for _ in range(500)} == {405}
        assert (await client.answer()).body == ALIVE
        await client.assert_closed()

    play(scenario)


@pytest.mark.parametrize(
    "last", [request("/healthz", CLOSE), request("/healthz", "Connection: keep-alive", version="1.0")], ids=["1.1", "1.0"]
)
def test_p8_nothing_is_done_for_what_comes_behind_a_last_request(play: Play, last: bytes) -> None:
    async def scenario(stage: Stage) -> None:
        client, other = await stage.client(), await stage.client()
        assert (await client.ask(last, post("too late"), post("too late"))).body == ALIVE
        await client.assert_closed()
        assert (await other.ask(request())).texts == []

    play(scenario)


@pytest.mark.parametrize("before", [[post("new")], [post("new"), request(), post("newer"), request()]], ids=["one", "pipeline"])
@pytest.mark.parametrize(
    "behind",
    [
        pytest.param(b"something else\r\n\r\n", id="no HTTP"),
        pytest.param(CHUNKED + b"no chunk\r\n", id="a broken chunk"),
        pytest.param(CHUNKED[:-2] + b"X-Long: " + b"x" * MAX_HEADER_BYTES, id="a long header"),
    ],
)
def test_p8_what_stands_before_something_wrong_is_answered_and_that_is_the_end(
    play: Play, before: list[bytes], behind: bytes
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.commits.hold()
        client = await stage.client()
        protocol: Any = await stage.protocol(client)
        client.send(*before)
        await stage.under_way(1)
        client.send(behind)
        await until(lambda: protocol._ending)
        stage.commits.go_on()
        assert [(await client.answer()).status for _ in before] == [200] * len(before)
        await client.assert_closed()

    play(scenario)


def test_p8_a_client_that_asks_faster_than_it_is_answered_fills_no_memory(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        client = await stage.client()
        protocol = await stage.protocol(client)
        ask = request("/healthz")
        client.send(ask * (10 * READ_BYTES // len(ask)))
        for _ in range(100):
            assert (await client.answer()).body == ALIVE
        assert len(protocol.pipeline) <= 2 * READ_BYTES // len(ask)

    play(scenario)


def test_no_more_is_read_while_many_requests_wait_behind_one_under_way(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        stage.commits.hold()
        writer, reader = await stage.client(), await stage.client()
        protocol = await stage.protocol(reader)
        writer.send(post("new"))
        await stage.under_way(1)
        reader.send(request(), *[request("/healthz")] * (PAUSE_AT_PIPELINED - 1))
        await until(lambda: len(protocol.pipeline) == PAUSE_AT_PIPELINED - 1)
        assert not protocol.flow.read_paused
        reader.send(request("/healthz"))
        await until(lambda: protocol.flow.read_paused)
        stage.commits.go_on()
        assert (await reader.answer()).texts == ["new"]
        for _ in range(PAUSE_AT_PIPELINED):
            assert (await reader.answer()).body == ALIVE
        assert (await reader.ask(request("/healthz"))).body == ALIVE, "and then it is read again"

    play(scenario)


# -- Waiting


def test_a_read_that_need_not_wait_is_no_task(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks: list[object] = []
    original = MessageQueue.stats

    def stats(queue: MessageQueue) -> Stats:
        tasks.append(asyncio.current_task())
        return original(queue)

    monkeypatch.setattr(MessageQueue, "stats", stats)

    async def scenario(stage: Stage) -> None:
        client = await stage.client()
        assert (await client.ask(request("/api/stats"))).status == 200
        client.send(post("new"), request("/api/stats"))
        assert [(await client.answer()).status for _ in range(2)] == [200, 200]
        assert tasks == [None, None]

    play(scenario)


def test_p2_a_read_waits_for_the_commit_under_way(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        stage.commits.hold()
        writer, reader = await stage.client(), await stage.client()
        writer.send(post("new"), request())
        await stage.under_way(1)
        reader.send(request())
        await stage.under_way(2)
        await turns()
        assert writer.heard == reader.heard == b""
        stage.commits.go_on()
        assert (await writer.answer()).status == 200
        assert (await writer.answer()).texts == (await reader.answer()).texts == ["new"]
        await stage.under_way(0)

    play(scenario)


def test_p2_a_read_whose_commit_fails_is_refused_and_the_next_one_is_not(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        stage.commits.hold()
        writer, reader = await stage.client(), await stage.client()
        writer.send(post("lost"))
        await stage.under_way(1)
        reader.send(request())
        await stage.under_way(2)
        stage.commits.go_on(FULL)
        for client in (writer, reader):
            refusal = await client.answer()
            assert (refusal.status, refusal.headers["content-type"]) == (503, "application/problem+json")
            assert json.loads(refusal.body)["type"] == "urn:saywhatwant:problem:not-written"
        stage.commits.go_on()
        assert (await reader.ask(request())).texts == []
        assert (await writer.ask(post("kept"))).status == 200

    play(scenario)


def test_a_read_that_waits_keeps_its_context_and_shares_what_it_waits_for(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    mine: ContextVar[bytes] = ContextVar("mine", default=b"nobody's")
    shared: list[asyncio.Future[None]] = []

    async def stats(_: Api, request: Request) -> Response:
        token = mine.set(request.url.query.encode())
        for future in shared:
            await future
        answer = Response(mine.get())
        mine.reset(token)
        return answer

    monkeypatch.setattr(Api, "stats", stats)

    async def scenario(stage: Stage) -> None:
        shared.extend(asyncio.get_running_loop().create_future() for _ in range(2))
        clients = [await stage.client() for _ in range(3)]
        for number, client in enumerate(clients):
            client.send(request(f"/api/stats?{number}"))
        await stage.under_way(3)
        for future in shared:
            future.set_result(None)
            await turns()
        assert [(await client.answer()).body for client in clients] == [b"0", b"1", b"2"]

    play(scenario)


def test_a_read_that_waits_can_be_cancelled() -> None:
    """As a stop does with what takes too long."""
    told: list[bool] = []

    async def reading() -> None:
        try:
            for _ in range(100):
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            told.append(True)

    async def scenario() -> None:
        run = reading()
        task = asyncio.get_running_loop().create_task(_go_on(run, run.send(None)))
        await turns()
        task.cancel()
        await task
        assert told

    uvloop.run(scenario())


FULL = OSError("the disk is full")


@pytest.mark.parametrize("by_reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize(
    ("sent", "error"),
    [
        pytest.param([post("new")], None, id="post"),
        pytest.param([request()], None, id="read"),
        pytest.param([request()], FULL, id="read that fails"),
        pytest.param([request(WALL, CLOSE)], None, id="last read"),
        pytest.param([post("new"), request()], None, id="pipeline"),
        pytest.param([post("new"), request()], FULL, id="pipeline that fails"),
    ],
)
def test_a_client_that_goes_away_while_it_waits_troubles_nobody(
    play: Play,
    sent: list[bytes],
    error: OSError | None,
    *,
    by_reset: bool,
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.commits.hold()
        staying, going = await stage.client(), await stage.client()
        protocol = await stage.protocol(going)
        staying.send(post("staying"))
        await stage.under_way(1)
        going.send(*sent)
        await stage.under_way(2)
        await going.leave(by_reset=by_reset)
        await until(lambda: protocol not in stage.server.server_state.connections)
        stage.commits.go_on(error)
        assert (await staying.answer()).status == (503 if error else 200)
        await stage.under_way(0)
        stage.commits.go_on()
        assert (await staying.ask(post("still here"))).status == 200

    play(scenario)


@pytest.mark.parametrize(
    "behind",
    [
        pytest.param([], id="alone"),
        pytest.param([post("more")], id="pipeline"),
        pytest.param([request()] * (PAUSE_AT_PIPELINED - 1), id="long pipeline"),
        pytest.param([b"something else\r\n\r\n"], id="something wrong"),
    ],
)
def test_p3_a_claim_takes_nothing_for_a_client_that_has_gone_away(play: Play, behind: list[bytes]) -> None:
    async def scenario(stage: Stage) -> None:
        going, staying = await stage.client(), await stage.client()
        protocol = await stage.protocol(going)
        going.send(claim(wait=60), *behind)
        await until(lambda: len(stage.room) == 1)
        await going.leave()
        await until(lambda: protocol not in stage.server.server_state.connections)
        assert (await staying.ask(post("work"))).status == 200
        assert (await staying.ask(request("/api/queue/pending"))).texts == ["work"]

    play(scenario)


@pytest.mark.parametrize(
    "behind",
    [
        pytest.param([b"something else\r\n\r\n"], id="something wrong"),
        pytest.param([CHUNKED[:-2], b"X-Long: " + b"x" * MAX_HEADER_BYTES], id="a long header"),
        pytest.param([request("/healthz") * PAUSE_AT_PIPELINED + b"GET /he"], id="more than is read"),
    ],
)
def test_a_claim_waits_as_long_as_it_said_whatever_came_behind_it(play: Play, behind: list[bytes]) -> None:
    async def scenario(stage: Stage) -> None:
        client, clock = await stage.clocked()
        other = await stage.client()
        protocol: Any = await stage.protocol(client)
        await stage.waiting_claim(client)
        for piece in behind:
            client.send(piece)
            await turns()
        await until(lambda: protocol._ending or protocol.flow.read_paused)
        clock.advance(MAX_REQUEST_SECONDS + 1)
        assert (await other.ask(post("work"))).status == 200
        claimed = await client.answer()
        assert [message["text"] for message in json.loads(claimed.body)["messages"]] == ["work"]

    play(scenario)


def test_p8_a_connection_that_is_about_to_end_takes_in_no_more_however_much_comes(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        client, other = await stage.client(), await stage.client()
        protocol: Any = await stage.protocol(client)
        await stage.waiting_claim(client)
        client.send(CHUNKED[:-2])
        await until(lambda: protocol._in_message)
        client.send(b"X-Long: " + b"x" * MAX_HEADER_BYTES)
        await until(lambda: protocol._ending)
        before = protocol._header_bytes
        client.send(b"\r\n\r\n0\r\n\r\n", request("/healthz"))
        await until(lambda: protocol._header_bytes > before)
        await turns()
        assert len(protocol.pipeline) == 0
        assert (await other.ask(post("work"))).status == 200
        assert (await client.answer()).status == 200
        await client.assert_closed()

    play(scenario)


def test_p1_a_stop_waits_for_a_commit_under_way_and_lets_idle_connections_go(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        stage.commits.hold()
        idle, writer, reader = await stage.client(), await stage.client(), await stage.client()
        assert (await idle.ask(request("/healthz"))).body == ALIVE
        writer.send(post("new"), request())
        await stage.under_way(1)
        reader.send(request())
        await stage.under_way(2)
        stage.server.should_exit = True
        await idle.assert_closed()
        assert writer.heard == reader.heard == b""
        stage.commits.go_on()
        assert (await writer.answer()).status == 200
        for client in (writer, reader):
            answer = await client.answer()
            assert (answer.texts, answer.headers["connection"]) == (["new"], "close")
            await client.assert_closed()

    play(scenario)


# -- The long way


def test_pages_of_other_sites_may_read_what_went_through_no_middleware(play: Play) -> None:
    """The short way is the server's own ``send``: where CORS put another before it, the answer goes by that."""
    site = "https://example.org"

    async def scenario(stage: Stage) -> None:
        client = await stage.client()
        for sent in (request(WALL, f"Origin: {site}"), post("new", f"Origin: {site}")):
            answer = await client.ask(sent)
            assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, site)
            assert "etag" in answer.headers["access-control-expose-headers"].lower()
        answer = await client.ask(request())
        assert answer.texts == ["new"]
        assert "access-control-allow-origin" not in answer.headers

    play(scenario, cors_origins=[site])


def test_files_that_are_read_in_threads_are_served_too(play: Play) -> None:
    file = next(_assets().glob("*.css"))
    path = f"/api/docs/assets/{file.name}"

    async def scenario(stage: Stage) -> None:
        client = await stage.client()
        served = await client.ask(request(path))
        assert (served.status, served.body) == (200, file.read_bytes())
        client.send(request(path, f"If-None-Match: {served.headers['etag']}"), request("/healthz"))
        assert (await client.head()).status == 304
        assert (await client.answer()).body == ALIVE

    play(scenario)


def test_p8_a_file_that_is_not_there_is_a_404(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        client = await stage.client()
        answer = await client.ask(request("/api/docs/assets/nothing.css"))
        assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")
        assert (await client.ask(request("/healthz"))).body == ALIVE

    play(scenario)
