"""Write dashboard.json, a dashboard for Grafana that shows a wall by its /metrics. Run it after a change.

Panels are told by title, unit and queries; where they are on the page follows. Every gateway shows the figures of the whole
wall, so those are never added up.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("dashboard.json")
COLUMNS = 24
WIDTH, HEIGHT = 8, 8
JOB = 'job="$job"'
SOURCE = {"type": "prometheus", "uid": "${source}"}


@dataclass(frozen=True)
class Panel:
    """A plot: its queries by what they are called in its legend. ``$R`` is the range of a rate."""

    title: str
    unit: str
    queries: dict[str, str]
    text: str = ""


def rate(metric: str, labels: str = "", by: str = "") -> str:
    """A rate per second, the sum of all gateways."""
    inside = ", ".join(filter(None, (JOB, labels)))
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{{{inside}}}[$R]))"


def most(metric: str, labels: str = "", by: str = "") -> str:
    """A figure of the wall, which all gateways show."""
    inside = ", ".join(filter(None, (JOB, labels)))
    return f"max{f' by ({by})' if by else ''} ({metric}{{{inside}}})"


def percentile(share: float, metric: str, *, of_wall: bool) -> str:
    """A percentile of a histogram: the wall's, or that of all gateways together."""
    merge = "max" if of_wall else "sum"
    return f"histogram_quantile({share}, {merge} by (le) (rate({metric}_bucket{{{JOB}}}[$R])))"


ROWS: dict[str, list[Panel]] = {
    "The wall": [
        Panel(
            "Posts, answers, failures",
            "ops",
            {
                "posts": rate("sww_http_requests_total", 'route=~".*/api/comments", method="POST", status="200"'),
                "answers": f"max (rate(sww_answer_seconds_count{{{JOB}}}[$R]))",
                "failures": f"max (rate(sww_failures_total{{{JOB}}}[$R]))",
            },
        ),
        Panel(
            "From a question to its answer",
            "s",
            {
                "p50": percentile(0.5, "sww_answer_seconds", of_wall=True),
                "p99": percentile(0.99, "sww_answer_seconds", of_wall=True),
            },
        ),
        Panel(
            "Waiting for a bot",
            "short",
            {"{{entity}}": most("sww_queue_depth", 'status="pending"', "entity")},
            "An empty name is for messages to anyone.",
        ),
        Panel(
            "The next message waits since",
            "s",
            {"{{entity}}": f"time() - min by (entity) (sww_next_since_timestamp_seconds{{{JOB}}})"},
        ),
        Panel(
            "Unfinished messages",
            "short",
            {
                "held by bots": f'max (sum by (instance) (sww_queue_depth{{{JOB}, status="processing"}}))',
                "wait for a retry": most("sww_queue_backing_off"),
                "all": most("sww_queue_backlog"),
                "limit": most("sww_queue_backlog_limit"),
            },
        ),
        Panel(
            "Bots",
            "short",
            {
                "bots": f"sum (sww_bots{{{JOB}}})",
                "their sockets": f"sum (sww_bot_sockets{{{JOB}}})",
                "waiting claims": f"sum (sww_waiting_claims{{{JOB}}})",
                "open circuits": f"count (max by (provider, worker) (sww_circuit_open{{{JOB}}}))",
            },
        ),
    ],
    "Requests": [
        Panel("Requests by status", "reqps", {"{{status}}": rate("sww_http_requests_total", by="status")}),
        Panel(
            "Time to answer a request",
            "s",
            {
                "p50": percentile(0.5, "sww_http_request_seconds", of_wall=False),
                "p99": percentile(0.99, "sww_http_request_seconds", of_wall=False),
            },
            "Long polls are among them.",
        ),
        Panel("Refused before any route", "reqps", {"{{status}}": rate("sww_http_refused_total", by="status")}),
        Panel("Readers' WebSockets", "short", {"{{instance}}": f"sum by (instance) (sww_live_readers{{{JOB}}})"}),
        Panel("WebSocket handshakes by status", "ops", {"{{status}}": rate("sww_websocket_handshakes_total", by="status")}),
        Panel("WebSocket ends by code", "ops", {"{{code}}": rate("sww_websocket_closes_total", by="code")}),
    ],
    "Storage": [
        Panel(
            "Commits",
            "ops",
            {"commits": rate("sww_storage_commits_total"), "failed": rate("sww_storage_commit_failures_total")},
        ),
        Panel(
            "Calls in a commit",
            "short",
            {
                "mean": f"{rate('sww_storage_commit_calls_sum')} / {rate('sww_storage_commit_calls_count')}",
                "p99": percentile(0.99, "sww_storage_commit_calls", of_wall=False),
            },
        ),
        Panel(
            "Rows",
            "ops",
            {"written": rate("sww_billed_rows_written_total"), "read": rate("sww_billed_rows_read_total")},
        ),
        Panel("Leases that ran out", "ops", {"leases": f"max (rate(sww_lease_expiries_total{{{JOB}}}[$R]))"}),
        Panel("Free disk", "percentunit", {"{{instance}}": f"sww_disk_free_bytes{{{JOB}}} / sww_disk_size_bytes{{{JOB}}}"}),
        Panel("Age of the newest backup", "s", {"age": f"time() - max (sww_last_backup_timestamp_seconds{{{JOB}}})"}),
    ],
}


def dashboard() -> dict[str, Any]:
    """The dashboard, as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS.items():
        panels.append({"type": "row", "title": title, "id": len(panels) + 1, "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1}})
        for place, panel in enumerate(row):
            line, column = divmod(place, COLUMNS // WIDTH)
            at = {"x": column * WIDTH, "y": y + 1 + line * HEIGHT, "w": WIDTH, "h": HEIGHT}
            panels.append(_plot(panel, len(panels) + 1, at))
        y += 1 + -(-len(row) * WIDTH // COLUMNS) * HEIGHT
    return {
        "title": "Say What Want",
        "uid": "say-what-want",
        "tags": ["sww"],
        "schemaVersion": 38,
        "editable": True,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "30s",
        "templating": {"list": [_source(), _job()]},
        "panels": panels,
    }


def _plot(panel: Panel, number: int, at: dict[str, int]) -> dict[str, Any]:
    targets = []
    for place, (legend, query) in enumerate(panel.queries.items()):
        expression = query.replace("$R", "$__rate_interval")
        targets.append({"refId": "ABCDEF"[place], "legendFormat": legend, "expr": expression, "datasource": SOURCE})
    return {
        "type": "timeseries",
        "title": panel.title,
        "description": panel.text,
        "id": number,
        "gridPos": at,
        "datasource": SOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, "custom": {"fillOpacity": 10}}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
    }


def _source() -> dict[str, Any]:
    return {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _job() -> dict[str, Any]:
    return {
        "name": "job",
        "label": "Job",
        "type": "query",
        "datasource": SOURCE,
        "query": "label_values(sww_ready, job)",
        "refresh": 1,
    }


def text() -> str:
    """What the file has."""
    return json.dumps(dashboard(), indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
