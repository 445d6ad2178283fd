"""Messages in memory with their bytes, and some archived ones."""

from collections import OrderedDict

from msgspec import Struct

from saywhatwant.message import Message

CACHED_BYTES = 4 * 1024 * 1024
"""Encoded bytes of archived messages that stay in memory, so that a talk that goes on is not read again for each claim."""


class Entry(Struct, frozen=True, gc=False):
    """A message and its bytes, which are encoded once, then stored, read and published."""

    message: Message
    encoded: bytes


class EntryCache(OrderedDict[int, Entry]):
    """The entries that were added last, by timestamp. Plain first in, first out: what is used again is added again."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes = 0

    def add(self, *entries: Entry) -> None:
        """Keep entries that are not here; drop those that were added first."""
        for entry in entries:
            self[entry.message.timestamp] = entry
            self._bytes += len(entry.encoded)
        while self._bytes > CACHED_BYTES:
            self._bytes -= len(self.popitem(last=False)[1].encoded)

    def drop(self, timestamp: int) -> None:
        """Forget an entry, if it is here."""
        entry = self.pop(timestamp, None)
        if entry is not None:
            self._bytes -= len(entry.encoded)
