"""The command line put together, and its errors as one line each."""

import logging
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated

import typer

from durable_objects import DurableObjectError
from saywhatwant.commands.log import set_up_log
from saywhatwant.errors import ExpectedError

COMMANDS = {
    "up": "Run the wall with a bot that answers on it, until stopped.",
    "serve": "Run the wall without a bot, until stopped.",
    "bot": "Answer messages as one or more entities, until stopped.",
    "post": "Post a message; the answer appears in `sww tail`.",
    "tail": "Follow the wall.",
    "queue": "Show what is pending, what bots are working on, and what failed and why.",
    "stress": "Post from many tabs and check that every message is seen and answered exactly once.",
    "bench": "Measure the speed on this machine, next to workerd, Redis and PostgreSQL.",
}
"""One line for each command; ``commands/NAME.py`` has a function of its name, imported only when it is run."""
EXPECTED_ERRORS = (ExpectedError, DurableObjectError, OSError)
"""Errors that are reported as one sentence instead of a traceback."""

log = logging.getLogger("saywhatwant")


def run(arguments: Sequence[str]) -> None:
    """Run the command that ``arguments`` name; exits with its status."""
    set_up_log()
    try:
        _app(arguments)(arguments, prog_name="sww")
    except EXPECTED_ERRORS as error:
        for line in str(error).splitlines():
            typer.echo(f"sww: {line}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except ModuleNotFoundError:
        raise  # an extra is missing
    except Exception as error:
        log.exception("unexpected error")
        typer.echo(f"sww: stopped by an unexpected error: {type(error).__name__}: {error}", err=True)
        sys.exit(1)


def _app(arguments: Sequence[str]) -> typer.Typer:
    app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.callback()(_sww)
    # No option before the command takes a value.
    wanted = next((argument for argument in arguments if not argument.startswith("-")), None)
    for name, summary in COMMANDS.items():
        app.command(name, short_help=summary)(_function(name) if name == wanted else _not_run)
    return app


def _function(name: str) -> Callable[..., None]:
    function: Callable[..., None] = getattr(import_module(f"saywhatwant.commands.{name}"), name)
    return function


def _not_run() -> None:
    """Stand in for a command that is only listed."""


def _sww(
    _: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Say What Want: a public wall where people post and AI entities answer."""
