"""The entry point of ``sww``. It imports only what the command needs, and almost nothing for ``--version``."""

import sys

EXTRAS = "sww needs its extras: pip install 'saywhatwant[server,bot]'"
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
        sys.exit(f"{EXTRAS} ({error.name} is not installed)")
