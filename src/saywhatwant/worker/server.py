"""The server: uvicorn, started and stopped in our order.

ARCHITECTURE.md explains why it is uvicorn and not Granian.
"""

import gc
import logging
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType

import uvicorn

from saywhatwant.settings import Settings
from saywhatwant.worker import limits
from saywhatwant.worker.app import Worker
from saywhatwant.worker.connections import Connections
from saywhatwant.worker.http_protocol import LimitedProtocol
from saywhatwant.worker.websocket_protocol import LimitedWebSocket

SWITCH_INTERVAL_SECONDS = 0.0001
"""How soon a busy event loop lets the writer thread run; Python's default of 5 ms would be added to every commit."""
COLLECTOR_THRESHOLDS = (10_000, 20, 50)
"""See ``gc.set_threshold``: collecting this young generation takes under a millisecond."""


class Server(uvicorn.Server):
    """uvicorn, with a call when it is ready, and an end of waiting claims when it stops."""

    def __init__(
        self,
        worker: Worker,
        settings: Settings,
        *,
        on_ready: Callable[[str], None],
        on_stop: Callable[[], Awaitable[None]] | None = None,
        protocol: type[LimitedProtocol] = LimitedProtocol,
    ) -> None:
        connections = Connections(
            in_total=settings.max_connections,
            of_one_client=settings.max_connections_per_address,
            proxies=settings.trusted_proxies,
            on_refused=worker.on_refused,
        )
        super().__init__(
            uvicorn.Config(
                worker.app,
                interface="asgi3",  # a guess would want a coroutine function
                http=partial(protocol, open_connections=connections),  # type: ignore[arg-type] # as good as a class
                ws=LimitedWebSocket,
                ws_max_size=limits.MAX_SOCKET_MESSAGE_BYTES,
                ws_ping_interval=limits.PING_SECONDS,
                ws_ping_timeout=limits.PING_SECONDS,
                ws_per_message_deflate=False,  # it would compress each frame again for each reader
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=bool(settings.trusted_proxies),
                forwarded_allow_ips=settings.trusted_proxies or None,
                timeout_graceful_shutdown=limits.GRACE_SECONDS,
            )
        )
        self._waiters = worker.waiters
        self._events = worker.events
        self._on_ready = on_ready
        self._on_stop = on_stop

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until stopped; process-wide changes are undone afterwards."""
        with _quiet_log(logging.getLogger("uvicorn.error")), _tuned_interpreter():
            await super().serve(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature is uvicorn's
        """Stop in order. uvicorn would raise the signal again afterwards, which would interrupt its caller's cleanup."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on ``sockets``, then call ``on_ready``."""
        await super().startup(sockets)
        for listening in sockets or ():
            host, port = listening.getsockname()[:2]
            self._on_ready(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish open requests, answer waiting claims at once, then stop."""
        if self._on_stop is not None:
            await self._on_stop()
        self._waiters.close()
        await super().shutdown(sockets)
        await self._events.aclose()


@contextmanager
def _quiet_log(logger: logging.Logger) -> Iterator[None]:
    """Log errors only, without uvicorn's error for every refused handshake."""

    def is_wanted(record: logging.LogRecord) -> bool:
        return "without completing handshake" not in record.getMessage()

    level = logger.level
    logger.setLevel(logging.ERROR)
    logger.addFilter(is_wanted)
    try:
        yield
    finally:
        logger.removeFilter(is_wanted)
        logger.setLevel(level)


@contextmanager
def _tuned_interpreter() -> Iterator[None]:
    """Switch to the writer thread soon, and run the garbage collector rarely and never on permanent objects.

    By default it runs after every 700 new containers, several times per commit. A request's objects are freed by reference
    counts; cycles are rare.
    """
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
        sys.setswitchinterval(interval)


def listen(settings: Settings) -> socket.socket:
    """A bound socket for ``bind``; raises ``OSError`` when the address is in use or not of this machine."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((settings.host, settings.port))
    except OSError:
        sock.close()
        raise
    return sock
