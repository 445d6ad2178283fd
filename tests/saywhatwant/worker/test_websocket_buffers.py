"""Unsent data for WebSocket clients that do not read, measured in their connections' buffers."""

from typing import Any

import pytest
from fake_transport import HIGH_WATER_BYTES
from harness import BUFFER_BYTES, WALL, Client, Harness, Run, request

from saywhatwant.worker import subscriber
from saywhatwant.worker.limits import MAX_MISSED
from scenario import turns, until

pytest_plugins = ["harness_fixture"]
pytestmark = pytest.mark.usefixtures("no_settings")

HANDSHAKE = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
]
LONG_TEXT = "x" * 5_000
MESSAGE_BYTES = 6_000
"""More than a message with that text has in a frame."""


async def connect(harness: Harness, clients: int) -> list[Client]:
    """WebSocket clients that read nothing; returns once they are subscribed."""
    before = len(sockets(harness))
    connected = [await harness.client(buffer_bytes=BUFFER_BYTES) for _ in range(clients)]
    for client in connected:
        client.send(request("/api/ws", *HANDSHAKE))
    await until(lambda: len(sockets(harness)) == before + clients)
    return connected


def sockets(harness: Harness) -> list[Any]:
    return [connection for connection in harness.server.server_state.connections if hasattr(connection, "handshake_complete")]


def most_buffered(harness: Harness) -> int:
    return max((socket.transport.get_write_buffer_size() for socket in sockets(harness)), default=0)


def test_p6_frames_for_clients_that_never_read_wait_outside_of_their_connections(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriber, "CLOSE_SECONDS", 0)

    async def scenario(harness: Harness) -> None:
        await connect(harness, 5)
        most = 0
        while sockets(harness):
            await harness.add_messages(LONG_TEXT)
            await turns()
            most = max(most, most_buffered(harness))
        assert HIGH_WATER_BYTES < most <= HIGH_WATER_BYTES + MESSAGE_BYTES

    run(scenario, retention=3)


def test_p6_what_clients_have_missed_is_buffered_one_page_at_a_time(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        await harness.add_messages(*[LONG_TEXT] * (5 * MAX_MISSED))
        await connect(harness, 5)
        await until(lambda: all(not socket.writable.is_set() for socket in sockets(harness)))
        await turns()
        assert HIGH_WATER_BYTES < most_buffered(harness) <= HIGH_WATER_BYTES + MAX_MISSED * MESSAGE_BYTES
        other = await harness.client()
        assert len((await other.fetch(request(f"{WALL}?limit=200"))).texts) == 200, "and nobody waits for them"

    run(scenario)
