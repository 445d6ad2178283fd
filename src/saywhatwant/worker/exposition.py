"""The metrics for Prometheus. Imported at the first scrape, since most servers have none."""

from collections.abc import Iterator, Mapping
from functools import partial

from durable_objects import Meter
from durable_objects.meter import COMMIT_SIZE_BOUNDS
from saywhatwant.answer_times import BOUNDS_SECONDS
from saywhatwant.last_backup import LastBackup
from saywhatwant.schemas import Stats
from saywhatwant.worker.metrics import LATENCY_BOUNDS, Metrics
from saywhatwant.worker.prometheus_text import Family
from saywhatwant.worker.subscriber import TOO_SLOW

_counter = partial(Family, "counter")
_gauge = partial(Family, "gauge")


def exposition(
    metrics: Metrics,
    meter: Meter,
    stats: Stats,
    *,
    served: Mapping[str, bool],
    is_ready: bool,
    waiting_claims: int,
    sockets: int,
    bot_sockets: int,
    bots: int,
) -> bytes:
    """All current figures; ``served`` says whether anybody answers for each entity."""
    families = [
        *_requests(metrics),
        *_sockets(metrics, sockets),
        *_storage(meter),
        *_billable(meter),
        *_queue(stats),
        *_answers(stats),
        _served(served),
        _gauge("sww_waiting_claims", "Claims that wait for work", waiting_claims),
        _gauge("sww_bot_sockets", "Bots' WebSockets that are open", bot_sockets),
        _gauge("sww_bots", "Connected bots", bots),
        _counter("sww_lease_expiries_total", "Leases that ran out", stats.lease_expiries),
        _gauge("sww_ready", "Whether the last commit succeeded: 1, else 0", is_ready),
        *_disk(metrics.disk()),
        *_backups(metrics.last_backup()),
    ]
    return "".join(map(str, families)).encode()


def _disk(space: tuple[int, int] | None) -> Iterator[Family]:
    if space is not None:
        free, size = space
        yield _gauge("sww_disk_free_bytes", "Free space where the data is", free)
        yield _gauge("sww_disk_size_bytes", "Size of the disk where the data is", size)


def _backups(last: LastBackup | None) -> Iterator[Family]:
    if last is not None:
        text = "Everything that was durable before this time is in a backup"
        yield _gauge("sww_last_backup_timestamp_seconds", text, last.time / 1_000)
        yield _gauge("sww_backup_follows", "Whether a program appends all changes to the backup: 1, else 0", last.follows)


def _requests(metrics: Metrics) -> Iterator[Family]:
    total = _counter("sww_http_requests_total", "HTTP requests answered", labels=("route", "method", "status"))
    seconds = Family("histogram", "sww_http_request_seconds", "Time from a request to its response", labels=("route", "method"))
    for route in metrics.routes:
        for status, count in route.by_status.items():
            total.add([route.route, route.method, str(status)], count)
        seconds.add_histogram([route.route, route.method], LATENCY_BOUNDS, route.buckets, route.seconds)
    refused = _counter(
        "sww_http_refused_total", "Requests and connections refused before any route was found", labels=("status",)
    )
    for status, count in metrics.refused.items():
        refused.add([str(status)], count)
    yield from (total, seconds, refused)


def _sockets(metrics: Metrics, sockets: int) -> Iterator[Family]:
    handshakes = _counter("sww_websocket_handshakes_total", "WebSocket handshakes answered", labels=("status",))
    for status, count in metrics.handshakes.items():
        handshakes.add([str(status)], count)
    closes = _counter("sww_websocket_closes_total", "WebSockets that ended, by close code", labels=("code",))
    for code, count in metrics.closes.items():
        closes.add([code], count)
    too_slow = metrics.closes[str(TOO_SLOW)]
    yield from (
        handshakes,
        closes,
        _gauge("sww_live_readers", "WebSockets that are open", sockets),
        _counter("sww_live_too_slow_total", "WebSockets closed because they read too slowly", too_slow),
    )


def _storage(meter: Meter) -> Iterator[Family]:
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
        yield _counter(f"{name}_total", text, value)
    sizes = Family("histogram", "sww_storage_commit_calls", "Calls that one commit carried")
    sizes.add_histogram([], COMMIT_SIZE_BOUNDS, meter.commit_sizes, meter.commit_calls)
    yield sizes


def _billable(meter: Meter) -> Iterator[Family]:
    """See ``durable_objects.meter``; ``sww cost`` turns them into dollars."""
    for name, text, value in (
        ("sww_billed_requests", "HTTP requests and WebSocket handshakes, files aside", meter.requests),
        ("sww_billed_socket_messages", "WebSocket messages from clients", meter.socket_frames),
        ("sww_billed_alarm_calls", "Calls because an alarm was due", meter.alarm_calls),
        ("sww_billed_rows_read", "Rows read from storage", meter.rows_read),
        ("sww_billed_rows_written", "Rows written to storage, or deleted", meter.rows_written),
        ("sww_billed_alarms_set", "Alarms set or moved", meter.alarms_set),
        ("sww_billed_active_seconds", "Time in which at least one request was under way", meter.active_ms / 1_000),
    ):
        yield _counter(f"{name}_total", text, value)


def _queue(stats: Stats) -> Iterator[Family]:
    depth = _gauge("sww_queue_depth", "Messages by status and entity", labels=("status", "entity"))
    for entity, of_entity in stats.entities.items():
        for status in ("pending", "processing", "complete", "failed"):
            depth.add([status, entity], getattr(of_entity, status))
    circuits = _gauge("sww_circuit_open", "Providers that a bot does not call now", labels=("provider", "worker"))
    for circuit in stats.circuits or ():
        circuits.add([circuit.provider, circuit.worker_id], 1)
    yield from (
        depth,
        circuits,
        _gauge("sww_queue_backlog", "Messages whose work is not finished", stats.backlog),
        _gauge("sww_queue_backlog_limit", "The backlog at which posts are refused", stats.backlog_limit),
        _gauge("sww_queue_backing_off", "Pending messages that wait for their retry", stats.backing_off),
    )


def _answers(stats: Stats) -> Iterator[Family]:
    times = Family("histogram", "sww_answer_seconds", "Time from a question to its answer, since the beginning of the wall")
    times.add_histogram([], BOUNDS_SECONDS, stats.answer_times, stats.answer_ms / 1_000)
    next_since = _gauge("sww_next_since_timestamp_seconds", "When the message was posted that is next", labels=("entity",))
    for entity, at in stats.next_since.items():
        next_since.add([entity], at / 1_000)
    failures = _counter("sww_failures_total", "Messages that have failed, since the beginning of the wall", stats.failures)
    yield from (times, failures, next_since)


def _served(served: Mapping[str, bool]) -> Family:
    text = "Whether a bot answers for the entity: 1, else 0; the empty one is for messages to anyone"
    family = _gauge("sww_entity_served", text, labels=("entity",))
    for entity, is_served in served.items():
        family.add([entity], is_served)
    return family
