"""WebSocket connections: uvicorn's protocol, which a client that reads nothing can neither keep open nor make grow."""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request

from saywhatwant.worker import limits

ABORT = "saywhatwant.abort"
"""The extension of a socket's scope that ends its connection at once, whatever waits to be sent."""


class LimitedWebSocket(WebSocketsSansIOProtocol):
    """One WebSocket within ``limits``; ``scope["extensions"][ABORT]`` ends it, where ``close`` would wait for its client."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **kwargs)
        self._pong = b""

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.handshake_complete:
            self.scope["extensions"][ABORT] = self.transport.abort  # type: ignore[assignment] # no dict, as it is our own

    def handle_ping(self) -> None:
        if self.writable.is_set():
            super().handle_ping()
        elif frames := self.conn.data_to_send():
            # A client that does not read gets a pong for its last ping only, when it does (RFC 6455, 5.5.3).
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
