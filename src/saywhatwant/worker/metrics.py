"""Counters of the worker: plain numbers, since the hot path adds to them. ``exposition`` formats them for Prometheus."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable

from saywhatwant.last_backup import LastBackup

LATENCY_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 60.0)
"""Upper bounds of the latency buckets, in seconds; the last ones are for long polls."""

SERVER_ERRORS = 500
"""Errors with a lower status are the client's."""

OTHER = "other"
"""The label of unknown paths and of unsupported methods, which clients can invent without bound."""


class RouteMetrics:
    """Requests of one route and method."""

    __slots__ = ("buckets", "by_status", "method", "route", "seconds")

    def __init__(self, route: str, method: str) -> None:
        self.route = route
        self.method = method
        self.by_status: dict[int, int] = {}
        self.buckets = [0] * (len(LATENCY_BOUNDS) + 1)
        self.seconds = 0.0

    def count(self, status: int, seconds: float) -> None:
        """Count one response."""
        self.by_status[status] = self.by_status.get(status, 0) + 1
        self.buckets[bisect_left(LATENCY_BOUNDS, seconds)] += 1
        self.seconds += seconds

    def server_errors(self) -> int:
        """Those with a status of 500 and above."""
        return sum(count for status, count in self.by_status.items() if status >= SERVER_ERRORS)


class Metrics:
    """All counters of one worker.

    Args:
        last_backup: the newest backup; None if none is known.
        disk: the bytes that are free where the data is, and its size; None if that is not known here.
    """

    def __init__(
        self,
        last_backup: Callable[[], LastBackup | None] = lambda: None,
        disk: Callable[[], tuple[int, int] | None] = lambda: None,
    ) -> None:
        self.last_backup = last_backup
        self.disk = disk
        self.routes: list[RouteMetrics] = []
        self.handshakes: Counter[int] = Counter()
        """WebSocket handshakes by the status they were answered with."""
        self.closes: Counter[str] = Counter()
        """Ended WebSockets by close code; "client" if the client left."""
        self.refused: Counter[int] = Counter()
        """Requests and connections refused before any route, by status."""

    def route(self, route: str, method: str = OTHER) -> RouteMetrics:
        """New counters for one route and method."""
        metrics = RouteMetrics(route, method)
        self.routes.append(metrics)
        return metrics

    def server_errors(self) -> int:
        """Requests that were answered with a status of 500 and above."""
        return sum(route.server_errors() for route in self.routes)

    def count_refused(self, status: int) -> None:
        """Count one refusal made before any route."""
        self.refused[status] += 1
