"""What an adapter stores: the entries and the head of each object, committed together.

``live``, ``commits`` and ``local`` run objects over a ``Disk``. So a runtime needs three things: a disk, a clock with an event
loop (``commits.Loop``), and a way to be called. The embedded and the simulated runtime are examples.
"""

from collections.abc import Awaitable, Iterable, Sequence
from typing import Protocol

from msgspec import Struct

DATA_VERSION = 2
"""Of what is stored: how adapters keep entries and heads, and what runtimes and this project's objects keep in them."""

Writes = dict[str, bytes | None]
"""Keys with their new value; ``None`` is a delete."""


class Head(Struct, frozen=True, gc=False):
    """What a runtime stores of an object besides its entries: the number of its last commit, and its alarm."""

    seq: int = 0
    alarm_at: int | None = None


class Change(Struct, frozen=True):
    """The changes of one commit to one object: its entries and its new head."""

    object_id: str
    writes: Writes
    head: Head


class Snapshot(Protocol):
    """The durable data that objects read. Every method may raise ``DataBusy``: the call changed nothing, try again."""

    def head(self, object_id: str) -> Head:
        """The object's head; ``Head()`` if it was never written."""

    def get(self, object_id: str, key: str) -> bytes | None:
        """The value under ``key``, or None."""

    def list(self, object_id: str, prefix: str, after: str, limit: int) -> Sequence[tuple[str, bytes]]:
        """Up to ``limit`` entries in key order (code points) whose key starts with ``prefix`` and is greater than ``after``."""


class Disk(Snapshot, Protocol):
    """Where commits go. Its ``str`` names the place in errors."""

    def alarms(self) -> Iterable[tuple[str, int]]:
        """Every object that has an alarm, with the alarm's time."""

    def senders(self) -> Iterable[tuple[str, int]]:
        """Every object that has entries whose key begins with ``storage.OUTBOX``, with their number."""

    def commit(self, changes: Sequence[Change]) -> Awaitable[None]:
        """Make all of ``changes`` durable and visible; an empty commit checks whether the disk takes writes.

        One commit runs at a time. Raises the disk's error; then none of the changes is visible.
        """

    async def scrub(self) -> str | None:
        """See ``contract.Runtime``; raises the disk's error."""
