"""The metrics in Prometheus' text format. Imported at the first scrape, because its library is slow to load."""

from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from durable_objects import Meter
from durable_objects.meter import COMMIT_SIZE_BOUNDS
from saywhatwant.schemas import Stats
from saywhatwant.worker.metrics import LATENCY_BOUNDS, Metrics
from saywhatwant.worker.subscriber import TOO_SLOW

disable_created_metrics()  # type: ignore[no-untyped-call]


def exposition(metrics: Metrics, meter: Meter, stats: Stats, *, waiting_claims: int, sockets: int, bots: int) -> bytes:
    """All current figures."""
    families = [
        *_requests(metrics),
        *_sockets(metrics, sockets),
        *_storage(meter),
        *_queue(stats),
        GaugeMetricFamily("sww_waiting_claims", "Claims that wait for work", value=waiting_claims),
        GaugeMetricFamily("sww_bots", "Connected bots", value=bots),
        CounterMetricFamily("sww_lease_expiries", "Leases that ran out", value=stats.lease_expiries),
    ]
    registry = CollectorRegistry()
    registry.register(_Fixed(families))
    return generate_latest(registry)


class _Fixed(Collector):
    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return iter(self._metrics)


def _requests(metrics: Metrics) -> Iterator[Metric]:
    total = CounterMetricFamily("sww_http_requests", "HTTP requests answered", labels=("route", "method", "status"))
    seconds = HistogramMetricFamily(
        "sww_http_request_seconds", "Time from a request to its response", labels=("route", "method")
    )
    for route in metrics.routes:
        for status, count in route.by_status.items():
            total.add_metric([route.route, route.method, str(status)], count)
        seconds.add_metric([route.route, route.method], _cumulated(LATENCY_BOUNDS, route.buckets), route.seconds)
    refused = CounterMetricFamily(
        "sww_http_refused", "Requests and connections refused before any route was found", labels=("status",)
    )
    for status, count in metrics.refused.items():
        refused.add_metric([str(status)], count)
    yield from (total, seconds, refused)


def _sockets(metrics: Metrics, sockets: int) -> Iterator[Metric]:
    handshakes = CounterMetricFamily("sww_websocket_handshakes", "WebSocket handshakes answered", labels=("status",))
    for status, count in metrics.handshakes.items():
        handshakes.add_metric([str(status)], count)
    closes = CounterMetricFamily("sww_websocket_closes", "WebSockets that ended, by close code", labels=("code",))
    for code, count in metrics.closes.items():
        closes.add_metric([code], count)
    too_slow = metrics.closes[str(TOO_SLOW)]
    yield from (
        handshakes,
        closes,
        GaugeMetricFamily("sww_live_readers", "WebSockets that are open", value=sockets),
        CounterMetricFamily("sww_live_too_slow", "WebSockets closed because they read too slowly", value=too_slow),
    )


def _storage(meter: Meter) -> Iterator[Metric]:
    for name, text, value in (
        ("sww_object_calls", "Calls of objects", meter.calls),
        ("sww_object_wakes", "Objects made from storage", meter.wakes),
        ("sww_object_evictions", "Idle objects dropped from memory", meter.evictions),
        ("sww_object_failures", "Calls and commits that failed unexpectedly; the object is rebuilt", meter.failures),
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


def _queue(stats: Stats) -> Iterator[Metric]:
    depth = GaugeMetricFamily("sww_queue_depth", "Messages by status and entity", labels=("status", "entity"))
    for entity, of_entity in stats.entities.items():
        for status in ("pending", "processing", "complete", "failed"):
            depth.add_metric([status, entity], getattr(of_entity, status))
    circuits = GaugeMetricFamily("sww_circuit_open", "Providers that a bot does not call now", labels=("provider", "worker"))
    for circuit in stats.circuits or ():
        circuits.add_metric([circuit.provider, circuit.worker_id], 1)
    yield from (
        depth,
        circuits,
        GaugeMetricFamily("sww_queue_backlog", "Messages whose work is not finished", value=stats.backlog),
        GaugeMetricFamily("sww_queue_backing_off", "Pending messages that wait for their retry", value=stats.backing_off),
    )


def _cumulated(bounds: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    """Bucket counts in Prometheus' form: each includes all lower buckets."""
    return list(zip((*(str(float(bound)) for bound in bounds), "+Inf"), accumulate(counts), strict=True))
