"""The command line put together, and its errors as one line each."""

import logging
import sys
from importlib.metadata import version
from typing import Annotated

import stamina
import structlog
import typer

from durable_objects import DurableObjectError
from saywhatwant.client import ServerRefused, ServerUnavailable
from saywhatwant.commands import bench, bot, post, queue, serve, stress, tail, up
from saywhatwant.entities import WrongEntities
from saywhatwant.models.local import LocalModelFailed, LocalModelMissing
from saywhatwant.settings import WrongSettings

EXPECTED_ERRORS = (
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
UNAUTHORIZED = 401

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("saywhatwant"))
        raise typer.Exit


@app.callback()
def sww(
    _: Annotated[bool, typer.Option("--version", help="Say the version.", callback=_say_version, is_eager=True)] = False,
) -> None:
    """Say What Want: a wall where people post and AI entities answer."""


for command in (up.up, serve.serve, bot.bot, post.post, tail.tail, queue.queue, stress.stress, bench.bench):
    app.command()(command)


def main() -> None:
    """Run ``sww``."""
    _set_up_log()
    # Whoever retries says so in its own words.
    stamina.instrumentation.set_on_retry_hooks([])
    try:
        app()
    except EXPECTED_ERRORS as error:
        for line in _in_words(error).splitlines():
            typer.echo(f"sww: {line}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        log = structlog.get_logger()
        log.exception("unexpected error")
        typer.echo(f"sww: ended by an unexpected error: {type(error).__name__}: {error}", err=True)
        sys.exit(1)


def _in_words(error: BaseException) -> str:
    if isinstance(error, ServerRefused) and error.status == UNAUTHORIZED:
        return f"{error}; set SWW_BOT_TOKEN to the server's"
    return str(error)


def _set_up_log() -> None:
    """One line an event, on standard error, whoever logs it.

    Handlers of ``logging`` drop what can not be written (a full disk, a closed pipe), so that nothing ends because of its log.
    Tracebacks are without the values of variables, which have what people wrote in them.
    """
    logging.raiseExceptions = False
    prepare: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=prepare,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.dev.ConsoleRenderer(
                    colors=sys.stderr.isatty(), pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
                ),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("saywhatwant").setLevel(logging.INFO)
    structlog.configure(
        processors=[*prepare, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=lambda *_: logging.getLogger("saywhatwant"),
    )
