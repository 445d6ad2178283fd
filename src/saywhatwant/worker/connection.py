"""A connection: uvicorn's HTTP protocol, with bounds on what it may send before the app sees it."""

import asyncio
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from saywhatwant.worker.exchange import ExchangeProtocol
from saywhatwant.worker.problems import Kind, problem_response

MAX_HEADER_BYTES = 64 * 1024
"""Request line and headers together, checked whenever a connection has sent some (at most 256 KiB at a time)."""
MAX_REQUEST_SECONDS = 30.0
"""For a connection's first request, and for each one that does not arrive in one piece; less than connections may be idle."""

_TOO_MANY = Kind(503, "too-many-connections", "Too many connections")
_HEADER_TOO_LARGE = Kind(431, "header-too-large", "The header is too large")
_MALFORMED = Kind(400, "malformed-request", "This is not HTTP")


ABORT = "saywhatwant.abort"
"""The extension of a socket's scope that ends its connection at once, whatever waits to be sent."""


class AbortableWebSocket(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, which can be ended though its client reads nothing: ``close`` would wait for that."""

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.handshake_complete:
            self.scope["extensions"][ABORT] = self.transport.abort  # type: ignore[assignment] # no dict, as it is our own

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.transport.abort()


class BoundedProtocol(ExchangeProtocol):
    """Refuses connections beyond a number, and closes those that send too much header or too slowly."""

    def __init__(self, *args: Any, max_connections: int, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **kwargs)
        self._max_connections = max_connections
        self._header_bytes = 0
        self._in_message = self._in_body = False
        self._slow: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._slow_soon()
        if len(self.connections) > self._max_connections:
            self._refuse(_TOO_MANY, f"{self._max_connections} connections are open already")

    def connection_lost(self, exc: Exception | None) -> None:
        self._not_slow()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._header_bytes += len(data)
        super().data_received(data)
        if self._ending or not self._in_message:
            return
        if not self._in_body and self._header_bytes > MAX_HEADER_BYTES:
            self._refuse(_HEADER_TOO_LARGE, f"request line and headers have more than {MAX_HEADER_BYTES} bytes")
        elif self._slow is None:
            self._slow_soon()

    def on_message_begin(self) -> None:
        self._in_message, self._in_body = True, False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_message, self._header_bytes = False, 0
        self._not_slow()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        if self._under_way is not None and self._under_way.response_complete and self._under_way.more_body:
            self.transport.close()  # it is the rest of a request that has its answer already
        else:
            self._refuse(_MALFORMED, msg)

    def handle_websocket_upgrade(self) -> None:
        self._not_slow()
        self._not_idle()
        self._in_message = False
        if self.end_after_answers():
            return
        super().handle_websocket_upgrade()

    def _slow_soon(self) -> None:
        self._slow = self.loop.call_later(MAX_REQUEST_SECONDS, self._too_slow)

    def _too_slow(self) -> None:
        if self.flow.read_paused:
            self._slow_soon()  # it is we who do not read
        else:
            self.transport.close()

    def _not_slow(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

    def _refuse(self, kind: Kind, detail: str) -> None:
        if self.end_after_answers():
            self._not_slow()
            return
        response = problem_response(kind, detail)
        head = b"".join(b"%b: %b\r\n" % header for header in response.raw_headers)
        self.transport.write(b"HTTP/1.1 %d \r\n%bconnection: close\r\n\r\n" % (kind.status, head) + response.body)
        self.transport.close()
