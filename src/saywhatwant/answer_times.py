"""How long answers take: counts in fixed buckets, which can be added up over minutes and objects.

The buckets are those of a Prometheus histogram, so a percentile is as exact as its bucket is narrow.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

BOUNDS_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3_600.0)
"""Upper bounds of the buckets, in seconds from a question to its answer; one more bucket counts longer ones."""

_BOUNDS_MS: Final = tuple(round(bound * 1_000) for bound in BOUNDS_SECONDS)


def no_answers() -> list[int]:
    """The counts of no answers."""
    return [0] * (len(BOUNDS_SECONDS) + 1)


def bucket_of(milliseconds: int) -> int:
    """The index of the bucket that counts an answer which took so long."""
    return bisect_left(_BOUNDS_MS, milliseconds)


def percentile(counts: Sequence[int], share: float) -> float | None:
    """The seconds within which ``share`` (0 to 1) of the answers came; None without answers.

    Inside a bucket it is interpolated, as Prometheus' ``histogram_quantile`` does. An answer beyond the last bound counts as
    that bound.
    """
    total = sum(counts)
    if not total:
        return None
    wanted = share * total
    for bucket, reached in enumerate(accumulate(counts)):
        if reached >= wanted and counts[bucket]:
            break
    if bucket == len(BOUNDS_SECONDS):
        return BOUNDS_SECONDS[-1]
    lower = BOUNDS_SECONDS[bucket - 1] if bucket else 0.0
    within = (wanted - (reached - counts[bucket])) / counts[bucket]
    return round(lower + (BOUNDS_SECONDS[bucket] - lower) * max(within, 0.0), 4)
