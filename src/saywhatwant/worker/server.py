"""The server: uvicorn, started and stopped in our order.

ARCHITECTURE.md explains why it is uvicorn and not Granian.
"""

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType

import uvicorn

from durable_objects import DurableObjectError
from saywhatwant.settings import Settings
from saywhatwant.worker import limits
from saywhatwant.worker.app import Worker
from saywhatwant.worker.connections import Connections
from saywhatwant.worker.handover import Handover
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
        handover: Handover | None = None,
    ) -> None:
        self._handover = handover or Handover()
        connections = Connections(
            in_total=settings.max_connections,
            of_one_client=settings.max_connections_per_address,
            proxies=settings.trusted_proxies,
            on_refused=worker.on_refused,
            handover=self._handover,
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
            )
        )
        self._waiters = worker.waiters
        self._events = worker.events
        self._moderator = worker.moderator
        self._reporter = worker.reporter
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
        """Listen on ``sockets`` and go on with the connections of the server before, then call ``on_ready``."""
        await super().startup(sockets)
        self._reporter.start()
        for connection in self._handover.connections:
            with suppress(OSError):  # its client has gone
                await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
        for listening in sockets or ():
            host, port = listening.getsockname()[:2]
            self._on_ready(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")

    def _protocol(self) -> asyncio.Protocol:
        protocol: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg] # as uvicorn does
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, answer what has begun to arrive, show readers what was committed, and ask them to come back.

        uvicorn would drop requests that have not arrived completely, and close idle connections though one may be on its way.
        """
        if self._on_stop is not None:
            await self._on_stop()
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        self._waiters.close()  # waiting claims are answered at once
        await self._end_connections(LimitedProtocol, limits.GRACE_SECONDS)
        with suppress(DurableObjectError, TimeoutError):
            async with asyncio.timeout(limits.FAREWELL_SECONDS):
                await self._events.caught_up()
        await self._end_connections(LimitedWebSocket, limits.FAREWELL_SECONDS)
        await self._end_rest()
        await self._reporter.aclose()
        await self._events.aclose()
        await self._moderator.aclose()

    async def _end_connections(self, kind: type[LimitedProtocol | LimitedWebSocket], seconds: float) -> None:
        """End those of this kind, also those that come meanwhile; returns when there are none, or after this time."""
        until = asyncio.get_running_loop().time() + seconds
        while not self.force_exit and asyncio.get_running_loop().time() < until:
            for connection in list(self.server_state.connections):
                if isinstance(connection, kind):
                    connection.shutdown()
            # A connection is known one turn of the loop after it was accepted.
            await asyncio.sleep(limits.STOP_CHECK_SECONDS)
            if not any(isinstance(connection, kind) for connection in self.server_state.connections):
                return

    async def _end_rest(self) -> None:
        """Cut what did not end by itself."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        if tasks := list(self.server_state.tasks):
            await asyncio.wait(tasks, timeout=0 if self.force_exit else limits.GRACE_SECONDS)
        for task in self.server_state.tasks:
            task.cancel()


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


def gateway_name(settings: Settings) -> str | None:
    """A name that only this server's successors have: the same machine and port. None for a port that is picked at random.

    Where the objects end with their server, each server of this data is a successor.
    """
    if settings.has_one_gateway:
        return settings.runtime
    return f"{socket.gethostname()}:{settings.bind}" if settings.port else None
