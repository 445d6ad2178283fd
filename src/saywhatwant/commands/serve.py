"""``sww serve``: the server alone."""

import asyncio
import shutil
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from pathlib import Path

import click
import uvloop

from durable_objects import Runtime
from saywhatwant import last_backup
from saywhatwant.commands import options
from saywhatwant.commands.binding import cannot_bind
from saywhatwant.commands.by_hand import end_restore
from saywhatwant.commands.joining import PATIENCE_SECONDS, Joining
from saywhatwant.commands.runtimes import ServerRuntime, open_runtime
from saywhatwant.commands.server_parent import ServerParent
from saywhatwant.commands.service_manager import ServiceManager, check_listening
from saywhatwant.settings import Settings, WrongSettings, load
from saywhatwant.tokens import FILE as TOKENS_FILE
from saywhatwant.tokens import Tokens
from saywhatwant.topology import recorded_topology
from saywhatwant.topology.record import CONVERSIONS
from saywhatwant.usage import Usage
from saywhatwant.worker import create_worker
from saywhatwant.worker.handover import Handover
from saywhatwant.worker.server import Server, gateway_name, listen
from saywhatwant.worker.sessions import Sessions, key_in

BACKLOG = 4_096
"""Connections that may wait while no server accepts them; the system may allow fewer."""


@click.command()
@options.bind
@options.data
@options.runtime
@options.restate
@click.option(
    "--restart-on",
    type=click.Choice(["HUP", "USR1", "USR2"]),
    show_default="none",
    help="On this signal start the server again, also a newer version of it, without losing a request.",
)
def serve(*, bind: str | None, data: Path | None, runtime: str | None, restate: str | None, restart_on: str | None) -> None:
    """Run the wall without a bot, until stopped."""
    settings = load(bind=bind, data=data, runtime=runtime, restate=restate)
    if restart_on is None:
        uvloop.run(run_server(settings, on_ready=print_ready))
        return
    given = {"--data": data, "--runtime": runtime, "--restate": restate}
    options = [word for name, value in given.items() if value is not None for word in (name, str(value))]
    sys.exit(asyncio.run(_serve_as_parent(settings, options, signal.Signals[f"SIG{restart_on}"])))


async def _serve_as_parent(settings: Settings, arguments: list[str], restart_on: signal.Signals) -> int:
    """Run servers with these arguments, one after another, on one socket; returns the exit status."""
    manager = ServiceManager()
    handover = await manager.handover()
    check_listening(handover.listening, settings)
    with ExitStack() as stack:
        sockets = _listen(handover, settings, stack)
        for sock in sockets:
            sock.listen(BACKLOG)
        host, port = sockets[0].getsockname()[:2]
        bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        command = [sys.executable, sys.argv[0], "serve", "--bind", bind, *arguments]
        return await ServerParent(command, handover._replace(listening=sockets), manager, restart_on).run()


def print_ready(url: str) -> None:
    """Print the ready line, which people and scripts wait for."""
    click.echo(f"ready on {url}", err=True)


async def run_server(
    settings: Settings,
    *,
    on_ready: Callable[[str], None],
    on_stop: Callable[[], Awaitable[None]] | None = None,
    with_objects: bool = False,
    own_token: str | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, on the sockets that a service manager has handed over, or else on ``bind``.

    ``on_ready`` is called with the URL once the server answers, ``on_stop`` before it stops; for ``with_objects`` see
    ``open_runtime``, and for ``own_token`` ``Tokens``. Raises ``WrongSettings`` when the data directory or the address cannot
    be used, or the data has another topology, and ``WrongTokens``, ``DataLocked``, ``DataUnreadable`` or ``ConfigMismatch``.
    """
    manager = ServiceManager()
    runtime = open_runtime(settings, with_objects=with_objects)
    sessions = Sessions(Tokens(settings.token, settings.data / TOKENS_FILE, own=own_token), key_in(settings.data))
    worker = create_worker(
        runtime,
        settings,
        gateway=gateway_name(settings),
        sessions=sessions,
        last_backup=partial(last_backup.read, settings.data),
        dollars=_dollars,
        disk=partial(_disk_space, settings.data),
    )

    was_ready = asyncio.Event()

    def ready(url: str) -> None:
        was_ready.set()
        on_ready(url)
        manager.notify("READY=1", f"STATUS=ready on {url}")

    async def stop() -> None:
        if was_ready.is_set():
            click.echo("stopping: open requests are answered first", err=True)
        manager.notify("STOPPING=1", "STATUS=answers open requests, then stops")
        if on_stop is not None:
            await on_stop()

    async with AsyncExitStack() as stack:
        enter = partial(_enter, runtime, settings, stack)
        joining = Joining(worker, enter, lambda: runtime.health() or "its objects are not there yet", ready)
        # With a lock of the data, the server before this one must have ended first; a gateway can join while it serves.
        handover = await manager.handover(joining.begin() if settings.restate else None)
        check_listening(handover.listening, settings)
        new_server = partial(Server, settings=settings, on_stop=stop, handover=handover)
        if settings.restate:
            sockets = _listen(handover, settings, stack)
            if handover.listening:
                await joining.wait(PATIENCE_SECONDS)
            server = new_server(joining.worker, on_ready=joining.listens)
            await joining.serve(server, _serve(server, sockets))
        else:
            # Open the data first: the error of its lock names the process that uses data and address.
            await enter()
            await worker.desk.begin()
            sockets = _listen(handover, settings, stack)
            await _serve(new_server(worker, on_ready=ready), sockets)
    manager.wait()
    click.echo("stopped", err=True)


async def _enter(runtime: ServerRuntime, settings: Settings, stack: AsyncExitStack) -> None:
    """Start the runtime; returns once it can be used. ``stack`` ends it."""
    try:
        if settings.runtime != "restate":
            await end_restore(settings)
        await stack.enter_async_context(runtime)
    except OSError as error:
        what = f"SWW_DATA {settings.data} is not a writable directory: {error.strerror or error}"
        raise WrongSettings(what) from error
    await _check_topology(runtime, settings)


async def _serve(server: Server, sockets: list[socket.socket]) -> None:
    # uvicorn restores this handler when it has stopped: a second signal must not interrupt the rest of the shutdown.
    signal.signal(signal.SIGTERM, server.handle_exit)
    await server.serve(sockets)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


async def _check_topology(runtime: Runtime, settings: Settings) -> None:
    """Raise ``WrongSettings`` when the data has another topology than the settings name."""
    found = await recorded_topology(runtime, settings.topology)
    if found != settings.topology:
        where = f"of the wall {settings.restate_name}" if settings.restate else f"in {settings.data}"
        what = f"SWW_TOPOLOGY is {settings.topology}, but the data {where} has the topology {found}"
        if settings.restate:
            way = "choose another SWW_RESTATE_NAME"
        elif (found, settings.topology) in CONVERSIONS and settings.runtime == "embedded":
            way = f"convert the data with sww migrate --data {settings.data} --topology {settings.topology}"
        else:
            way = "choose another SWW_DATA"
        raise WrongSettings(f"{what}: start with SWW_TOPOLOGY={found}, or {way}")


def _dollars(usage: Usage) -> float:
    """What Cloudflare would have charged for what a server has used."""
    from saywhatwant.cost.bill import Bill
    from saywhatwant.cost.counts import Counts
    from saywhatwant.cost.prices import Prices

    return Bill.of(Counts.of(usage, time.time_ns() // 1_000_000), Prices()).total


def _listen(handover: Handover, settings: Settings, stack: ExitStack | AsyncExitStack) -> list[socket.socket]:
    """The sockets to listen on, closed by ``stack``."""
    sockets = list(handover.listening)
    if not sockets:
        try:
            sockets.append(listen(settings))
        except OSError as error:
            raise cannot_bind("SWW_BIND", settings.bind, error) from error
    for sock in sockets:
        stack.enter_context(sock)
    return sockets


def _disk_space(data: Path) -> tuple[int, int] | None:
    """The free bytes and the size of the disk with the data; None where that is not known, as where others have the data."""
    try:
        usage = shutil.disk_usage(data)
    except OSError:
        return None
    return usage.free, usage.total
