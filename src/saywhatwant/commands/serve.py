"""``sww serve``: the server alone."""

import errno
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import click
import uvloop

from durable_objects import Runtime
from saywhatwant.commands import options
from saywhatwant.commands.runtimes import open_runtime
from saywhatwant.settings import Settings, WrongSettings, load
from saywhatwant.topology import recorded_topology
from saywhatwant.topology.record import CONVERSIONS
from saywhatwant.worker import create_worker
from saywhatwant.worker.server import Server, listen


@click.command()
@options.bind
@options.data
@options.runtime
def serve(*, bind: str | None, data: Path | None, runtime: str | None) -> None:
    """Run the wall without a bot, until stopped."""
    settings = load(bind=bind, data=data, runtime=runtime)
    uvloop.run(run_server(settings, on_ready=print_ready))


def print_ready(url: str) -> None:
    """Print the ready line, which people and scripts wait for."""
    click.echo(f"ready on {url}", err=True)


async def run_server(
    settings: Settings,
    *,
    on_ready: Callable[[str], None],
    on_stop: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM.

    ``on_ready`` is called with the URL once the server answers, ``on_stop`` before it stops. Raises ``WrongSettings`` when the
    data directory or the address cannot be used, and ``DataLocked`` or ``DataUnreadable``.
    """
    runtime = open_runtime(settings)
    worker = create_worker(runtime, settings)
    async with AsyncExitStack() as stack:
        # Open the data first: the error of its lock names the process that uses data and address.
        try:
            await stack.enter_async_context(runtime)
        except OSError as error:
            what = f"SWW_DATA {settings.data} is not a writable directory: {error.strerror or error}"
            raise WrongSettings(what) from error
        await _check_topology(runtime, settings)
        sock = stack.enter_context(_listen(settings))
        server = Server(worker, settings, on_ready=on_ready, on_stop=on_stop)
        # uvicorn restores this handler when it has stopped: a second signal must not interrupt the rest of the shutdown.
        signal.signal(signal.SIGTERM, server.handle_exit)
        await server.serve([sock])
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


async def _check_topology(runtime: Runtime, settings: Settings) -> None:
    """Raise ``WrongSettings`` when the data has another topology than the settings name."""
    found = await recorded_topology(runtime, settings.topology)
    if found != settings.topology:
        what = f"SWW_TOPOLOGY is {settings.topology}, but the data in {settings.data} has the topology {found}"
        if (found, settings.topology) in CONVERSIONS:
            way = f"convert the data with sww migrate --data {settings.data} --topology {settings.topology}"
        else:
            way = "choose another SWW_DATA"
        raise WrongSettings(f"{what}: start with SWW_TOPOLOGY={found}, or {way}")


_BIND_ERRORS = {
    errno.EADDRINUSE: "is in use by another process; stop it or choose another port (--bind)",
    errno.EADDRNOTAVAIL: "is not an address of this machine; choose another (--bind)",
    errno.EACCES: "needs more rights for this port; choose one above 1023 (--bind)",
}


def _listen(settings: Settings) -> socket.socket:
    try:
        return listen(settings)
    except OSError as error:
        what = _BIND_ERRORS.get(error.errno or 0, f"cannot be used: {error.strerror or error} (--bind)")
        raise WrongSettings(f"SWW_BIND {settings.bind} {what}") from error
