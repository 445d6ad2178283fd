"""The entry point of ``sww``. It imports only what the command needs, and almost nothing for ``--version``."""

import sys

EXTRAS = "sww needs its extras: pip install 'saywhatwant[{}]'"
USUAL = "server,bot"
RESTATE = {"aiohttp", "granian", "restate"}
"""Packages of a further extra."""
OURS = {"saywhatwant", "durable_objects"}


def main() -> None:
    """Run ``sww`` with the arguments of this process."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["--version"]:
        from importlib.metadata import version

        sys.stdout.write(f"{version('saywhatwant')}\n")
        return
    try:
        from saywhatwant.commands.app import run

        run(arguments)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in OURS:
            raise
        extras = f"{USUAL},restate" if error.name.partition(".")[0] in RESTATE else USUAL
        sys.exit(f"{EXTRAS.format(extras)} ({error.name} is not installed)")
