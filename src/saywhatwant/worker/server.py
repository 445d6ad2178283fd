"""The real server: uvicorn, started and stopped in our order.

uvicorn rather than Granian: ARCHITECTURE.md says what both measured.
"""

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial

import uvicorn

from saywhatwant.settings import Settings
from saywhatwant.worker.app import Worker
from saywhatwant.worker.connection import AbortableWebSocket, BoundedProtocol

KEEP_ALIVE_SECONDS = 65
"""Longer than the minute that proxies keep idle connections, so that they and not we close them."""
PING_SECONDS = 20.0
"""How often a WebSocket is asked whether it is still there, and how long it may take to say so."""
MAX_SAID_BYTES = 1_024
"""Of what a WebSocket may send; the wall's readers say nothing."""
GRACE_SECONDS = 5
"""How long a stop waits for requests that are being answered."""
SWITCH_INTERVAL_SECONDS = 0.0001
"""How soon a busy event loop lets the committing thread go on; Python's own 5 ms would be added to every commit."""
COLLECTOR_THRESHOLDS = (10_000, 20, 50)
"""See ``gc.set_threshold``: a young generation that takes under a millisecond to look through."""


class Server(uvicorn.Server):
    """uvicorn, telling when it answers and letting waiting claims go when it stops."""

    def __init__(
        self,
        worker: Worker,
        settings: Settings,
        *,
        on_ready: Callable[[str], None],
        on_stop: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        _quieten(logging.getLogger("uvicorn.error"))
        super().__init__(
            uvicorn.Config(
                worker.app,
                http=partial(BoundedProtocol, max_connections=settings.max_connections),  # type: ignore[arg-type]
                ws=AbortableWebSocket,
                ws_max_size=MAX_SAID_BYTES,
                ws_ping_interval=PING_SECONDS,
                ws_ping_timeout=PING_SECONDS,
                ws_per_message_deflate=False,  # it would encode each frame anew for each reader
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
        self._waiters = worker.waiters
        self._on_ready = on_ready
        self._on_stop = on_stop

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
        if self._on_stop is not None:
            await self._on_stop()
        self._waiters.close()
        await super().shutdown(sockets)


def _quieten(logger: logging.Logger) -> None:
    """Errors only; and not the one that uvicorn has for every refused handshake."""
    logger.setLevel(logging.ERROR)
    logger.addFilter(lambda record: "without completing handshake" not in record.getMessage())


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
