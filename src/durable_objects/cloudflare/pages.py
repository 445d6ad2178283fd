"""Pages: what the log does not keep any more. A page is a row with the entries of one object in a range of keys.

It has about ``PAGE_BYTES``, so that a row that is written moves many entries. In memory is where each page begins, and the
pages that were read last.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from durable_objects.storage import utf8_length

PAGE_BYTES: Final = 32 * 1024
"""A page ends with the entry that makes it longer than this, which has at most ``limits.MAX_VALUE_BYTES``."""
_CACHED: Final = 8
"""Pages that stay in memory."""
_ENTRY_BYTES: Final = 8
"""What an entry takes besides its key and its value, about."""

Entries = Sequence[tuple[str, bytes]]
"""In key order."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[tuple[str, bytes]]).decode
_decode_place: Final = msgspec.msgpack.Decoder(tuple[str, str]).decode


class Pages:
    """The pages of all objects.

    Args:
        places: of each page: its number, and what ``place`` made of its object and its first key.
        read: returns a page by its number.
    """

    def __init__(self, places: Iterable[tuple[int, bytes]], read: Callable[[int], bytes]) -> None:
        self._read = read
        self._numbers: dict[str, dict[str, int]] = {}
        """The number of each page, by object and first key."""
        self._firsts: dict[str, list[str]] = {}
        """Where the pages of each object begin, in order: each has the keys up to the next one's first."""
        self._cache: dict[int, Entries] = {}
        self._next = 0
        for number, place in places:
            self._add(*_decode_place(place), number)
            self._next = max(self._next, number + 1)
        for firsts in self._firsts.values():
            firsts.sort()

    def has(self, object_id: str) -> bool:
        """Whether the object has any."""
        return object_id in self._firsts

    def objects(self) -> Iterator[str]:
        """The ids of all objects with pages."""
        return iter(self._firsts)

    def find(self, object_id: str, key: str) -> int | None:
        """The number of the page that has the key, if any has it."""
        firsts = self._firsts.get(object_id)
        at = bisect_right(firsts, key) if firsts else 0
        return self._numbers[object_id][firsts[at - 1]] if firsts and at else None

    def get(self, object_id: str, key: str) -> bytes | None:
        """The value under ``key``, or None."""
        number = self.find(object_id, key)
        if number is None:
            return None
        entries = self._page(number)
        at = bisect_left(entries, (key, b""))
        return entries[at][1] if at < len(entries) and entries[at][0] == key else None

    def entries(self, object_id: str, start: str) -> Iterator[tuple[str, bytes]]:
        """The entries from the key ``start`` on, in order."""
        firsts = self._firsts.get(object_id, [])
        for first in firsts[max(bisect_right(firsts, start) - 1, 0) :]:
            entries = self._page(self._numbers[object_id][first])
            yield from entries[bisect_left(entries, (start, b"")) :]

    def apply(self, changes: Mapping[str, Mapping[str, bytes | None]]) -> tuple[list[tuple[int, bytes, bytes]], list[int]]:
        """Change entries, by object and key, None to delete: the pages to write, as number, place and page; and to remove."""
        written: list[tuple[int, bytes, bytes]] = []
        removed: list[int] = []
        for object_id, values in changes.items():
            by_page: dict[int | None, dict[str, bytes | None]] = {}
            for key in sorted(values):
                by_page.setdefault(self.find(object_id, key), {})[key] = values[key]
            firsts = {number: first for first, number in self._numbers.get(object_id, {}).items()}
            last = self._numbers[object_id][self._firsts[object_id][-1]] if self.has(object_id) else None
            for number, some in by_page.items():
                before: Entries = [] if number is None else self._page(number)
                after = _changed(before, some)
                if after == before:
                    continue
                if number is not None and not after:
                    self._remove(object_id, firsts[number], number)
                    removed.append(number)
                for n, entries in enumerate(_divided(after, evenly=number is not None and number != last)):
                    # A page keeps its first key, whatever it has by now, since its range stays.
                    is_old = n == 0 and number is not None
                    first = firsts[number] if is_old and number is not None else entries[0][0]
                    at = number if is_old and number is not None else self._new(object_id, first)
                    self._keep(at, entries)
                    written.append((at, _encode((object_id, first)), _encode(entries)))
        return written, removed

    def _new(self, object_id: str, first: str) -> int:
        number, self._next = self._next, self._next + 1
        self._add(object_id, first, number)
        self._firsts[object_id].sort()
        return number

    def _add(self, object_id: str, first: str, number: int) -> None:
        self._numbers.setdefault(object_id, {})[first] = number
        self._firsts.setdefault(object_id, []).append(first)

    def _remove(self, object_id: str, first: str, number: int) -> None:
        self._cache.pop(number, None)
        numbers, firsts = self._numbers[object_id], self._firsts[object_id]
        del numbers[first]
        firsts.remove(first)
        if not firsts:
            del self._numbers[object_id], self._firsts[object_id]

    def _page(self, number: int) -> Entries:
        entries = self._cache.pop(number, None)
        if entries is None:
            entries = _decode(self._read(number))
        self._keep(number, entries)
        return entries

    def _keep(self, number: int, entries: Entries) -> None:
        self._cache.pop(number, None)
        self._cache[number] = entries
        if len(self._cache) > _CACHED:
            del self._cache[next(iter(self._cache))]


def _changed(entries: Entries, changes: Mapping[str, bytes | None]) -> Entries:
    merged: dict[str, bytes | None] = {**dict(entries), **changes}
    return [(key, value) for key in sorted(merged) if (value := merged[key]) is not None]


def _size(entry: tuple[str, bytes]) -> int:
    return _ENTRY_BYTES + utf8_length(entry[0]) + len(entry[1])


def _divided(entries: Entries, *, evenly: bool) -> Iterator[Entries]:
    """Pages with these entries. Where keys are appended the first ones are full, elsewhere each has room for more."""
    size = sum(map(_size, entries))
    pages = -(-size // PAGE_BYTES)
    bound = -(-size // pages) if evenly and pages else PAGE_BYTES
    page: list[tuple[str, bytes]] = []
    size = 0
    for entry in entries:
        if page and size + _size(entry) > bound:
            yield page
            page, size = [], 0
        page.append(entry)
        size += _size(entry)
    if page:
        yield page
