"""What a contender is: a server on a directory of its own, with the part of the HTTP interface that is measured.

- ``POST /api/comments`` ``{text, username, color, botParams: {entity}}`` stores a message, answers ``{id, timestamp, status}``.
- ``GET /api/comments?since=MS`` answers the retained messages newer than that, newest first, as a JSON list.
- ``POST /api/queue/claim`` ``{workerId, limit}`` claims the most urgent, answers ``{success, messages}``; no two get the same.
- ``POST /api/queue/complete`` ``{messageId, workerId, attempt, reply: {text, username}}`` stores reply and completion together.
- ``GET /api/stats`` answers at least ``{seq}``, a number kept with the data that grows by 1 with each write.

Timestamps strictly increase, messages beyond the newest ``loads.RETENTION`` are removed, and a 2xx to a write means an fsync.
"""

from collections.abc import Collection
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from benchmarks.running import Running


class Contender(Protocol):
    """An implementation of the wall."""

    @property
    def name(self) -> str:
        """The contender's name in tables."""

    @property
    def loads(self) -> Collection[str]:
        """Short names of the loads (``loads.LOADS``) that it is measured under."""

    @property
    def stores(self) -> bool:
        """Whether it keeps what it acknowledges; then each load checks that it does."""

    def start(self, directory: Path) -> AbstractContextManager[Running]:
        """Run it on the data in ``directory`` (empty at first) until the end of the block.

        Raises ``Missing`` or ``ServerFailed``.
        """
