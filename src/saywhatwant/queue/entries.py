"""Messages in memory with their bytes, and the archived ones that were used last."""

from collections import OrderedDict

from msgspec import Struct

from saywhatwant.message import Message

CACHED_BYTES = 4 * 1024 * 1024
"""Encoded bytes of archived messages that stay in memory, so that a talk that goes on is not read again for each claim."""


class Entry(Struct, frozen=True, gc=False):
    """A message and its bytes, which are encoded once, then stored, read and published."""

    message: Message
    encoded: bytes


class EntryCache:
    """The entries that were used last, by timestamp."""

    def __init__(self) -> None:
        self._entries: OrderedDict[int, Entry] = OrderedDict()
        self._bytes = 0

    def get(self, timestamp: int) -> Entry | None:
        """The entry, if it is here."""
        entry = self._entries.get(timestamp)
        if entry is not None:
            self._entries.move_to_end(timestamp)
        return entry

    def add(self, entry: Entry) -> None:
        """Keep an entry that is not here; drop the ones that were not used for longest."""
        self._entries[entry.message.timestamp] = entry
        self._bytes += len(entry.encoded)
        while self._bytes > CACHED_BYTES:
            self._bytes -= len(self._entries.popitem(last=False)[1].encoded)

    def drop(self, timestamp: int) -> None:
        """Forget an entry, if it is here."""
        entry = self._entries.pop(timestamp, None)
        if entry is not None:
            self._bytes -= len(entry.encoded)
