"""What ``sww export`` and ``sww import`` report of a wall that is moved."""

from dataclasses import dataclass

import click

from durable_objects.transfer import Piece
from saywhatwant.queue.work_queue import WALL
from saywhatwant.topology.single import NAMESPACE

TOPOLOGY = "topology"
"""The fact of an export that names the wall's topology."""
_WITH_MESSAGES = (f"{NAMESPACE}/", f"{WALL.namespace}/")
"""What the ids of objects begin with that hold the messages; work queues hold some of them once more."""
_MESSAGES = "message/"
_ROWS_PER_LINE = 25_000


@dataclass
class Moved:
    """Counts what has moved so far, and prints a line on standard error now and then."""

    verb: str
    objects: int = 0
    rows: int = 0
    messages: int = 0

    def add(self, piece: Piece) -> None:
        """Count a piece."""
        if piece.head is not None:
            self.objects += 1
        if piece.object_id.startswith(_WITH_MESSAGES):
            self.messages += sum(key.startswith(_MESSAGES) for key, _ in piece.rows)
        before, self.rows = self.rows, self.rows + len(piece.rows)
        if before // _ROWS_PER_LINE < self.rows // _ROWS_PER_LINE:
            click.echo(f"{self}, more to come", err=True)

    def __str__(self) -> str:
        counts = ((self.messages, "message"), (self.objects, "object"), (self.rows, "row"))
        return f"{self.verb} " + ", ".join(f"{count:,} {noun}{'' if count == 1 else 's'}" for count, noun in counts)
