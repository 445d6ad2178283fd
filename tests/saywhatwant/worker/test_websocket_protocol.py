"""A WebSocket client that does not read, or sends endless messages, cannot exceed the server's bounds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from fake_transport import HIGH_WATER_BYTES, FakeTransport
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode

from saywhatwant.worker.extensions import ABORT
from saywhatwant.worker.limits import MAX_FRAGMENTS, MAX_SOCKET_MESSAGE_BYTES
from saywhatwant.worker.websocket_protocol import LimitedWebSocket
from scenario import run, turns

READ_BYTES = 256 * 1024
"""What uvloop reads from a socket at a time."""
HANDSHAKE = (
    b"GET /api/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Socket:
    """A WebSocket that an app has accepted, and what the app has received."""

    def __init__(self) -> None:
        self.transport = FakeTransport()
        self.received: list[Any] = []
        self.scope: Any = None
        config = uvicorn.Config(
            self.app,
            interface="asgi3",
            proxy_headers=False,
            log_config=None,
            ws_max_size=MAX_SOCKET_MESSAGE_BYTES,
            ws_per_message_deflate=False,
        )
        config.load()
        self.protocol = LimitedWebSocket(config, ServerState(), {})
        self.transport.connect(self.protocol)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] != "websocket.disconnect":
            self.received.append(message)

    def send(self, opcode: Opcode, payload: bytes = b"", *, fin: bool = True, times: int = 1) -> None:
        """Send frames, as much at a time as a server reads."""
        frame = Frame(opcode, payload, fin=fin).serialize(mask=True)
        a_read = max(READ_BYTES // len(frame), 1)
        for start in range(0, times, a_read):
            self.protocol.data_received(frame * min(a_read, times - start))


@asynccontextmanager
async def accepted_socket() -> AsyncIterator[Socket]:
    socket = Socket()
    socket.protocol.data_received(HANDSHAKE)
    await turns()
    assert socket.transport.drain().startswith(b"HTTP/1.1 101 ")
    yield socket
    socket.protocol.connection_lost(None)
    await turns()


def pong(payload: bytes) -> bytes:
    return Frame(Opcode.PONG, payload).serialize(mask=False)


def test_every_ping_of_a_client_that_reads_is_answered() -> None:
    async def scenario() -> None:
        async with accepted_socket() as socket:
            for number in range(3):
                socket.send(Opcode.PING, b"%d" % number)
                assert socket.transport.drain() == pong(b"%d" % number)

    run(scenario())


def test_p6_pings_of_a_client_that_never_reads_fill_no_memory() -> None:
    async def scenario() -> None:
        async with accepted_socket() as socket:
            socket.send(Opcode.PING, b"x" * 125, times=100_000)
            assert HIGH_WATER_BYTES < socket.transport.most_buffered <= HIGH_WATER_BYTES + READ_BYTES
            socket.send(Opcode.PING, b"last")
            assert socket.transport.drain().count(b"last") == 0
            assert socket.transport.drain() == pong(b"last"), "the last one is answered once it reads"
            socket.send(Opcode.PING, b"next")
            assert socket.transport.drain() == pong(b"next")

    run(scenario())


def test_p6_empty_fragments_without_end_fill_no_memory() -> None:
    async def scenario() -> None:
        async with accepted_socket() as socket:
            socket.send(Opcode.TEXT, b"a", fin=False)
            socket.send(Opcode.CONT, fin=False, times=MAX_FRAGMENTS - 1)
            assert not socket.transport.is_closing()
            socket.send(Opcode.CONT, fin=False, times=10_000)
            assert socket.transport.aborted
            assert len(socket.protocol.frames) == MAX_FRAGMENTS

    run(scenario())


def test_a_message_may_come_in_fragments() -> None:
    async def scenario() -> None:
        async with accepted_socket() as socket:
            socket.send(Opcode.TEXT, b"a", fin=False)
            socket.send(Opcode.CONT, b"b", fin=False)
            socket.send(Opcode.CONT, b"c")
            await turns()
            assert [message["text"] for message in socket.received] == ["abc"]

    run(scenario())


@pytest.mark.parametrize("how", ["by the app", "by a ping without an answer"])
def test_a_client_that_reads_nothing_can_be_disconnected_at_once(how: str) -> None:
    async def scenario() -> None:
        async with accepted_socket() as socket:
            if how == "by the app":
                socket.scope["extensions"][ABORT]()
            else:
                socket.protocol.keepalive_timeout()
            assert socket.transport.aborted

    run(scenario())
