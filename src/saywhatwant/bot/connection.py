"""How a bot opens a WebSocket to its wall; other programs may bring another way."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

MAX_RECEIVED_BYTES = 64 * 1024 * 1024
"""Bytes of one text that the bot takes: several messages, each with up to a MiB of its talk."""
OPEN_SECONDS = 10.0
"""Seconds for a handshake."""
PING_SECONDS = 20.0
"""Seconds between pings, and seconds in which one must be answered: so a dead connection is found."""
CLOSE_SECONDS = 2.0
"""Seconds that the other side may take to say that it has seen the end."""


class SocketRefused(Exception):
    """There is no WebSocket: an old server, or a proxy without them, has answered with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the handshake was answered with {status}")
        self.status = status


class SocketEnded(Exception):
    """The socket has ended, or could not be opened."""


class Connection(Protocol):
    """An open WebSocket."""

    async def send(self, text: str) -> None:
        """Send a text; raises ``SocketEnded``."""

    async def receive(self) -> str | None:
        """The next text; None at the end. Called by one task."""

    async def close(self) -> None:
        """End it; repeated, it does nothing."""


Connect = Callable[[str, Mapping[str, str]], Awaitable[Connection]]
"""Opens the WebSocket at an http or https URL, with these headers; raises ``SocketRefused`` or ``SocketEnded``."""


async def open_socket(url: str, headers: Mapping[str, str], *, directly: bool = False) -> Connection:
    """Over the network, if need be through a proxy that the environment names, unless ``directly``; see ``Connect``."""
    try:
        connection = await connect(
            url.replace("http", "ws", 1),
            additional_headers=headers,
            proxy=None if directly else True,
            compression=None,
            open_timeout=OPEN_SECONDS,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            close_timeout=CLOSE_SECONDS,
            max_size=MAX_RECEIVED_BYTES,
        )
    except InvalidStatus as error:
        raise SocketRefused(error.response.status_code) from error
    except (OSError, TimeoutError, WebSocketException, ValueError) as error:
        raise SocketEnded(str(error) or type(error).__name__) from error
    return _Networked(connection)


class _Networked:
    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, text: str) -> None:
        try:
            await self._connection.send(text)
        except ConnectionClosed as error:
            raise SocketEnded(str(error)) from error

    async def receive(self) -> str | None:
        try:
            received = await self._connection.recv(decode=True)
        except ConnectionClosed:
            return None
        return received

    async def close(self) -> None:
        await self._connection.close()
