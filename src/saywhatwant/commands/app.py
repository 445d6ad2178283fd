"""The command line: its commands, and how their errors are printed."""

import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword

import click

from durable_objects import DurableObjectError
from saywhatwant.commands.log import set_up_log
from saywhatwant.errors import ExpectedError

COMMANDS = {
    "up": "Run the wall with a bot that answers on it, until stopped.",
    "serve": "Run the wall without a bot, until stopped.",
    "objects": "Run the objects of a wall on a Restate cluster, until stopped.",
    "bot": "Answer messages as one or more entities, until stopped.",
    "post": "Post a message; the answer appears in `sww tail`.",
    "tail": "Follow the wall.",
    "queue": "Show the work and the bots; retry, fail or discard messages.",
    "history": "Show the figures of the last minutes or hours.",
    "moderate": "Hide or erase messages, make rules for posts, and review what they hold.",
    "stress": "Check that every message is seen and answered exactly once, or that entities remember.",
    "cost": "Print what a wall costs on Cloudflare, counted.",
    "token": "Make, list and revoke tokens of bots and operators.",
    "backup": "Copy a wall into a directory, while its server runs.",
    "restore": "Make a new data directory from such a copy.",
    "forget": "Remove from backups what was erased after they were made.",
    "doctor": "Find what is wrong with data, disk, clock, tokens, backups and server.",
    "migrate": "Convert the data to another topology, while no server runs.",
    "export": "Write a whole wall into one file, while no server runs.",
    "import": "Make a wall from such a file, on this runtime or another.",
    "install": "Write the wall's services for systemd: server, bot and backups.",
    "bench": "Measure the speed on this machine, compared with workerd, Redis and PostgreSQL.",
}
"""Help for each command.

A command is the function of its name in ``commands/NAME.py``, which is imported when it runs; a name that is a word of Python
has an underscore there.
"""
EXPECTED_ERRORS = (ExpectedError, DurableObjectError, OSError)
"""Errors that are printed as one sentence instead of a traceback."""
INTERRUPTED = 130

log = logging.getLogger("saywhatwant")


class Commands(click.Group):
    """The commands, each imported when it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        """The names of the commands, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Import the command of this name."""
        if cmd_name not in COMMANDS:
            return None
        name = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command: click.Command = getattr(import_module(f"saywhatwant.commands.{name}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, no_args_is_help=True)
@click.option("--version", is_flag=True, help="Print the version.")  # entry.py handles it
def sww(version: bool) -> None:  # noqa: FBT001 - click passes it by name
    """Say What Want: a public wall where people post and AI entities answer."""


def run(arguments: Sequence[str]) -> None:
    """Run the command that ``arguments`` name; exits with its status."""
    set_up_log()
    try:
        sys.exit(sww.main(list(arguments), prog_name="sww", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(INTERRUPTED)
    except EXPECTED_ERRORS as error:
        for line in str(error).splitlines():
            click.echo(f"sww: {line}", err=True)
        sys.exit(1)
    except ModuleNotFoundError:
        raise  # entry.py reports the missing extra
    except Exception as error:
        log.exception("unexpected error")
        click.echo(f"sww: stopped by an unexpected error: {type(error).__name__}: {error}", err=True)
        sys.exit(1)
