"""``sww bot``: a bot alone, for a server that runs elsewhere."""

import asyncio
import signal
from contextlib import ExitStack, aclosing, suppress
from pathlib import Path

import click

from saywhatwant.bot import Bot
from saywhatwant.commands import options
from saywhatwant.commands.answering import load_entities, model_router, random_worker_id
from saywhatwant.commands.connect import connect
from saywhatwant.commands.log import set_up_structlog
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
@click.option("--dry-run", is_flag=True, help="Print one answer; claim and post nothing.")
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
                    click.echo(await answering.dry_run() or "nothing is pending")
                elif once:
                    await answering.run_once()
                else:
                    await _until_stopped(answering)

        asyncio.run(run())


async def _until_stopped(answering: Bot) -> None:
    task, loop = asyncio.create_task(answering.run()), asyncio.get_running_loop()

    def stop(*_: object) -> None:
        # A second signal would interrupt the exit, in which the bot gives back its messages.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        loop.call_soon_threadsafe(task.cancel)

    signal.signal(signal.SIGTERM, stop)
    with suppress(asyncio.CancelledError):
        await task
