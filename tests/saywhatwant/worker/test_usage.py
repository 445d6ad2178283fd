"""What the worker counts of what a cloud would bill, and where it shows it."""

import asyncio
from typing import Any

import pytest
from test_app import App, opened, with_app

from saywhatwant.worker.operations import OPERATIONS
from scenario import until

pytestmark = pytest.mark.usefixtures("no_settings")


async def usage(app: App) -> dict[str, Any]:
    """The figures, this request included in them."""
    shown: dict[str, Any] = (await app.http.get("/api/stats")).json()["usage"]
    return shown


def test_every_request_is_counted_once_and_a_file_never() -> None:
    async def scenario(app: App) -> None:
        before = app.runtime.meter.requests
        for operation in OPERATIONS:
            await app.http.request(operation.method, operation.path, json={})
        assert app.runtime.meter.requests - before == len(OPERATIONS), "refusals too"
        await app.http.get("/original/api/comments")
        await app.http.get("/no/such/path")
        assert app.runtime.meter.requests - before == len(OPERATIONS) + 2
        for path in ("/", "/api/docs", "/api/openapi.json"):
            assert (await app.http.get(path)).status_code == 200
        assert app.runtime.meter.requests - before == len(OPERATIONS) + 2

    with_app(scenario)


def test_a_round_trip_is_a_message_that_asks_for_an_answer() -> None:
    async def scenario(app: App) -> None:
        await app.post(botParams={"entity": "zen"})
        await app.post(botParams={"answer": False})
        claim = await app.queue("claim", workerId="bot")
        message = claim["messages"][0]
        await app.queue("complete", messageId=message["id"], workerId="bot", attempt=1, reply={"text": "Because."})
        shown = await usage(app)
        meter = app.runtime.meter
        assert (shown["roundTrips"], shown["requests"], shown["rowsWritten"]) == (1, 5, meter.rows_written)
        assert shown["since"] == meter.since_ms
        assert await app.samples("sww_billed_rows_written_total") == {(): meter.rows_written}
        assert await app.samples("sww_billed_requests_total") == {(): 7}

    with_app(scenario)


def test_a_socket_is_one_request_and_each_message_from_its_client_is_counted() -> None:
    async def scenario(app: App) -> None:
        assert await opened(app.worker.app, b"") == "websocket.close"
        meter = app.runtime.meter
        assert (meter.requests, meter.socket_frames, meter.active_ms) == (1, 1, 0)

    with_app(scenario)


def test_a_claim_that_waits_is_active_time_and_an_open_socket_is_none() -> None:
    async def scenario(app: App) -> None:
        socket = asyncio.create_task(stay(app))
        waiting = asyncio.create_task(app.queue("claim", workerId="bot", wait=0.01))
        await until(lambda: len(app.worker.waiters) == 1)
        app.runtime.advance(30)
        await waiting
        app.runtime.advance(60)
        meter = app.runtime.meter
        assert (meter.requests, meter.active_ms) == (2, 30_000)
        socket.cancel()
        await asyncio.wait([socket])

    with_app(scenario)


async def stay(app: App) -> None:
    """Open a WebSocket and say nothing."""
    told = iter([{"type": "websocket.connect"}])

    async def receive() -> dict[str, str]:
        message = next(told, None)
        if message is None:
            await asyncio.Event().wait()
            raise AssertionError
        return message

    async def send(_: Any) -> None:
        pass

    await app.worker.app({"type": "websocket", "path": "/api/ws", "query_string": b"", "headers": []}, receive, send)
