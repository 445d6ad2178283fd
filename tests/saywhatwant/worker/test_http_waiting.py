"""Requests that wait for a commit in flight, and a stop that waits for them."""

import asyncio
import json
from contextvars import ContextVar

import pytest
from harness import ALIVE, FULL, Harness, Run, post, request
from starlette.requests import Request
from starlette.responses import Response

from saywhatwant.worker.routes import Api
from scenario import turns

pytest_plugins = ["harness_fixture"]
pytestmark = pytest.mark.usefixtures("no_settings")


def test_p2_a_read_waits_for_the_commit_under_way(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        harness.commits.hold()
        writer, reader = await harness.client(), await harness.client()
        writer.send(post("new"), request())
        await harness.until_tasks(1)
        reader.send(request())
        await harness.until_tasks(2)
        await turns()
        assert writer.received_bytes == reader.received_bytes == 0
        harness.commits.go_on()
        assert (await writer.response()).status == 200
        assert (await writer.response()).texts == (await reader.response()).texts == ["new"]
        await harness.until_tasks(0)

    run(scenario)


def test_p2_a_read_whose_commit_fails_is_refused_and_the_next_one_is_not(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        harness.commits.hold()
        writer, reader = await harness.client(), await harness.client()
        writer.send(post("lost"))
        await harness.until_tasks(1)
        reader.send(request())
        await harness.until_tasks(2)
        harness.commits.go_on(FULL)
        for client in (writer, reader):
            refusal = await client.response()
            assert (refusal.status, refusal.headers["content-type"]) == (503, "application/problem+json")
            assert json.loads(refusal.body)["type"] == "urn:saywhatwant:problem:not-written"
        harness.commits.go_on()
        assert (await reader.fetch(request())).texts == []
        assert (await writer.fetch(post("kept"))).status == 200

    run(scenario)


def test_every_request_runs_in_its_own_task_and_context(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As libraries need that set a timeout or ask for the current task."""
    mine: ContextVar[bytes] = ContextVar("mine", default=b"unset")
    shared: list[asyncio.Future[None]] = []

    async def read(_: Api, request: Request, __: object) -> Response:
        assert mine.get() == b"unset"
        mine.set(request.url.query.encode())
        async with asyncio.timeout(60):
            for future in shared:
                await future
        return Response(mine.get())

    monkeypatch.setattr(Api, "read", read)

    async def scenario(harness: Harness) -> None:
        shared.extend(asyncio.get_running_loop().create_future() for _ in range(2))
        clients = [await harness.client() for _ in range(3)]
        for number, client in enumerate(clients):
            client.send(request(f"/api/comments?since={number}"))
        await harness.until_tasks(3)
        for future in shared:
            future.set_result(None)
            await turns()
        assert [(await client.response()).body for client in clients] == [b"since=0", b"since=1", b"since=2"]

    run(scenario)


def test_p1_a_stop_waits_for_a_commit_under_way_and_lets_idle_connections_go(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        harness.commits.hold()
        idle, writer, reader = await harness.client(), await harness.client(), await harness.client()
        assert (await idle.fetch(request("/healthz"))).body == ALIVE
        writer.send(post("new"), request())
        await harness.until_tasks(1)
        reader.send(request())
        await harness.until_tasks(2)
        harness.server.should_exit = True
        await idle.assert_closed()
        assert writer.received_bytes == reader.received_bytes == 0
        harness.commits.go_on()
        assert (await writer.response()).status == 200
        for client in (writer, reader):
            answer = await client.response()
            assert (answer.texts, answer.headers["connection"]) == (["new"], "close")
            await client.assert_closed()

    run(scenario)
