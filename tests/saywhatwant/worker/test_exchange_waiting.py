"""Requests that wait: reads and posts for the commit under way, and a stop for them."""

import asyncio
import json
from contextvars import ContextVar

import pytest
import uvloop
from stage import ALIVE, FULL, Play, Stage, post, request
from starlette.requests import Request
from starlette.responses import Response

from saywhatwant.queue import MessageQueue
from saywhatwant.schemas import Stats
from saywhatwant.worker.exchange import _go_on
from saywhatwant.worker.routes import Api
from scenario import turns

pytest_plugins = ["playing"]
pytestmark = pytest.mark.usefixtures("no_settings")


def test_a_read_that_need_not_wait_is_no_task(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks: list[object] = []
    original = MessageQueue.stats

    def stats(queue: MessageQueue, entities: tuple[str, ...]) -> Stats:
        tasks.append(asyncio.current_task())
        return original(queue, entities)

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

    async def read(_: Api, request: Request, __: object) -> Response:
        token = mine.set(request.url.query.encode())
        for future in shared:
            await future
        answer = Response(mine.get())
        mine.reset(token)
        return answer

    monkeypatch.setattr(Api, "read", read)

    async def scenario(stage: Stage) -> None:
        shared.extend(asyncio.get_running_loop().create_future() for _ in range(2))
        clients = [await stage.client() for _ in range(3)]
        for number, client in enumerate(clients):
            client.send(request(f"/api/comments?since={number}"))
        await stage.under_way(3)
        for future in shared:
            future.set_result(None)
            await turns()
        assert [(await client.answer()).body for client in clients] == [b"since=0", b"since=1", b"since=2"]

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
