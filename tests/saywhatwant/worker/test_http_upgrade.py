"""Upgrades of a connection: to a WebSocket, and to protocols that are not supported."""

import pytest
from harness import ALIVE, WALL, Harness, Run, post, request

from saywhatwant.worker.limits import KEEP_ALIVE_SECONDS
from scenario import turns

pytest_plugins = ["harness_fixture"]
pytestmark = pytest.mark.usefixtures("no_settings")

HANDSHAKE = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
]
H2C = ("Connection: Upgrade", "Upgrade: h2c")
"""HTTP/2 without TLS, which some clients offer with their first request."""


def test_a_request_with_an_unsupported_upgrade_is_answered_and_is_the_last(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        assert (await client.fetch(request(WALL))).texts == []
        answer = await client.fetch(request("/healthz", *H2C), request("/healthz"))
        assert (answer.body, answer.headers["connection"]) == (ALIVE, "close")
        await client.assert_closed()

    run(scenario)


@pytest.mark.parametrize("in_pieces", [False, True])
def test_p8_a_body_behind_an_unsupported_upgrade_is_never_taken_for_a_request(run: Run, *, in_pieces: bool) -> None:
    async def scenario(harness: Harness) -> None:
        client, other = await harness.client(), await harness.client()
        head = request(WALL, *H2C, f"Content-Length: {len(post('smuggled'))}", method="POST")
        client.send(head)
        if in_pieces:
            await turns()
        client.send(post("smuggled"))
        answer = await client.response()
        assert (answer.status, b"Upgrade" in answer.body) == (400, True)
        await client.assert_closed()
        assert (await other.fetch(request())).texts == []

    run(scenario)


def test_p8_not_even_while_that_request_waits(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        harness.commits.hold()
        writer, client = await harness.client(), await harness.client()
        writer.send(post("new"))
        await harness.until_tasks(1)
        client.send(request(WALL, *H2C, f"Content-Length: {len(post('smuggled'))}"))
        await harness.until_tasks(2)
        client.send(post("smuggled"))
        await client.delivered()
        await turns()
        assert len(client.protocol.pipeline) == 0
        harness.commits.go_on()
        assert (await client.response()).texts == ["new"]
        await client.assert_closed()

    run(scenario)


def test_a_websocket_outlives_the_requests_before_it(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        other = await harness.client()
        assert (await client.fetch(request())).texts == []
        client.send(request("/api/ws", *HANDSHAKE))
        assert (await client.head()).status == 101
        assert await client.frame() == '{"seq":0,"events":[]}'
        assert client.clock.timers == []
        client.clock.advance(2 * KEEP_ALIVE_SECONDS)
        await other.fetch(post("new"))
        assert '"text":"new"' in await client.frame()

    run(scenario)


def test_p8_a_handshake_sent_before_an_answer_is_refused_after_it(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        client.send(request("/healthz"), request("/api/ws", *HANDSHAKE))
        assert (await client.response()).body == ALIVE
        refusal = await client.response()
        assert (refusal.status, refusal.headers["connection"]) == (400, "close")
        assert b"WebSocket" in refusal.body
        await client.assert_closed()
        await client.close()
        await client.closed_by_server()
        assert client.clock.timers == []

    run(scenario)
