"""``sww serve``: the server alone."""

from collections.abc import Awaitable, Callable

import typer
import uvloop

from durable_objects import EmbeddedRuntime
from saywhatwant.commands.options import Bind, Data, RuntimeName
from saywhatwant.settings import Settings, load
from saywhatwant.worker import create_worker
from saywhatwant.worker.server import Server, listen


def serve(bind: Bind = None, data: Data = None, runtime: RuntimeName = None) -> None:
    """Serve the wall until stopped."""
    settings = load(bind=bind, data=data, runtime=runtime)
    uvloop.run(run_server(settings, on_ready=say_ready))


def say_ready(url: str) -> None:
    """Tell people and scripts that the server answers."""
    typer.echo(f"ready on {url}", err=True)


async def run_server(
    settings: Settings,
    *,
    on_ready: Callable[[str], None],
    on_stop: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; ``on_ready`` hears the URL once it answers, ``on_stop`` that it is about to stop."""
    runtime = EmbeddedRuntime(settings.data)

    def trouble() -> str | None:
        return f"the last commit failed: {runtime.last_error}" if runtime.last_error else None

    worker = create_worker(runtime, settings, meter=runtime.meter, trouble=trouble)
    sock = listen(settings)
    with sock:
        async with runtime:
            await Server(worker, settings, on_ready=on_ready, on_stop=on_stop).serve([sock])
