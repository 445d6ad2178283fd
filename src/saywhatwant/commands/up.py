"""``sww up``: server and bot in one process."""

import asyncio
import socket
import sys

import structlog
import typer
import uvloop

from saywhatwant.bot import Bot
from saywhatwant.client import ServerRefused, ServerUnavailable, WallClient
from saywhatwant.commands.options import Bind, Data, Entities, RuntimeName, served
from saywhatwant.commands.serve import run_server, say_ready
from saywhatwant.settings import Settings, load

USUAL_URL = "http://127.0.0.1:8787"


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

    def on_stop() -> None:
        for task in bots:
            task.cancel()

    await run_server(settings, on_ready=on_ready, on_stop=on_stop)
    await asyncio.gather(*bots, return_exceptions=True)


async def _answer(url: str, settings: Settings, entities: list[str]) -> None:
    try:
        async with WallClient(url, settings.token) as client:
            bot = Bot(client, f"up-{socket.gethostname()}", entities)
            # One process at a time has this data, so whatever this name holds was held by one that died.
            await bot.give_back()
            await bot.run()
    except (ServerRefused, ServerUnavailable) as error:
        structlog.get_logger().error("the bot has stopped, nobody answers now", error=str(error))


def _say_where_to_look(url: str, entities: list[str]) -> None:
    sww = sys.argv[0]
    where = "" if url == USUAL_URL else f" --url {url}"
    typer.echo(f"""
  The interface   {url}/api/docs
  Watch the wall  {sww} tail{where}
  Post            {sww} post{where} "Why is space black?"
  or              curl {url}/api/comments -d '{{"text": "Why is space black?", "username": "Human", "color": "169080199"}}'

  {", ".join(entities)} answer here. Ctrl-C stops.
""")
