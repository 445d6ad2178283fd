"""WebSocket connections: uvicorn's protocol, bounded in memory and time for clients that do not read."""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request

from saywhatwant.worker import limits

ABORT = "saywhatwant.abort"
"""The extension of a socket's scope that aborts its connection, dropping unsent data."""


class LimitedWebSocket(WebSocketsSansIOProtocol):
    """One WebSocket within ``limits``; ``scope["extensions"][ABORT]`` ends it without waiting for the client."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **kwargs)
        self._pong = b""

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.handshake_complete:
            self.scope["extensions"][ABORT] = self.transport.abort  # type: ignore[assignment] # our own extension is not a dict

    def handle_ping(self) -> None:
        if self.writable.is_set():
            super().handle_ping()
        elif frames := self.conn.data_to_send():
            # A client that does not read gets only the pong for its last ping, once it reads (RFC 6455, 5.5.3).
            self._pong = frames[-1]

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._pong:
            self.transport.write(self._pong)
            self._pong = b""

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) < limits.MAX_FRAGMENTS:
            super().handle_cont(event)
        else:
            self.transport.abort()

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.transport.abort()
