"""``sww``, the command line: one file a command."""

from saywhatwant.commands.entry import main

__all__ = ["main"]
