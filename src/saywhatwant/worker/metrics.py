"""Figures for Prometheus. The hot path only adds to plain counters; everything else is gathered when somebody scrapes."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from durable_objects import Meter
from durable_objects.meter import COMMIT_SIZE_BOUNDS
from saywhatwant.schemas import Stats

disable_created_metrics()  # type: ignore[no-untyped-call]

LATENCY_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 60.0)
"""Upper bounds of the latency buckets, in seconds; the last ones are for long polls."""


class RouteFigures:
    """Requests of one route and method."""

    __slots__ = ("buckets", "by_status", "method", "route", "seconds")

    def __init__(self, route: str, method: str) -> None:
        self.route = route
        self.method = method
        self.by_status: dict[int, int] = {}
        self.buckets = [0] * (len(LATENCY_BOUNDS) + 1)
        self.seconds = 0.0

    def count(self, status: int, seconds: float) -> None:
        """Count one answer."""
        self.by_status[status] = self.by_status.get(status, 0) + 1
        self.buckets[bisect_left(LATENCY_BOUNDS, seconds)] += 1
        self.seconds += seconds


class Requests(Collector):
    """Requests by route, method and status, and their latency by route and method."""

    def __init__(self) -> None:
        self._routes: list[RouteFigures] = []

    def route(self, route: str, method: str) -> RouteFigures:
        """The figures of one route and method."""
        figures = RouteFigures(route, method)
        self._routes.append(figures)
        return figures

    def collect(self) -> Iterator[Metric]:
        """See ``prometheus_client.registry.Collector``."""
        total = CounterMetricFamily("sww_http_requests", "HTTP requests answered", labels=("route", "method", "status"))
        seconds = HistogramMetricFamily(
            "sww_http_request_seconds", "Time from a request to its answer", labels=("route", "method")
        )
        for figures in self._routes:
            for status, count in figures.by_status.items():
                total.add_metric([figures.route, figures.method, str(status)], count)
            buckets = _cumulated(LATENCY_BOUNDS, figures.buckets)
            seconds.add_metric([figures.route, figures.method], buckets, figures.seconds)
        yield total
        yield seconds


def _cumulated(bounds: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    """Counts per bucket as Prometheus wants them: each with all below it."""
    return list(zip((*(str(float(bound)) for bound in bounds), "+Inf"), accumulate(counts), strict=True))


class StorageFigures(Collector):
    """What the runtime's meter counted."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def collect(self) -> Iterator[Metric]:
        """See ``prometheus_client.registry.Collector``."""
        meter = self._meter
        for name, text, value in (
            ("sww_object_calls", "Calls of objects", meter.calls),
            ("sww_object_wakes", "Objects made from storage", meter.wakes),
            ("sww_object_evictions", "Idle objects dropped from memory", meter.evictions),
            ("sww_object_failures", "Objects rebuilt after a failed commit", meter.failures),
            ("sww_object_alarms", "Alarms fired", meter.alarms),
            ("sww_storage_reads", "Entries read", meter.reads),
            ("sww_storage_writes", "Entries written", meter.writes),
            ("sww_storage_deletes", "Entries deleted", meter.deletes),
            ("sww_storage_commits", "Commits, each one fsync", meter.commits),
            ("sww_storage_commit_failures", "Commits that the disk did not take", meter.commit_failures),
        ):
            yield CounterMetricFamily(name, text, value=value)
        sizes = HistogramMetricFamily("sww_storage_commit_calls", "Calls that one commit carried")
        sizes.add_metric([], _cumulated(COMMIT_SIZE_BOUNDS, meter.commit_sizes), meter.commit_calls)
        yield sizes


class Metrics:
    """The registry of one worker."""

    def __init__(self, meter: Meter) -> None:
        self._registry = CollectorRegistry()
        self.requests = Requests()
        self._registry.register(self.requests)
        self._registry.register(StorageFigures(meter))
        self.lease_expiries = Counter("sww_lease_expiries", "Leases that ran out", registry=self._registry)

    def exposition(self, stats: Stats, waiting_claims: int, readers: int, too_slow: int) -> bytes:
        """The text that Prometheus reads."""
        depth = GaugeMetricFamily("sww_queue_depth", "Messages by status and entity", labels=("status", "entity"))
        for entity, of_entity in stats.entities.items():
            for status in ("pending", "processing", "complete", "failed"):
                depth.add_metric([status, entity], getattr(of_entity, status))
        circuits = GaugeMetricFamily("sww_circuit_open", "Providers that a bot leaves alone", labels=("provider", "worker"))
        for circuit in stats.circuits:
            circuits.add_metric([circuit.provider, circuit.worker_id], 1)
        gauges = (
            depth,
            circuits,
            GaugeMetricFamily("sww_queue_backlog", "Messages whose work is not finished", value=stats.backlog),
            GaugeMetricFamily("sww_queue_backing_off", "Pending messages that wait for their retry", value=stats.backing_off),
            GaugeMetricFamily("sww_waiting_claims", "Claims that wait for work", value=waiting_claims),
            GaugeMetricFamily("sww_live_readers", "WebSockets that are open", value=readers),
            CounterMetricFamily("sww_live_too_slow", "WebSockets cut because they read too slowly", value=too_slow),
        )
        snapshot = CollectorRegistry()
        snapshot.register(_Fixed(gauges))
        return generate_latest(self._registry) + generate_latest(snapshot)


class _Fixed(Collector):
    def __init__(self, metrics: tuple[Metric, ...]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return iter(self._metrics)
