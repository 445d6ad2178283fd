"""Upgrades of a connection: to a WebSocket, and to what is not spoken here."""

import pytest
from stage import ALIVE, LITTLE, WALL, Play, Stage, post, request

from saywhatwant.worker.server import KEEP_ALIVE_SECONDS
from scenario import turns, until

pytest_plugins = ["playing"]
pytestmark = pytest.mark.usefixtures("no_settings")

HANDSHAKE = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
]
H2C = ("Connection: Upgrade", "Upgrade: h2c")
"""HTTP/2 in clear, which some clients offer with their first request."""


def test_a_request_with_an_upgrade_to_what_is_not_spoken_here_is_answered_and_is_the_last(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        client = await stage.client()
        assert (await client.ask(request(WALL))).texts == []
        answer = await client.ask(request("/healthz", *H2C), request("/healthz"))
        assert (answer.body, answer.headers["connection"]) == (ALIVE, "close")
        await client.assert_closed()

    play(scenario)


@pytest.mark.parametrize("in_pieces", [False, True])
def test_p8_a_body_behind_such_an_upgrade_is_refused_and_never_taken_for_a_request(play: Play, *, in_pieces: bool) -> None:
    async def scenario(stage: Stage) -> None:
        client, other = await stage.client(), await stage.client()
        head = request(WALL, *H2C, f"Content-Length: {len(post('smuggled'))}", method="POST")
        client.send(head)
        if in_pieces:
            await turns()
        client.send(post("smuggled"))
        answer = await client.answer()
        assert (answer.status, b"Upgrade" in answer.body) == (400, True)
        await client.assert_closed()
        assert (await other.ask(request())).texts == []

    play(scenario)


def test_p8_nor_while_that_request_has_yet_to_be_answered(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        stage.commits.hold()
        writer, (client, clock) = await stage.client(), await stage.clocked()
        protocol = await stage.protocol(client)
        writer.send(post("new"))
        await stage.under_way(1)
        client.send(request(WALL, *H2C, f"Content-Length: {len(post('smuggled'))}"))
        await stage.under_way(2)
        clock.advance(LITTLE)
        client.send(post("smuggled"))
        await until(lambda: protocol._active_at > 0)
        await turns()
        assert len(protocol.pipeline) == 0
        stage.commits.go_on()
        assert (await client.answer()).texts == ["new"]
        await client.assert_closed()

    play(scenario)


def test_a_websocket_outlives_the_requests_before_it(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        client, clock = await stage.clocked()
        other = await stage.client()
        assert (await client.ask(request())).texts == []
        client.send(request("/api/ws", *HANDSHAKE))
        assert (await client.head()).status == 101
        assert await client.frame() == '{"seq":0,"events":[]}'
        assert clock.timers == []
        clock.advance(2 * KEEP_ALIVE_SECONDS)
        await other.ask(post("new"))
        assert '"text":"new"' in await client.frame()

    play(scenario)


def test_a_handshake_sent_before_an_answer_came_ends_the_connection_after_that_answer(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        client, clock = await stage.clocked()
        client.send(request("/healthz"), request("/api/ws", *HANDSHAKE))
        answer = await client.answer()
        assert (answer.body, answer.headers["connection"]) == (ALIVE, "close")
        await client.assert_closed()
        assert clock.timers == []

    play(scenario)
