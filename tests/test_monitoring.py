"""What Prometheus and Grafana get: alerts that Prometheus' own program has tried, and a dashboard of what a server has.

These tests need ``promtool``, which is in Debian's package ``prometheus``.
"""

import json
import re
import runpy
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import connect

from conftest import MakeServer
from documents import ROOT, text_of
from saywhatwant import last_backup
from saywhatwant.last_backup import LastBackup
from servers import DEADLINE_SECONDS, Server, until

PROMETHEUS = ROOT / "deploy/prometheus"
ALERTS, CASES = PROMETHEUS / "alerts.yaml", PROMETHEUS / "alerts_test.yaml"
DASHBOARD = runpy.run_path(str(ROOT / "deploy/grafana/dashboard.py"))
OF_PROMETHEUS = {"job", "instance", "le"}
"""Labels that no server writes: Prometheus adds them, or they are of every histogram."""
SELECTOR = re.compile(r"\b(sww_\w+)(?:\{([^}]*)\})?")
GROUPING = re.compile(r"\b(?:by|on) \(([^)]*)\)")
POST = {"text": "Why?", "username": "Human", "color": "169080199"}


def promtool(*arguments: str | Path, given: str | None = None) -> str:
    """What it prints; fails as it does."""
    done = subprocess.run(["promtool", *arguments], input=given, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def busy(make_server: MakeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on which everything has happened that makes a metric."""
    with make_server(tmp_path_factory.mktemp("busy")) as server:
        call(server, "queue/circuit", workerId="bot", provider="near", entities=["zen"], seconds=600, reason="it is down")
        for n in range(3):
            question = call(server, "comments", **POST, botParams={"entity": "zen"})["id"]
            fence = {"messageId": question, "workerId": "bot", "attempt": 1}
            if n < 2:
                call(server, "queue/claim", messageId=question, workerId="bot")
            if n == 0:
                call(server, "queue/complete", **fence, reply={"text": "Because."})
            if n == 1:
                call(server, "queue/fail", **fence, error="no words", retry=False)
        assert server.http.post("/api/comments", json={}).status_code == 422
        assert server.http.get("/no/such/path").status_code == 404
        with connect(server.url.replace("http", "ws") + "/api/ws") as reader:
            reader.recv(timeout=DEADLINE_SECONDS)
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"this is not HTTP\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
        until(lambda: "sww_websocket_closes_total{" in metrics(server), "the end of the socket")
        last_backup.write(server.data, LastBackup(1_700_000_000_000, "/backups"))
        yield server


def call(server: Server, path: str, **body: object) -> Any:
    return server.http.post(f"/api/{path}", json=body).raise_for_status().json()


def metrics(server: Server) -> str:
    return server.http.get("/metrics").raise_for_status().text


def labels_by_name(text: str) -> dict[str, set[str]]:
    """The labels of each sample, by its name."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


# -- Alerts


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def test_prometheus_accepts_the_rules_and_the_configuration() -> None:
    assert f"{len(rules())} rules found" in promtool("check", "rules", ALERTS)
    assert "SUCCESS" in promtool("check", "config", PROMETHEUS / "prometheus.yaml")


def test_every_alert_does_in_every_case_what_is_expected_of_it() -> None:
    assert "SUCCESS" in promtool("test", "rules", CASES)


def test_a_rule_that_is_broken_would_be_found(tmp_path: Path) -> None:
    broken = ALERTS.read_text().replace("> 600", "> 6000")
    (tmp_path / "alerts.yaml").write_text(broken)
    (tmp_path / "alerts_test.yaml").write_text(CASES.read_text())
    done = subprocess.run(
        ["promtool", "test", "rules", tmp_path / "alerts_test.yaml"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode != 0
    assert "MessagesWaitLong" in done.stdout + done.stderr


@pytest.mark.parametrize("alert", [rule["alert"] for rule in rules()])
def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(alert: str) -> None:
    cases = [case for test in yaml.safe_load(CASES.read_text())["tests"] for case in test["alert_rule_test"]]
    fires = {bool(case["exp_alerts"]) for case in cases if case["alertname"] == alert}
    assert fires == {True, False}


@pytest.mark.parametrize("alert", [rule["alert"] for rule in rules()])
def test_the_guide_says_what_to_do_about_each_alert(alert: str) -> None:
    assert re.search(rf"^\| `{alert}` \| .+ \| .+ \|$", text_of("docs/operate.md"), re.MULTILINE)


# -- What they are made of


def queries() -> dict[str, str]:
    """Those of all alerts and panels, by where they are."""
    found = {f"alert {rule['alert']}": rule["expr"] for rule in rules()}
    for panel in DASHBOARD["dashboard"]()["panels"]:
        for target in panel.get("targets", ()):
            found[f"panel {panel['title']} {target['refId']}"] = target["expr"]
    return found


@pytest.mark.parametrize("place", queries())
def test_a_query_asks_only_for_what_a_server_has(place: str, busy: Server) -> None:
    query, known = queries()[place], labels_by_name(metrics(busy))
    asked = SELECTOR.findall(query)
    assert asked or query == 'up{job="sww"} == 0'
    every_label = OF_PROMETHEUS.copy()
    for name, matchers in asked:
        assert name in known, f"a server has no {name}"
        every_label |= known[name]
        labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
        assert labels <= known[name] | OF_PROMETHEUS, f"{name} has no {labels - known[name] - OF_PROMETHEUS}"
    grouped = {label.strip() for group in GROUPING.findall(query) for label in group.split(",")}
    assert grouped <= every_label, f"nothing that is asked for has {grouped - every_label}"


def test_each_circuit_is_known_by_the_labels_that_are_asked_for(busy: Server) -> None:
    assert labels_by_name(metrics(busy))["sww_circuit_open"] == {"provider", "worker"}


# -- The dashboard


def test_the_dashboard_is_what_its_script_makes() -> None:
    """If not, `python deploy/grafana/dashboard.py` makes it."""
    assert DASHBOARD["FILE"].read_text() == DASHBOARD["text"]()


def test_prometheus_accepts_every_query_of_the_dashboard(tmp_path: Path) -> None:
    found = [query for place, query in queries().items() if place.startswith("panel")]
    rules = [
        {"record": f"panel:{n}", "expr": query.replace("$__rate_interval", "5m").replace("$job", "sww")}
        for n, query in enumerate(found)
    ]
    file = tmp_path / "rules.yaml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(found)} rules found" in promtool("check", "rules", file)


def test_panels_have_places_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["dashboard"]()["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert all(x < DASHBOARD["COLUMNS"] for x, _ in cells), panel["title"]
        taken |= cells


# -- The format


def test_prometheus_finds_no_fault_in_the_metrics_of_a_busy_server(busy: Server) -> None:
    assert promtool("check", "metrics", given=metrics(busy)) == ""
