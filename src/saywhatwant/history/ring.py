"""A ring of figures in an object's storage: the latest blocks of them, each one row."""

import zlib
from bisect import bisect_left, insort
from typing import Final

import msgspec

from durable_objects import Storage
from saywhatwant.history.figures import STEP_MS, Figures, Step

_FASTEST: Final = 1
"""Of the levels of compression; figures of neighbouring minutes are much alike."""

_encode: Final = msgspec.json.Encoder().encode
_decode_block: Final = msgspec.json.Decoder(list[Figures]).decode
_decode_numbers: Final = msgspec.json.Decoder(list[int]).decode


class Ring:
    """Figures by the time that they begin at, ``per_block`` of them in a row and up to ``max_blocks`` rows.

    Times without figures take no room, so a quiet wall's ring reaches back further. When the clock steps back, figures are
    merged into those that are there. When it steps far ahead and back again, what was written ahead stays, as one block.
    """

    def __init__(self, storage: Storage, step: Step, *, per_block: int, max_blocks: int) -> None:
        self._storage = storage
        self._ms = STEP_MS[step]
        self._block_ms = self._ms * per_block
        self._max_blocks = max_blocks
        self._prefix = f"{step}/"
        self._blocks = _decode_numbers(storage.get(self._index) or b"[]")

    def at(self, now: int) -> Figures:
        """The figures of the minute or hour that ``now`` is in; empty ones if there are none."""
        start = now - now % self._ms
        found = self._read(now // self._block_ms)
        place = _place(found, start)
        return found[place] if _is_at(found, place, start) else Figures(start)

    def put(self, figures: Figures) -> None:
        """Store figures in place of those that begin at the same time."""
        block = figures.at // self._block_ms
        found = self._read(block)
        place = _place(found, figures.at)
        if _is_at(found, place, figures.at):
            found[place] = figures
        else:
            found.insert(place, figures)
        self._storage.put(self._key(block), zlib.compress(_encode(found), _FASTEST))
        if block not in self._blocks:
            self._add(block)

    def after(self, since: int, limit: int) -> list[Figures]:
        """Up to ``limit`` figures that begin after ``since``, oldest first."""
        found: list[Figures] = []
        for block in self._blocks[bisect_left(self._blocks, since // self._block_ms) :]:
            found += [figures for figures in self._read(block) if figures.at > since]
            if len(found) >= limit:
                break
        return found[:limit]

    def latest(self, limit: int) -> list[Figures]:
        """The last ``limit`` figures, oldest first."""
        found: list[Figures] = []
        for block in reversed(self._blocks):
            found = self._read(block) + found
            if len(found) >= limit:
                break
        return found[-limit:]

    @property
    def _index(self) -> str:
        return f"{self._prefix}blocks"

    def _key(self, block: int) -> str:
        return f"{self._prefix}{block:010d}"

    def _read(self, block: int) -> list[Figures]:
        stored = self._storage.get(self._key(block))
        return [] if stored is None else _decode_block(zlib.decompress(stored))

    def _add(self, block: int) -> None:
        insort(self._blocks, block)
        while len(self._blocks) > self._max_blocks:
            self._storage.delete(self._key(self._blocks.pop(0)))
        self._storage.put(self._index, _encode(self._blocks))


def _place(found: list[Figures], at: int) -> int:
    return bisect_left(found, at, key=lambda figures: figures.at)


def _is_at(found: list[Figures], place: int, at: int) -> bool:
    return place < len(found) and found[place].at == at
