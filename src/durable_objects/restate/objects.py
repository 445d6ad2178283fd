"""The objects' process: declares classes, and serves their objects to Restate."""

import asyncio
import errno
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any, Generic, NoReturn

import restate
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from msgspec import Struct
from restate.server import install_shutdown_hook

from durable_objects.contract import EventStream, ObjectT, Stub
from durable_objects.errors import RuntimeClosed
from durable_objects.limits import IDLE_SECONDS
from durable_objects.meter import Meter
from durable_objects.names import check_name
from durable_objects.restate.deployments import register, take_over
from durable_objects.restate.encoding import PREFIX
from durable_objects.restate.object_host import ObjectHost
from durable_objects.restate.ports import claim_port
from durable_objects.restate.service import ObjectService, virtual_object

log = logging.getLogger("durable_objects")

STOP_SECONDS = 5
"""Seconds that ``serve`` waits at its end for what is running; Restate has what was not done by then done elsewhere."""

LOOK_SECONDS = 0.02
"""How often one that stands by tries whether the address is free."""


def wall_clock_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def end_process(status: int = 0) -> NoReturn:
    """End this process after ``serve``, without the interpreter's own end.

    A thread of the HTTP server that still runs when that comes is cut off inside Rust, which aborts the process (SIGABRT).
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


class RestateObjects:
    """Declares classes of objects, as a ``contract.Runtime`` does, and runs their objects for Restate.

    Calls come from gateways (``RestateRuntime``), through Restate; the handles that this one returns make none.

    Args:
        prefix: what the names of its services begin with; see ``encoding.service_name``.
        clock: milliseconds since 1970; may step.
    """

    def __init__(self, prefix: str = PREFIX, *, clock: Callable[[], int] = wall_clock_ms) -> None:
        self._prefix = prefix
        seeds = Random(os.urandom(16))  # noqa: S311 - for ids and jitter, no secrets
        self.host = ObjectHost(clock=clock, new_seed=partial(seeds.getrandbits, 64))
        self._stopping: asyncio.Event | None = None

    @property
    def meter(self) -> Meter:
        """What has been counted since it started."""
        return self.host.meter

    def health(self) -> str | None:
        """See ``contract.Runtime``; what it needs is all in Restate."""
        return None

    async def scrub(self) -> NoReturn:
        """Raises ``RuntimeClosed``: that is for gateways."""
        raise _no_calls()

    def namespace(self, name: str, cls: type[ObjectT], config: Struct | None = None) -> "DeclaredNamespace[ObjectT]":
        """See ``contract.Runtime``. Declare every class before ``serve``."""
        self.host.declare(name, cls, config)
        return DeclaredNamespace()

    async def serve(self, host: str, port: int, *, ready: Callable[[], object] | None = None, standby: bool = False) -> None:
        """Serve the objects to Restate at this address, HTTP/2 without TLS, until SIGTERM, SIGINT or ``stop``.

        ``GET /health`` answers 200. ``ready`` is called when it listens. Raises ``OSError`` when it cannot listen there; with
        ``standby`` it waits while another process does, and takes its place within some hundredths of a second.
        """
        loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        for signum in (signal.SIGTERM, signal.SIGINT):
            try:
                install_shutdown_hook(loop, self.stop, signum)
            except (RuntimeError, ValueError):  # not in the main thread
                break
        services = [virtual_object(ObjectService(self.host, self._prefix, name)) for name in self.host.declared]
        server = Server(
            restate.app(services),
            address=host,
            port=port,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http2,
            websockets=False,
            log_enabled=False,
        )
        held_port = await self._claim(host, port) if standby else claim_port(port, host)
        if held_port is None:
            return
        with held_port:
            await self._serve(server, self._stopping, ready)

    async def _claim(self, host: str, port: int) -> socket.socket | None:
        """The port, once no other process has it; None when it is to stop before."""
        while self._stopping is not None and not self._stopping.is_set():
            try:
                return claim_port(port, host)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            await asyncio.sleep(LOOK_SECONDS)
        return None

    async def _serve(self, server: Server, stopping: asyncio.Event, ready: Callable[[], object] | None) -> None:
        serving = asyncio.create_task(server.serve())
        stopped = asyncio.create_task(stopping.wait())
        evicting = asyncio.create_task(self._evict_idle())
        try:
            await asyncio.sleep(0)  # in which it begins to listen, or fails to
            if ready is not None and not serving.done():
                ready()
            await asyncio.wait([serving, stopped], return_when=asyncio.FIRST_COMPLETED)
        finally:
            evicting.cancel()
            stopped.cancel()
            self.host.close()
            server.stop()  # type: ignore[no-untyped-call] # granian's
            await self._end(serving)

    async def _end(self, serving: "asyncio.Task[None]") -> None:
        """Wait for the end of what is running, but not for a server that does not answer any more."""
        await asyncio.wait([serving], timeout=STOP_SECONDS)
        if not serving.done():
            log.warning("Restate has not closed its connection for %d seconds; going without", STOP_SECONDS)
            serving.cancel()
        elif (error := serving.exception()) is not None:
            raise error

    def stop(self) -> None:
        """End ``serve``; Restate goes on with what was running at another process, or when one comes back."""
        if self._stopping is not None:
            self._stopping.set()

    async def _evict_idle(self) -> None:
        while True:
            await asyncio.sleep(IDLE_SECONDS)
            self.host.evict_idle()

    async def register(self, admin_urls: Sequence[str], own_uri: str, *, force: bool = False) -> None:
        """See ``deployments.register``."""
        await register(admin_urls, own_uri, force=force)

    async def take_over(self, admin_urls: Sequence[str], own_uri: str) -> None:
        """See ``deployments.take_over``: of all processes that have served these objects."""
        await take_over(admin_urls, own_uri, self._prefix)


class DeclaredNamespace(Generic[ObjectT]):
    """A namespace whose objects can be named, but not called."""

    def get(self, name: str) -> Stub[ObjectT]:
        """A handle that refuses all calls."""
        check_name("an object", name)
        return DeclaredStub()


class DeclaredStub(Generic[ObjectT]):
    """A handle in the objects' process, which makes no calls from outside."""

    async def call(self, *_: Any, **__: Any) -> NoReturn:  # noqa: ANN401 - of any method
        """Raises ``RuntimeClosed``."""
        raise _no_calls()

    def options(self, **_: Any) -> NoReturn:  # noqa: ANN401 - any
        """Raises ``RuntimeClosed``."""
        raise _no_calls()

    def events(self, _: int | None = None) -> EventStream:
        """Raises ``RuntimeClosed``."""
        raise _no_calls()

    async def settle(self) -> None:
        """Raises ``RuntimeClosed``."""
        raise _no_calls()


def _no_calls() -> RuntimeClosed:
    return RuntimeClosed("this process runs the objects; calls of them are made at a gateway")
