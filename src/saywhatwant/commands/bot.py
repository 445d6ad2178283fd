"""``sww bot``: a bot alone, for a server that runs elsewhere."""

import asyncio
import os
import socket
from typing import Annotated

import typer

from saywhatwant.bot import Bot
from saywhatwant.client import WallClient
from saywhatwant.commands.options import Entities, Url, served, server_of
from saywhatwant.settings import load


def bot(
    url: Url = None,
    entity: Entities = None,
    worker_id: Annotated[str | None, typer.Option(help="This worker's name.", show_default="host and process")] = None,
) -> None:
    """Answer messages as one or more entities, until stopped."""
    settings = load()
    entities = served(entity)
    asyncio.run(_run(server_of(url, settings), settings.token, worker_id or _default_worker_id(), entities))


def _default_worker_id() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


async def _run(url: str, token: str | None, worker_id: str, entities: list[str]) -> None:
    async with WallClient(url, token) as client:
        await Bot(client, worker_id, entities).run()
