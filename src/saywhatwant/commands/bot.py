"""``sww bot``: a bot alone, for a server that runs elsewhere."""

import asyncio
import os
import signal
import socket
from contextlib import ExitStack, suppress
from typing import Annotated

import typer

from saywhatwant.bot import Bot
from saywhatwant.client import WallClient
from saywhatwant.commands.options import EntitiesFile, ModelName, Names, Url, load_entities, models_of, server_of, utf8
from saywhatwant.settings import load


def bot(
    url: Url = None,
    entity: Names = None,
    worker_id: Annotated[
        str | None, typer.Option(help="This worker's name.", show_default="host and process", callback=utf8)
    ] = None,
    entities: EntitiesFile = None,
    model: ModelName = None,
    once: Annotated[bool, typer.Option("--once", help="Answer one message, if there is one, and end.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print one answer; claim and post nothing.")] = False,
) -> None:
    """Answer messages as one or more entities, until stopped."""
    settings = load(entities=entities)
    with ExitStack() as stack:
        known = load_entities(settings, entity, model, stack)
        worker = worker_id or f"{socket.gethostname()}-{os.getpid()}"

        async def run() -> None:
            async with WallClient(server_of(url, settings), settings.token) as client:
                answering = Bot(client, worker, known, models_of(settings), names=entity or [])
                if dry_run:
                    typer.echo(await answering.dry_run() or "nothing is pending")
                elif once:
                    await answering.once()
                else:
                    await _until_stopped(answering)

        asyncio.run(run())


async def _until_stopped(answering: Bot) -> None:
    task = asyncio.create_task(answering.run())
    # Only the first one: another would break off what gives back the messages it holds.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: task.cancelling() or task.cancel())
    with suppress(asyncio.CancelledError):
        await task
