"""``sww backup --every``: a series of backups, until stopped."""

import signal
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from threading import Event
from types import FrameType

import click

from durable_objects import DurableObjectError
from durable_objects.embedded.backup import Manifest
from durable_objects.embedded.lock import DirectoryLock
from durable_objects.embedded.snapshot import now
from durable_objects.files import make_directory
from saywhatwant.commands.backup_facts import described
from saywhatwant.commands.backup_schedule import Keep, is_due
from saywhatwant.commands.backup_series import Series
from saywhatwant.errors import ExpectedError

FOLLOW_SECONDS = 5.0
"""Seconds between two looks at the data. With its disk no more is lost than was committed in this time and that of one look."""
TROUBLE = (OSError, DurableObjectError, ExpectedError)


class Loop:
    """Makes backups when they are due, and in between appends what has changed.

    Args:
        series: of the backups.
        every: the time between two of them.
        keep: how many are kept.
        note: called with a time in milliseconds since 1970, when everything that was durable before it is in the backups.
        clock: milliseconds since 1970.
    """

    def __init__(
        self, series: Series, *, every: timedelta, keep: Keep, note: Callable[[int], None], clock: Callable[[], int] = now
    ) -> None:
        self._series = series
        self._every = every
        self._keep = keep
        self._note = note
        self._clock = clock
        self._newest: Manifest | None = None
        self._trouble = ""

    def begin(self) -> None:
        """The first turn; raises what goes wrong in it."""
        self._newest = self._series.begin()
        if self._newest is not None:
            click.echo(f"going on with the backup of {self._newest.made_at}")
        self._turn()

    def turn(self) -> None:
        """Do what is due. What goes wrong is printed, once, and tried again in the next turn."""
        try:
            self._turn()
        except TROUBLE as error:
            if str(error) != self._trouble:
                click.echo(f"sww: not backed up, trying again: {error}", err=True)
            self._trouble = str(error)
        else:
            if self._trouble:
                click.echo("sww: backed up again", err=True)
            self._trouble = ""

    def _turn(self) -> None:
        begun = self._clock()
        if self._newest is None or is_due(begun, self._newest.time, self._every):
            self._newest = self._series.add()
            click.echo(described(self._newest))
            for name in self._series.prune(self._keep):
                click.echo(f"removed {name}")
        else:
            self._series.follow()
        self._note(begun)


def run_loop(loop: Loop, directory: Path) -> None:
    """Run ``loop`` until SIGTERM or SIGINT, with one last turn at its end. Raises ``DataLocked``, and what its begin raises."""
    make_directory(directory)
    lock = DirectoryLock(directory)
    lock.acquire()
    with ExitStack() as stack:
        stack.callback(lock.release)
        stop = Event()

        def end(_: int, __: FrameType | None) -> None:
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        loop.begin()
        while not stop.wait(FOLLOW_SECONDS):
            loop.turn()
        loop.turn()
