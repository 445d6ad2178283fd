"""``sww up``: server and bot in one process."""

import asyncio
import socket
from contextlib import suppress

import typer
import uvloop

from saywhatwant.bot import Bot
from saywhatwant.client import WallClient
from saywhatwant.commands.options import Bind, Data, Entities, RuntimeName, served
from saywhatwant.commands.serve import run_server, say_ready
from saywhatwant.settings import Settings, load


def up(bind: Bind = None, data: Data = None, runtime: RuntimeName = None, entity: Entities = None) -> None:
    """Serve the wall and answer on it, until stopped."""
    settings = load(bind=bind, data=data, runtime=runtime)
    uvloop.run(_run(settings, served(entity)))


async def _run(settings: Settings, entities: list[str]) -> None:
    bots: list[asyncio.Task[None]] = []

    def on_ready(url: str) -> None:
        say_ready(url)
        _say_where_to_look(url, entities)
        bots.append(asyncio.create_task(_answer(url, settings, entities)))

    try:
        await run_server(settings, on_ready)
    finally:
        for task in bots:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _answer(url: str, settings: Settings, entities: list[str]) -> None:
    async with WallClient(url, settings.token) as client:
        await Bot(client, f"up-{socket.gethostname()}", entities).run()


def _say_where_to_look(url: str, entities: list[str]) -> None:
    typer.echo(f"""
  The interface   {url}/api/docs
  Watch the wall  sww tail
  Post            sww post "Why is space black?"
  or              curl {url}/api/comments -d '{{"text": "Why is space black?", "username": "Human", "color": "169080199"}}'

  {", ".join(entities)} answer here. Ctrl-C stops.
""")
