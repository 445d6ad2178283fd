"""HTTP connections: uvicorn's protocol, with a bound on everything that a client can make it store (P8).

Only uvicorn's callbacks are overridden, and each calls the original, so that uvicorn's fixes apply. (Those that every request
needs name its class, which is faster than ``super()``.) The one exception is the end of a response when no request waits
behind it. Tasks are not eager (Python 3.12), because an app would then run inside the parser, before its request is complete.
"""

import asyncio
import socket
from functools import lru_cache
from typing import Any

from starlette.types import Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from saywhatwant.worker import limits
from saywhatwant.worker.connections import Connections
from saywhatwant.worker.extensions import WHOLE
from saywhatwant.worker.http_transport import BoundedFlow, Output
from saywhatwant.worker.problems import Kind, problem_response

COPIED_BYTES = 64 * 1024
"""A smaller body is copied behind its head into one write; a larger one is passed to the system without a copy."""

_TOO_MANY = Kind(503, "too-many-connections", "Too many connections")
_HEADER_TOO_LARGE = Kind(431, "header-too-large", "The header is too large")
_TOO_SLOW = Kind(408, "request-too-slow", "The request took too long to arrive")
_MALFORMED = Kind(400, "malformed-request", "This is not HTTP")


def send_response(send: Send, status: int, head: bytes, body: bytes | memoryview) -> bool:
    """Send a whole response in one plain call, if ``send`` is uvicorn's own; False if it must go through ASGI.

    In ASGI a response is two messages, each awaited, checked and written separately. ``head`` has the response's header lines,
    including ``Content-Length``; they are not checked.
    """
    cycle = getattr(send, "__self__", None)
    if not isinstance(cycle, RequestResponseCycle) or cycle.response_started or cycle.disconnected or not cycle.keep_alive:
        return False
    if cycle.flow.write_paused or cycle.transport.is_closing() or cycle.scope["method"] == "HEAD":
        return False
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    parts = (STATUS_LINE[status], _default_lines(*cycle.default_headers), head, b"\r\n", body)
    if len(body) < COPIED_BYTES:
        cycle.transport.write(b"".join(parts))
    else:
        cycle.transport.writelines((b"".join(parts[:-1]), body))
    cycle.message_event.set()
    cycle.on_response()
    return True


EXTENSIONS: dict[str, Any] = {WHOLE: send_response}
"""What a request's scope has in addition to ASGI."""


@lru_cache(maxsize=1)  # the same until the next second, whose date is another one
def _default_lines(*headers: tuple[bytes, bytes]) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])


class LimitedProtocol(HttpToolsProtocol):
    """One HTTP connection within ``limits``.

    A client that exceeds one gets a problem after the answers to its earlier requests, and then the connection ends.
    """

    def __init__(self, *args: Any, open_connections: Connections, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **kwargs)
        self._open_connections = open_connections
        self._timer: asyncio.TimerHandle | None = None
        # When the connection was made, its current request began, or its last response was complete, whichever is latest.
        self._since = self.loop.time()
        # Unsent bytes of the transport at the last check, and when they last became fewer.
        self._unsent_bytes, self._flushed_at = 0, self._since
        # The request being answered, or answered last. uvicorn's ``cycle`` is the latest request.
        self._running: RequestResponseCycle | None = None
        # The scopes of the last complete request, and of the last that took more than one read.
        self._complete: object = None
        self._in_pieces: object = None
        self._read_bytes = self._bytes_without_progress = self._discarded_bytes = 0
        self._trailers = _Trailers()
        self._progressed = self._discarding = False
        # When the server began to stop.
        self._stopping_since: float | None = None
        self._refusal: tuple[Kind, str] | None = None

    @property
    def _busy(self) -> bool:
        """Whether a request is being answered."""
        return self._running is not None and not self._running.response_complete

    @property
    def _receiving(self) -> bool:
        """Whether a request has begun to arrive and is not complete: uvicorn makes a scope when one begins."""
        return self.scope is not self._complete

    @property
    def _in_body(self) -> bool:
        """Whether its head has arrived and its body is incomplete: uvicorn makes a cycle after the head."""
        return self._receiving and getattr(self.cycle, "scope", None) is self.scope

    # -- The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        self._output = Output(transport, self._close)
        super().connection_made(self._output)
        self.flow = BoundedFlow(transport, self.pipeline)
        self._timer = self.loop.call_later(limits.CHECK_SECONDS, self._check)
        host = self.client[0] if self.client else None
        if reason := self._open_connections.add(self, host, len(self.connections)):
            self._refuse(_TOO_MANY, reason)

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        if self._running is not None:
            self._running.disconnected = True
            self._running.message_event.set()
        self._output.release()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._discarding:
            self._discard(len(data))
            return
        self._read_bytes, self._progressed = len(data), False
        HttpToolsProtocol.data_received(self, data)
        if self.scope is not self._complete:
            self._on_unfinished()

    def resume_writing(self) -> None:
        # The client has read, even if the next answer fills the buffer again before the next check.
        self._flushed_at = self.loop.time()
        super().resume_writing()

    def handle_websocket_upgrade(self) -> None:
        if self._busy:
            self._refuse(_MALFORMED, "a WebSocket handshake must not be sent before the answers to earlier requests")
            return
        self._leave()
        self.transport = self._output.transport
        super().handle_websocket_upgrade()

    # -- The end of the server

    def shutdown(self) -> None:
        """Go on elsewhere or end, between two requests. The server calls this until the connection has left.

        See ``Handover``: where nobody takes connections over, the next answer says that it is the last one, and a connection
        without a request ends after ``idle_seconds``, unless one is there.
        """
        now, output, handover = self.loop.time(), self._output, self._open_connections.handover
        if self._stopping_since is None:
            self._stopping_since = now
        if output.half_closed or (self._in_body and self.cycle.response_complete):
            if now - max(self._since, self._stopping_since) >= limits.FAREWELL_SECONDS:
                output.transport.close()
        elif self._busy or self._receiving:
            self._end_with_latest_request()
        elif handover.keep is not None:
            if not output.is_closing() and not output.get_write_buffer_size():
                self.flow.pause_reading()
                handover.keep(self._duplicate())
                output.abort()  # the copy keeps the connection open
        elif now - self._stopping_since >= handover.idle_seconds and not self._has_input():
            output.transport.close()

    def _end_with_latest_request(self) -> None:
        if self._stopping_since is not None and self._open_connections.handover.keep is None and self.cycle is not None:
            self.cycle.keep_alive = False

    def _duplicate(self) -> socket.socket:
        duplicate: socket.socket = self._output.get_extra_info("socket").dup()
        return duplicate

    def _has_input(self) -> bool:
        """Whether the system has received bytes that were not read yet."""
        with self._duplicate() as duplicate:
            try:
                return bool(duplicate.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
            except OSError:
                return False

    def _leave(self) -> None:
        self._open_connections.remove(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- Callbacks of the parser

    def on_headers_complete(self) -> None:
        # Only a head that arrived in several reads, or in a large one, can be too large.
        if (self._read_bytes > limits.MAX_HEAD_BYTES or self._in_pieces is self.scope) and self._head_is_too_large():
            self._refuse_head()
            raise _StopParser
        before, busy = self.cycle, self._busy
        HttpToolsProtocol.on_headers_complete(self)
        if self.cycle is before:
            return  # a WebSocket handshake
        self.scope["extensions"] = EXTENSIONS
        if self._stopping_since is not None:
            self._end_with_latest_request()
        if busy:
            self.flow.resume_reading()  # uvicorn pauses at the first request that has to wait
        else:
            self._running = self.cycle
        if self.parser.should_upgrade():
            # The protocol is not supported, and the parser would read a body as the next request.
            self.cycle.keep_alive = False
            self._discarding = True
        else:
            self._trailers.size = 0
            self.headers = self._trailers

    def on_body(self, body: bytes) -> None:
        self._progressed = True
        HttpToolsProtocol.on_body(self, body)

    def on_message_complete(self) -> None:
        self._complete, self._progressed = self.scope, True
        HttpToolsProtocol.on_message_complete(self)

    def on_response_complete(self) -> None:
        self._since = self.loop.time()
        if self.pipeline:
            self._running = self.pipeline[-1][0]
            super().on_response_complete()
        else:
            # Like uvicorn's method, but without a timer per response: ``_check`` finds idle connections.
            self.server_state.total_requests += 1
            if self.flow.read_paused and not self._output.is_closing():
                self.flow.resume_reading()
        if self._refusal is not None and not self._busy:
            self._send_refusal(*self._refusal)
        elif self._stopping_since is not None and not (self._busy or self._receiving):
            self.flow.pause_reading()  # the next server reads on

    def _on_unfinished(self) -> None:
        """Check a request that is incomplete after the last read."""
        if self.scope is not self._in_pieces:
            self._in_pieces = self.scope
            self._since = self.loop.time()
            self._bytes_without_progress = self._discarded_bytes = 0
        if self._in_body and self.cycle.response_complete:
            self._discard(self._read_bytes)
        self._bytes_without_progress = 0 if self._progressed else self._bytes_without_progress + self._read_bytes
        if self._bytes_without_progress > limits.MAX_HEAD_BYTES:
            self._refuse_head()

    def _discard(self, size: int) -> None:
        self._discarded_bytes += size
        if self._discarded_bytes > limits.MAX_DISCARDED_BYTES:
            self._output.abort()

    # -- Deadlines

    def _check(self) -> None:
        self._timer = self.loop.call_later(limits.CHECK_SECONDS, self._check)
        now = self.loop.time()
        unsent, before = self._output.get_write_buffer_size(), self._unsent_bytes
        self._unsent_bytes = unsent
        if not unsent or unsent < before:
            self._flushed_at = now
        if now - self._flushed_at >= limits.WRITE_SECONDS:
            self._output.abort()
        elif unsent or (self.flow.read_paused and not self._output.half_closed):
            self._since = now  # the client is reading, or reading is paused
        else:
            self._check_input(now - self._since)

    def _check_input(self, seconds: float) -> None:
        if self._output.half_closed or (self._in_body and self.cycle.response_complete):
            if seconds >= limits.LINGER_SECONDS:
                self._output.transport.close()
        elif self._receiving:
            if seconds >= limits.REQUEST_SECONDS:
                self._refuse(_TOO_SLOW, f"it was not complete after {limits.REQUEST_SECONDS:g} seconds")
        elif not self._busy and seconds >= (limits.KEEP_ALIVE_SECONDS if self._running else limits.REQUEST_SECONDS):
            self._output.transport.close()

    # -- Refusals before any route

    def send_400_response(self, msg: str) -> None:
        if self._trailers.size > limits.MAX_HEAD_BYTES:
            self._refuse_head()
        else:
            self._refuse(_MALFORMED, msg)

    def _head_is_too_large(self) -> bool:
        return len(self.url) + sum(map(_size, self.headers)) > limits.MAX_HEAD_BYTES

    def _refuse_head(self) -> None:
        self._refuse(_HEADER_TOO_LARGE, f"request line, headers and trailers have more than {limits.MAX_HEAD_BYTES} bytes")

    def _refuse(self, kind: Kind, detail: str) -> None:
        """Refuse the incoming request once earlier ones are answered, and discard everything that follows."""
        if self._discarding:
            return
        self._discarding = True
        if self._in_body:
            if self.cycle.response_started:
                self._output.close()
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle is self._running:
                self._running = None
            else:
                self.pipeline.popleft()
        self._refusal = kind, detail
        if not self._busy:
            self._send_refusal(kind, detail)

    def _send_refusal(self, kind: Kind, detail: str) -> None:
        response = problem_response(kind, detail)
        headers = [*self.server_state.default_headers, *response.raw_headers, (b"connection", b"close")]
        head = b"".join([b"%b: %b\r\n" % header for header in headers])
        self._output.write(STATUS_LINE[kind.status] + head + b"\r\n" + bytes(response.body))
        self._open_connections.on_refused(kind.status)
        self._output.close()

    def _close(self) -> None:
        """Close; if the client may still be sending, only after it had time to read its answer (RFC 9112, 9.6).

        A socket that is closed with unread bytes is reset, and the reset may overtake the answer.
        """
        may_send = self._receiving or self._discarding or (self._stopping_since is not None and self._has_input())
        if not may_send or not self._open_connections.may_linger(self):
            self._output.transport.close()
            return
        self._discarding = True
        self._since = self.loop.time()
        self._output.half_close()


def _size(field: tuple[bytes, bytes]) -> int:
    return len(field[0]) + len(field[1]) + len(": \r\n")


class _StopParser(Exception):
    """Raised in a callback to stop the parser."""


class _Trailers(list[tuple[bytes, bytes]]):
    """Replaces a request's headers once they are complete, since uvicorn would append trailer fields to them.

    It drops trailer fields: they are not needed here, and must not count as headers (RFC 9110, 6.5.1).
    """

    size = 0

    def append(self, field: tuple[bytes, bytes]) -> None:
        self.size += _size(field)
        if self.size > limits.MAX_HEAD_BYTES:
            raise _StopParser
