"""The command line put together, and its errors as one line each."""

import logging
import sys

import stamina
import structlog
import typer

from durable_objects import DurableObjectError
from saywhatwant.client import ServerRefused, ServerUnavailable
from saywhatwant.commands import bench, bot, post, queue, serve, stress, tail, up
from saywhatwant.entities import WrongEntities
from saywhatwant.models.local import LocalModelFailed, LocalModelMissing
from saywhatwant.settings import WrongSettings

TOLD = (
    WrongSettings,
    WrongEntities,
    LocalModelMissing,
    LocalModelFailed,
    DurableObjectError,
    ServerRefused,
    ServerUnavailable,
    OSError,
)
"""What ends a command with a sentence instead of a traceback."""

app = typer.Typer(
    help="Say What Want: a wall where people post and AI entities answer.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in (up.up, serve.serve, bot.bot, post.post, tail.tail, queue.queue, stress.stress, bench.bench):
    app.command()(command)


def main() -> None:
    """Run ``sww``."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    # Whoever retries says so in its own words.
    stamina.instrumentation.set_on_retry_hooks([])
    try:
        app()
    except (
        WrongSettings,
        WrongEntities,
        LocalModelMissing,
        LocalModelFailed,
        DurableObjectError,
        ServerRefused,
        ServerUnavailable,
        OSError,
    ) as error:
        for line in str(error).splitlines():
            typer.echo(f"sww: {line}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
