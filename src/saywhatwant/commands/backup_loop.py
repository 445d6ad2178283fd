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
from saywhatwant.commands.backup_series import BackupGone, Series
from saywhatwant.errors import ExpectedError

FOLLOW_SECONDS = 5.0
"""Seconds between two looks at the data. With its disk no more is lost than was committed in this time and that of one look."""
TROUBLE = (OSError, DurableObjectError, ExpectedError)
MOST_TURNS = 120
"""Turns, at most, between two tries of a new backup that could not be made: some ten minutes."""


class Overdue(ExpectedError):
    """A new backup could not be made, and the last one is followed."""


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
        self._overdue: Overdue | None = None
        self._pause = self._left = 0
        """Turns between two tries of a new backup; and until the next one."""

    def begin(self) -> None:
        """The first turn; raises what goes wrong in it."""
        self._newest = self._series.begin()
        if self._newest is not None:
            click.echo(f"going on with the backup of {self._newest.made_at}")
        try:
            self._turn()
        except Overdue as error:
            self._say(error)

    def turn(self) -> None:
        """Do what is due. What goes wrong is printed, once, and tried again in the next turn."""
        try:
            self._turn()
        except TROUBLE as error:
            self._say(error)
        else:
            if self._trouble:
                click.echo("sww: backed up again", err=True)
            self._trouble = ""

    def _say(self, error: Exception) -> None:
        if str(error) != self._trouble:
            click.echo(f"sww: not backed up, trying again: {error}", err=True)
        self._trouble = str(error)

    def _turn(self) -> None:
        begun = self._clock()
        if self._newest is None:
            self._add()
        elif not is_due(begun, self._newest.time, self._every):
            self._follow()
        elif self._left > 0:
            self._left -= 1
            self._follow()
        else:
            self._add_or_follow(self._newest)
        self._note(begun)
        if self._overdue is not None:
            raise self._overdue

    def _add(self) -> None:
        self._newest = self._series.add()
        self._overdue, self._pause, self._left = None, 0, 0
        click.echo(described(self._newest))
        for name in self._series.prune(self._keep):
            click.echo(f"removed {name}")

    def _add_or_follow(self, last: Manifest) -> None:
        """Make a new backup; where that fails, as for want of room, what has changed still goes into the last one."""
        try:
            self._add()
        except TROUBLE as error:
            if self._newest is not last:  # made, but an old one could not be removed
                raise
            self._pause = self._left = min(2 * self._pause + 1, MOST_TURNS)
            self._overdue = Overdue(f"all is in the backup of {last.made_at}, but no new one can be made: {error}")
            self._follow()

    def _follow(self) -> None:
        try:
            self._series.follow()
        except BackupGone:
            self._newest = self._overdue = None  # the next turn makes another one
            raise


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
