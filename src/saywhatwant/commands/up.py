"""``sww up``: server and bot in one process."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import click
import uvloop
from msgspec.structs import replace

from saywhatwant.commands import options
from saywhatwant.commands.answering import load_entities
from saywhatwant.commands.log import set_level
from saywhatwant.commands.serve import print_ready, run_server
from saywhatwant.entities import Entities
from saywhatwant.settings import Secret, Settings, load
from saywhatwant.tokens import new_token

USUAL_URL = "http://127.0.0.1:8787"
BOT_PACKAGES = ("httpx", "nltk", "openai", "stamina", "structlog")
"""Packages that the bot imports; checked at the start, since the bot is imported only once the server is ready."""


@click.command()
@options.bind
@options.data
@options.runtime
@options.restate
@options.entity
@options.entities
@options.model
def up(
    *,
    bind: str | None,
    data: Path | None,
    runtime: str | None,
    restate: str | None,
    entity: tuple[str, ...],
    entities: Path | None,
    model: str | None,
) -> None:
    """Run the wall with a bot that answers on it, until stopped."""
    for package in BOT_PACKAGES:
        if find_spec(package) is None:
            raise ModuleNotFoundError(name=package)
    settings = load(bind=bind, data=data, runtime=runtime, restate=restate, entities=entities)
    set_level(settings.log_level)
    with ExitStack() as stack:
        known = load_entities(settings, entity, model, stack)
        uvloop.run(_run(settings, known, entity))


async def _run(settings: Settings, entities: Entities, names: Sequence[str]) -> None:
    bots: list[asyncio.Task[None]] = []
    own_token = new_token() if settings.token is None else None
    of_bot = settings if own_token is None else replace(settings, bot_token=Secret(own_token))

    def on_ready(url: str) -> None:
        print_ready(url)
        _print_hints(url, list(names or entities.current))
        bots.append(asyncio.create_task(_answer(url, of_bot, entities, names)))

    async def on_stop() -> None:
        for task in bots:
            task.cancel()
        await asyncio.gather(*bots, return_exceptions=True)

    await run_server(settings, on_ready=on_ready, on_stop=on_stop, with_objects=True, own_token=own_token)


async def _answer(url: str, settings: Settings, entities: Entities, names: Sequence[str]) -> None:
    # Importing it takes longer than the server's start; the server answers meanwhile.
    supervisor = await asyncio.to_thread(import_module, "saywhatwant.commands.supervisor")
    await supervisor.keep_answering(url, settings, entities, names)


def _print_hints(url: str, names: Sequence[str]) -> None:
    sww = sys.argv[0]
    where = "" if url == USUAL_URL else f" --url {url}"
    click.echo(f"""
  The wall        {url}
  In a terminal   {sww} tail{where}
  Post            {sww} post{where} "Why is space black?"
  or              curl {url}/api/comments -d '{{"text": "Why is space black?", "username": "Human", "color": "169080199"}}'

  {", ".join(names)} answer here. Ctrl-C stops.
""")
