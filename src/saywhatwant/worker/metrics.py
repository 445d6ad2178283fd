"""Figures for Prometheus. The hot path only adds to plain counters; everything else is gathered when somebody scrapes."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from durable_objects import Meter
from durable_objects.meter import COMMIT_SIZE_BOUNDS
from saywhatwant.calls import Stats

disable_created_metrics()  # type: ignore[no-untyped-call]

LATENCY_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 60.0)
"""Upper bounds of the latency buckets, in seconds; the last ones are for long polls."""


class Requests:
    """Requests by route, method and status, and their latency by route and method."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._total = Counter(
            "sww_http_requests", "HTTP requests answered", ("route", "method", "status"), registry=registry
        )  # fmt: skip
        self._seconds = Histogram(
            "sww_http_request_seconds",
            "Time from a request to its answer",
            ("route", "method"),
            buckets=LATENCY_BOUNDS,
            registry=registry,
        )

    def route(self, route: str, method: str) -> Callable[[int, float], None]:
        """The function that counts one answer of this route: its status and the seconds it took."""
        observe = self._seconds.labels(route, method).observe
        by_status: dict[int, Callable[[], None]] = {}

        def count(status: int, seconds: float) -> None:
            if status not in by_status:
                by_status[status] = self._total.labels(route, method, str(status)).inc
            by_status[status]()
            observe(seconds)

        return count


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
        total, buckets = 0, []
        for bound, count in zip((*map(str, COMMIT_SIZE_BOUNDS), "+Inf"), meter.commit_sizes, strict=True):
            total += count
            buckets.append((bound, total))
        sizes.add_metric([], buckets, meter.commit_calls)
        yield sizes


class Metrics:
    """The registry of one worker."""

    def __init__(self, meter: Meter) -> None:
        self._registry = CollectorRegistry()
        self.requests = Requests(self._registry)
        self._registry.register(StorageFigures(meter))
        self.lease_expiries = Counter("sww_lease_expiries", "Leases that ran out", registry=self._registry)

    def exposition(self, stats: Stats, waiting_claims: int) -> bytes:
        """The text that Prometheus reads."""
        depth = GaugeMetricFamily("sww_queue_depth", "Messages by status and entity", labels=("status", "entity"))
        for entity, of_entity in stats.entities.items():
            for status in ("pending", "processing", "complete", "failed"):
                depth.add_metric([status, entity], getattr(of_entity, status))
        gauges = (
            depth,
            GaugeMetricFamily("sww_queue_backlog", "Messages whose work is not finished", value=stats.backlog),
            GaugeMetricFamily("sww_queue_backing_off", "Pending messages that wait for their retry", value=stats.backing_off),
            GaugeMetricFamily("sww_waiting_claims", "Claims that wait for work", value=waiting_claims),
        )
        snapshot = CollectorRegistry()
        snapshot.register(_Fixed(gauges))
        return generate_latest(self._registry) + generate_latest(snapshot)


class _Fixed(Collector):
    def __init__(self, metrics: tuple[Metric, ...]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return iter(self._metrics)
