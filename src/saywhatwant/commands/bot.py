"""``sww bot``: a bot alone, for a server that runs elsewhere."""

import asyncio
import json
import signal
from contextlib import ExitStack, aclosing, suppress
from pathlib import Path
from typing import Any

import click

from saywhatwant.bot import Bot
from saywhatwant.commands import options
from saywhatwant.commands.answering import load_entities, model_router, random_worker_id
from saywhatwant.commands.connect import connect
from saywhatwant.commands.log import set_level, set_up_structlog
from saywhatwant.models import ModelFailed
from saywhatwant.settings import load

PATIENCE_SECONDS = 30.0
"""How long the bot retries one call while its server is unavailable."""


@click.command()
@options.url
@options.entity
@click.option("--worker-id", type=options.UTF8, show_default="bot- and 8 random", help="The public name of this worker.")
@options.entities
@options.model
@click.option("--once", is_flag=True, help="Answer one message, if there is one, then exit.")
@click.option("--dry-run", is_flag=True, help="Print a model's request and answer; claim and post nothing.")
def bot(
    *,
    url: str | None,
    entity: tuple[str, ...],
    worker_id: str | None,
    entities: Path | None,
    model: str | None,
    once: bool,
    dry_run: bool,
) -> None:
    """Answer messages as one or more entities, until stopped."""
    set_up_structlog()
    settings = load(entities=entities)
    set_level(settings.log_level)
    with ExitStack() as stack:
        known = load_entities(settings, entity, model, stack)
        worker = worker_id or random_worker_id("bot")

        async def run() -> None:
            async with (
                connect(url, settings, patience_seconds=PATIENCE_SECONDS) as client,
                aclosing(model_router(settings)) as router,
            ):
                answering = Bot(client, worker, known, router, names=entity)
                if dry_run:
                    await _print_one(answering)
                elif once:
                    await answering.run_once()
                else:
                    names = ", ".join(entity or known.current)
                    click.echo(f"{worker} answers for {names} at {client.url}. Ctrl-C stops.", err=True)
                    await _until_stopped(answering)

        asyncio.run(run())


async def _print_one(answering: Bot) -> None:
    def print_request(request: dict[str, Any]) -> None:
        click.echo(json.dumps(request, indent=2, ensure_ascii=False))

    try:
        answer = await answering.dry_run(print_request)
    except ModelFailed as error:
        raise click.ClickException(error.detail) from None
    click.echo("nothing is pending" if answer is None else f"\n{answer}")


async def _until_stopped(answering: Bot) -> None:
    task, loop = asyncio.create_task(answering.run()), asyncio.get_running_loop()

    def stop(*_: object) -> None:
        # A second signal would interrupt the exit, in which the bot gives back its messages.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        loop.call_soon_threadsafe(task.cancel)

    signal.signal(signal.SIGTERM, stop)
    with suppress(asyncio.CancelledError):
        await task
