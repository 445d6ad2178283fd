"""``sww``, the command line: one module per command."""

from saywhatwant.commands.entry import main

__all__ = ["main"]
