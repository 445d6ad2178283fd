"""``sww up``: server and bot in one process."""

import asyncio
import socket
import sys
from contextlib import ExitStack
from urllib.parse import urlsplit

import structlog
import typer
import uvloop

from saywhatwant.addresses import url_from_here
from saywhatwant.bot import Bot
from saywhatwant.client import ServerRefused, ServerUnavailable, WallClient
from saywhatwant.commands.options import (
    Bind,
    Data,
    EntitiesFile,
    ModelName,
    Names,
    RuntimeName,
    load_entities,
    models_of,
)
from saywhatwant.commands.serve import run_server, say_ready
from saywhatwant.entities import Entities
from saywhatwant.settings import Settings, load

USUAL_URL = "http://127.0.0.1:8787"
RESTART_SECONDS = 5.0
"""Pause before a bot that something unexpected has ended is started again."""


def up(
    bind: Bind = None,
    data: Data = None,
    runtime: RuntimeName = None,
    entity: Names = None,
    entities: EntitiesFile = None,
    model: ModelName = None,
) -> None:
    """Serve the wall and answer on it, until stopped."""
    settings = load(bind=bind, data=data, runtime=runtime, entities=entities)
    with ExitStack() as stack:
        known = load_entities(settings, entity, model, stack)
        uvloop.run(_run(settings, known, entity or []))


async def _run(settings: Settings, entities: Entities, names: list[str]) -> None:
    bots: list[asyncio.Task[None]] = []

    def on_ready(url: str) -> None:
        say_ready(url)
        _say_where_to_look(url, names or list(entities.current))
        bots.append(asyncio.create_task(_answer(url, settings, entities, names)))

    async def on_stop() -> None:
        for task in bots:
            task.cancel()
        await asyncio.gather(*bots, return_exceptions=True)

    await run_server(settings, on_ready=on_ready, on_stop=on_stop)


async def _answer(url: str, settings: Settings, entities: Entities, names: list[str]) -> None:
    address = urlsplit(url)
    here = url_from_here(address.hostname or "", address.port or 0)
    log = structlog.get_logger()
    async with WallClient(here, settings.token, is_here=True) as client:
        bot = Bot(client, f"up-{socket.gethostname()}", entities, models_of(settings), names=names)
        while True:
            try:
                # One process at a time has this data, so whatever this name holds was held by one that died.
                await bot.release_held()
                await bot.run()
            except (ServerRefused, ServerUnavailable) as error:
                log.error("the bot has stopped and is started again", error=str(error))  # noqa: TRY400 - the sentence says it all
            except Exception:  # whatever it is, somebody must answer
                log.exception("the bot has stopped and is started again")
            await asyncio.sleep(RESTART_SECONDS)


def _say_where_to_look(url: str, names: list[str]) -> None:
    sww = sys.argv[0]
    where = "" if url == USUAL_URL else f" --url {url}"
    typer.echo(f"""
  The wall        {url}
  In a terminal   {sww} tail{where}
  Post            {sww} post{where} "Why is space black?"
  or              curl {url}/api/comments -d '{{"text": "Why is space black?", "username": "Human", "color": "169080199"}}'

  {", ".join(names)} answer here. Ctrl-C stops.
""")
