"""Counters of a runtime, in the units that clouds bill and operators watch.

The last ones are the units of Cloudflare's price list for Durable Objects with SQLite storage, on every runtime:

=================== ================================ ===================== ====================== ==========================
counter             what Cloudflare bills            embedded, simulated   Restate                Cloudflare
=================== ================================ ===================== ====================== ==========================
``requests``        a request: HTTP, a WebSocket's   requests to the       as embedded, of each   as embedded, and calls from
                    handshake, a call of an object   worker, files aside   gateway                other objects
``socket_frames``   a twentieth of a request: what   frames from clients   as embedded, of each   as embedded; pings that the
                    comes through a WebSocket                              gateway                platform answers are free
``alarm_calls``     a request: ``alarm()``           alarms that ran       alarms that ran        calls of ``alarm()``
``rows_read``       a row that SQLite reads          rows found            rows loaded            rows read
``rows_written``    a row that SQLite writes or      entries and heads of  keys set or cleared,   rows written, as SQLite
                    deletes                          each commit           and the head           counts them
``alarms_set``      a row written: ``setAlarm``      commits that move an  delayed calls          calls of ``setAlarm``
                                                     object's alarm
``active_ms``       duration: wall clock time, at    while a request is    as embedded, of each   as embedded, and while an
                    128 MB an object                 under way             gateway                alarm runs
=================== ================================ ===================== ====================== ==========================

A socket that waits for its client is not active, since an object can hibernate with it; a request that waits (long poll) is.
On Restate ``rows_…`` and ``alarm…`` are counted where the objects run. Idle time is not in ``active_ms``: Cloudflare does not
bill an object that could hibernate, even before it does.
"""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter, time_ns

COMMIT_SIZE_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
"""Upper bounds of the buckets of ``Meter.commit_sizes``, in calls; one more bucket counts larger commits."""


@dataclass(slots=True)
class Meter:
    """Plain counters that only increase; read them at any time.

    Args:
        clock: seconds of a clock that never steps, for ``active_ms``.
    """

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
    requests: int = 0
    socket_frames: int = 0
    alarm_calls: int = 0
    rows_read: int = 0
    rows_written: int = 0
    alarms_set: int = 0
    active_ms: float = 0.0
    """Without what is under way now."""
    served: int = 0
    """What the product is for, in its own unit, so that costs can be compared with it."""
    since_ms: int = field(default_factory=lambda: time_ns() // 1_000_000, repr=False, compare=False)
    """When the counting began, in milliseconds since 1970."""
    clock: Callable[[], float] = field(default=perf_counter, repr=False, compare=False)
    _under_way: int = field(default=0, repr=False)
    _since: float = field(default=0.0, repr=False, compare=False)

    def committed(self, calls: int) -> None:
        """Count one commit with the changes of ``calls`` calls."""
        self.commits += 1
        self.commit_calls += calls
        self.commit_sizes[bisect_left(COMMIT_SIZE_BOUNDS, calls)] += 1

    def begin(self) -> float:
        """Something begins for which a platform would bill time; what runs at the same time is billed once.

        Returns the time by ``clock``.
        """
        now = self.clock()
        if not self._under_way:
            self._since = now
        self._under_way += 1
        return now

    def end(self) -> float:
        """It has ended; exactly once for each ``begin``. Returns the time by ``clock``."""
        now = self.clock()
        self._under_way -= 1
        if not self._under_way:
            self.active_ms += (now - self._since) * 1_000
        return now
