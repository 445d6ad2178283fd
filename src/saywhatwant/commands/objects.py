"""``sww objects``: the objects of a wall on a Restate cluster. Its gateways are ``sww serve --restate URL``."""

import asyncio
from typing import TYPE_CHECKING

import click
import uvloop

from durable_objects.errors import RuntimeClosed
from saywhatwant.addresses import host_and_port, url_from_here
from saywhatwant.commands import options
from saywhatwant.commands.binding import cannot_bind
from saywhatwant.commands.log import set_level
from saywhatwant.commands.serve import print_ready
from saywhatwant.entities import Entities
from saywhatwant.history import open_history
from saywhatwant.settings import Settings, load
from saywhatwant.topology import open_wall
from saywhatwant.worker.app import queue_config

if TYPE_CHECKING:
    from durable_objects.restate.objects import RestateObjects

PAUSE_SECONDS = 0.1
"""Between two attempts to register."""


@click.command()
@click.option(
    "--bind", metavar="HOST:PORT", show_default="127.0.0.1:9080", help="Where Restate calls; port 0 picks a free one."
)
@options.restate_admin
@click.option("--take-over", is_flag=True, help="Go on with what began in earlier processes, all of which have ended.")
@click.option("--standby", is_flag=True, help="While another process serves at this address, wait; then take its place.")
def objects(*, bind: str | None, restate_admin: str | None, take_over: bool, standby: bool) -> None:
    """Run the objects of a wall on a Restate cluster, until stopped."""
    from durable_objects.restate.objects import end_process

    settings = load(objects_bind=bind, restate_admin=restate_admin, runtime="restate")
    set_level(settings.log_level)
    uvloop.run(run_objects(settings, take_over=take_over, standby=standby))
    end_process()


async def run_objects(settings: Settings, *, take_over: bool, standby: bool = False) -> None:
    """Serve the wall's objects to Restate until SIGINT or SIGTERM; ``take_over`` as in ``deployments``.

    With ``standby`` all is loaded, and waits until no other process has the address.

    Raises ``WrongSettings`` when the address cannot be used.
    """
    from durable_objects.restate.objects import RestateObjects
    from durable_objects.restate.ports import free_port

    hosted = RestateObjects(settings.restate_name)
    open_wall(hosted, queue_config(settings, tuple(Entities(settings.entities).current)), settings.topology)
    open_history(hosted)
    host, port = host_and_port(settings.objects_bind)
    port = port or free_port(host)
    url = settings.objects_url or url_from_here(host, port)
    registering: list[asyncio.Task[None]] = []

    def listens() -> None:
        registering.append(asyncio.create_task(_register(hosted, settings.admin_urls, url, take_over=take_over)))

    if standby:
        click.echo(f"standing by for {url}", err=True)
    try:
        await hosted.serve(host, port, ready=listens, standby=standby)
    except OSError as error:
        raise cannot_bind("SWW_OBJECTS_BIND", settings.objects_bind, error) from error
    finally:
        for task in registering:
            task.cancel()


async def _register(hosted: "RestateObjects", admin_urls: list[str], url: str, *, take_over: bool) -> None:
    """Register with the cluster, once it answers."""
    told = ""
    while True:
        try:
            if take_over:
                await hosted.take_over(admin_urls, url)
            else:
                await hosted.register(admin_urls, url, force=True)
        except RuntimeClosed as error:
            if str(error) != told:
                click.echo(f"sww: waiting for the cluster: {error}", err=True)
                told = str(error)
            await asyncio.sleep(PAUSE_SECONDS)
        else:
            print_ready(url)
            return
