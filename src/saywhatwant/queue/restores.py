"""Which commits were lost: data that was restored from a backup goes on with higher numbers than the lost data can have given.

A reader may know lost commits. What it knows is not what is here: a message that it has seen answered may wait for its answer
again. So a position among them is good for nothing, and its reader must read all again.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from durable_objects import Storage

KEY: Final = "restored"
"""The key of the gaps in an object's storage; restores write it."""
MAX_GAPS: Final = 100
"""Gaps that are kept; beyond it the first ones become one, with what is between them."""
LOST_ATTEMPTS: Final = 1_000
"""How many attempts at one message there may be between two restores, for a fence against those that were lost (P3)."""
MAX_FENCES: Final = 900
"""So many restores have fences of their own: attempts are numbered up to ``limits.MAX_ATTEMPT``."""


class Gap(Struct, frozen=True, array_like=True):
    """The commits between a backup and what followed its restore."""

    last: int
    """The last commit that the backup has."""
    first: int
    """The number from which the restored data goes on."""
    floor: int
    """The messages that the backup has are not newer than this; those that came since are."""
    number: int = 1
    """How many restores there have been."""


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(list[Gap]).decode


def gaps_in(storage: Storage) -> Sequence[Gap]:
    """The gaps of an object, in order; nearly always none."""
    stored = storage.get(KEY)
    return () if stored is None else decode(stored)


def is_lost(gaps: Sequence[Gap], position: int) -> bool:
    """Whether a reader at this position knows commits that were lost."""
    return any(gap.last < position < gap.first for gap in gaps)


def with_gap(gaps: Sequence[Gap], last: int, first: int, floor: int) -> list[Gap]:
    """The gaps with one more, which is behind all others."""
    found = [*gaps, Gap(last, first, floor, gaps[-1].number + 1 if gaps else 1)]
    while len(found) > MAX_GAPS:
        oldest, second, *rest = found
        found = [replace(second, last=oldest.last), *rest]
    return found


def fence(gaps: Sequence[Gap], timestamp: int) -> int:
    """All attempts at the message with this timestamp that are higher began since the last restore; 0 if all of them did."""
    if not gaps or timestamp > gaps[-1].floor:
        return 0
    return LOST_ATTEMPTS * min(gaps[-1].number, MAX_FENCES)
