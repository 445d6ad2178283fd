"""What every contender is: a server on a directory of its own, with the part of the HTTP interface that is measured.

- ``POST /api/comments`` ``{text, username, color, botParams: {entity}}`` gives ``{id, timestamp, status}`` once it is on disk.
- ``GET /api/comments?since=MS`` gives the retained messages younger than that, newest first, as a JSON list.
- ``POST /api/queue/claim`` ``{workerId, limit}`` claims the most urgent, gives ``{success, messages}``; no two get the same.
- ``POST /api/queue/complete`` ``{messageId, workerId, attempt, reply: {text, username}}`` stores reply and completion together.
- ``GET /api/stats`` gives at least ``{seq}``, a number kept with the data that grows by 1 with each write.

Timestamps strictly increase, messages beyond the newest ``RETENTION`` are removed, and a 2xx to a write means an fsync.
"""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from benchmarks.running import Running

RETENTION = 200


class Missing(Exception):
    """A program that this contender needs is not here; the text says how to get it."""


class Contender(Protocol):
    """A way to run a wall."""

    name: str
    """As it stands in tables."""

    def start(self, directory: Path) -> AbstractContextManager[Running]:
        """Run it on the data in ``directory`` (empty at first) until the end of the block; raises ``Missing``."""
