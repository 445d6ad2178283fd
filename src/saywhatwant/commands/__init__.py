"""``sww``, the command line: one file a command."""

from saywhatwant.commands.app import main

__all__ = ["main"]
