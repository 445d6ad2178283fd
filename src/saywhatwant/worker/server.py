"""The real server: uvicorn, with bounds on what a connection may send before the app sees it.

uvicorn rather than Granian: ARCHITECTURE.md says what both measured.
"""

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from saywhatwant.settings import Settings
from saywhatwant.worker.app import Worker
from saywhatwant.worker.problems import Kind, problem_response

MAX_HEADER_BYTES = 64 * 1024
"""Request line and headers together, checked whenever a connection has sent some (at most 256 KiB at a time)."""
MAX_REQUEST_SECONDS = 30.0
"""For a connection's first request, and for each one that does not arrive in one piece."""
KEEP_ALIVE_SECONDS = 65
"""Longer than the minute that proxies keep idle connections, so that they and not we close them."""
GRACE_SECONDS = 5
"""How long a stop waits for requests that are being answered."""
SWITCH_INTERVAL_SECONDS = 0.0005
"""How soon a busy event loop lets the committing thread go on; Python's own 5 ms would be added to every commit."""
COLLECTOR_THRESHOLDS = (50_000, 50, 100)

_TOO_MANY = Kind(503, "too-many-connections", "Too many connections")
_HEADER_TOO_LARGE = Kind(431, "header-too-large", "The header is too large")
_MALFORMED = Kind(400, "malformed-request", "This is not HTTP")


class OnePiece:
    """A transport that sends an answer's header together with its body: one packet and one system call instead of two."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._header = b""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a transport has
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._header and data.startswith(b"HTTP/1.1 "):
            self._header = data
        else:
            self._transport.write(self._header + data)
            self._header = b""

    def flush(self) -> None:
        if self._header:
            self._transport.write(self._header)
            self._header = b""

    def close(self) -> None:
        self.flush()
        self._transport.close()


class BoundedProtocol(HttpToolsProtocol):
    """Refuses connections beyond a number, and closes those that send too much header or too slowly."""

    def __init__(self, *args: Any, max_connections: int, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **kwargs)
        self._max_connections = max_connections
        self._header_bytes = 0
        self._in_message = self._in_body = False
        self._slow: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(OnePiece(transport))  # type: ignore[arg-type]
        self._slow = self.loop.call_later(MAX_REQUEST_SECONDS, transport.close)
        if len(self.connections) > self._max_connections:
            self._refuse(_TOO_MANY, f"{self._max_connections} connections are open already")

    def connection_lost(self, exc: Exception | None) -> None:
        self._not_slow()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._header_bytes += len(data)
        super().data_received(data)
        if not self._in_message:
            return
        if not self._in_body and self._header_bytes > MAX_HEADER_BYTES:
            self._refuse(_HEADER_TOO_LARGE, f"request line and headers have more than {MAX_HEADER_BYTES} bytes")
        elif self._slow is None:
            self._slow = self.loop.call_later(MAX_REQUEST_SECONDS, self.transport.close)

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

    def on_response_complete(self) -> None:
        # An answer without a body (304, HEAD) has nothing to wait for.
        self.transport.flush()  # type: ignore[attr-defined]
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(_MALFORMED, msg)

    def _not_slow(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

    def _refuse(self, kind: Kind, detail: str) -> None:
        response = problem_response(kind, detail)
        head = b"".join(b"%b: %b\r\n" % header for header in response.raw_headers)
        self.transport.write(b"HTTP/1.1 %d \r\n%bconnection: close\r\n\r\n" % (kind.status, head) + response.body)
        self.transport.close()


class Server(uvicorn.Server):
    """uvicorn, telling when it answers and letting waiting claims go when it stops."""

    def __init__(self, worker: Worker, settings: Settings, on_ready: Callable[[str], None]) -> None:
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        super().__init__(
            uvicorn.Config(
                worker.app,
                http=partial(BoundedProtocol, max_connections=settings.max_connections),  # type: ignore[arg-type]
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=bool(settings.trusted_proxies),
                forwarded_allow_ips=settings.trusted_proxies or None,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self._room = worker.room
        self._on_ready = on_ready

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop in order on SIGINT and SIGTERM; uvicorn's own would raise them again and so cut off what stops after it."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on ``sockets``; then say so."""
        sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
        _calm_the_collector()
        await super().startup(sockets)
        for listening in sockets or ():
            host, port = listening.getsockname()[:2]
            self._on_ready(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what is being answered, waiting claims at once, then stop."""
        self._room.close()
        await super().shutdown(sockets)


def _calm_the_collector() -> None:
    """Have the garbage collector look rarely, and never at what is there for good.

    By default it looks after every 700 new containers, several times in one commit's worth of requests. What a request makes
    is freed by reference counts; cycles are rare.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)


def listen(settings: Settings) -> socket.socket:
    """A bound socket for ``bind``; raises ``OSError`` when the address is taken or not ours."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((settings.host, settings.port))
    except OSError:
        sock.close()
        raise
    return sock
