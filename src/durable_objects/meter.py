"""Counters of a runtime, in the units that clouds bill and operators watch."""

from bisect import bisect_left
from dataclasses import dataclass, field

COMMIT_SIZE_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
"""Upper bounds of the buckets of ``Meter.commit_sizes``, in calls; one more bucket counts larger commits."""


@dataclass(slots=True)
class Meter:
    """Plain counters that only increase; read them at any time."""

    calls: int = 0
    wakes: int = 0
    evictions: int = 0
    failures: int = 0
    """Calls undone by an exception, and objects dropped with a failed commit."""
    alarms: int = 0
    sends: int = 0
    """Calls of objects to each other that were delivered, repeated deliveries included."""
    reads: int = 0
    writes: int = 0
    deletes: int = 0
    commits: int = 0
    commit_failures: int = 0
    commit_calls: int = 0
    commit_sizes: list[int] = field(default_factory=lambda: [0] * (len(COMMIT_SIZE_BOUNDS) + 1))

    def committed(self, calls: int) -> None:
        """Count one commit with the changes of ``calls`` calls."""
        self.commits += 1
        self.commit_calls += calls
        self.commit_sizes[bisect_left(COMMIT_SIZE_BOUNDS, calls)] += 1
