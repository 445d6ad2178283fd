"""``sww doctor`` finds what is wrong with a wall, says what to do, and changes nothing."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import pytest
from terminal import running, sww
from test_migrate import fill, on

from durable_objects.embedded.store import FILE
from saywhatwant import last_backup
from saywhatwant.commands import data_checks
from saywhatwant.last_backup import LastBackup
from servers import Server, until

NOBODY = "http://127.0.0.1:1"
WEAK = {"bot_token": "short"}


class Report(NamedTuple):
    """What it printed as JSON."""

    status: int
    findings: list[dict[str, Any]]

    def of(self, check: str, *states: str) -> list[str]:
        """What it says of one thing, with what to do."""
        found = [one for one in self.findings if one["check"] == check and (not states or one["state"] in states)]
        return [" → ".join(filter(None, (one["what"], one.get("do")))) for one in found]

    @property
    def faults(self) -> set[str]:
        return {one["check"] for one in self.findings if one["state"] == "fault"}


def doctor(directory: Path, *arguments: str, **settings: object) -> Report:
    done = sww(directory, "doctor", "--json", *arguments, **settings)
    return Report(done.status, json.loads(done.stdout))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    on(tmp_path / "data", "single", fill)
    return tmp_path / "data"


def test_a_wall_that_is_well_has_no_fault_and_nothing_of_it_changes(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.http.post("/api/comments", json={"text": "hi", "username": "Human", "color": "169080199"}).raise_for_status()
        before = {path: path.stat().st_mtime_ns for path in server.data.iterdir() if not path.name.endswith("-shm")}
        report = doctor(tmp_path, "--url", server.url)
        assert {path: path.stat().st_mtime_ns for path in server.data.iterdir() if not path.name.endswith("-shm")} == before
        assert (report.status, report.faults) == (0, set())
        assert report.of("data", "ok") == ["1 messages in data, topology single"]
        for check in ("version", "integrity", "log", "room", "tokens", "clock", "ready", "sockets", "backlog"):
            assert report.of(check, "ok"), check
        assert report.of("bots", "warning") == ["none is here → start sww bot"]
        assert "eliza: no bot answers for it at the moment → start sww bot for it" in report.of("entities")
        shown = sww(tmp_path, "doctor", "--url", server.url)
    assert shown.status == 0
    assert "ok      integrity  SQLite finds nothing wrong\n" in shown.stdout
    assert "warning bots       none is here\n                   → start sww bot\n" in shown.stdout


def test_bots_that_answer_are_named_and_messages_that_failed_are_counted(tmp_path: Path) -> None:
    with Server(tmp_path) as server, running(tmp_path, "bot", "--url", server.url, "--worker-id", "alice", stream="stderr"):
        until(lambda: "alice" in server.http.get("/api/queue/bots").text, "the bot")
        post = {"text": "hi", "username": "Human", "color": "169080199", "botParams": {"entity": "nobody"}}
        server.http.post("/api/comments", json=post).raise_for_status()
        (waiting,) = doctor(tmp_path, "--url", server.url).of("waiting", "warning")
        server.http.post("/api/queue/batch", json={"action": "fail", "entity": "nobody"}).raise_for_status()
        report = doctor(tmp_path, "--url", server.url)
    assert waiting.startswith("1 for nobody, for which no bot here answers → ")
    assert report.of("waiting") == []
    (bots,) = report.of("bots", "ok")
    assert bots.startswith("alice ")
    assert report.of("failed") == ["1 message has failed → sww queue shows why; sww queue retry --failed"]


def test_data_that_is_damaged_missing_or_of_something_else_is_a_fault(tmp_path: Path, data: Path) -> None:
    report = doctor(tmp_path, "--data", "none", "--url", NOBODY)
    assert report.of("data", "fault") == [
        "none has no data → name the directory with --data, or start a server, which makes it"
    ]
    whole = (data / FILE).read_bytes()
    (data / FILE).write_bytes(whole[:4_096] + b"\xff" * 4_096 + whole[8_192:])
    report = doctor(tmp_path, "--url", NOBODY)
    assert report.status == 1
    assert report.faults & {"data", "integrity"}
    (data / FILE).write_bytes(b"no database" * 1_000)
    assert "data" in doctor(tmp_path, "--url", NOBODY).faults
    (data / FILE).unlink()
    with closing(sqlite3.connect(data / FILE)) as connection:
        connection.execute("CREATE TABLE other (x)")
    (what,) = doctor(tmp_path, "--url", NOBODY).of("data", "fault")
    assert "was written by another program" in what


def test_another_topology_than_the_data_has_is_a_fault(tmp_path: Path, data: Path) -> None:
    assert data.exists()
    report = doctor(tmp_path, "--url", NOBODY, topology="hybrid")
    assert report.of("topology", "fault") == ["SWW_TOPOLOGY is hybrid → set SWW_TOPOLOGY=single"]


def test_the_last_backup_is_known_by_its_age_and_its_place(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_795_780_800_000
    monkeypatch.setattr("saywhatwant.commands.doctor.now", lambda: now)

    def said() -> str:
        (what,) = doctor(tmp_path, "--url", NOBODY).of("backup", "warning", "ok")
        return what

    assert said().startswith("none is known → sww backup --every 1h --to DIR")
    last_backup.write(data, LastBackup(now - 26 * 3_600_000, str(tmp_path)))
    assert "26.0 hours ago → see whether sww backup --every still runs" in said()
    last_backup.write(data, LastBackup(now - 360_000, str(tmp_path), follows=True))
    assert "0.1 hours ago → see whether sww backup --every still runs" in said()
    last_backup.write(data, LastBackup(now - 60_000, str(tmp_path), follows=True))
    assert "hours ago, on the disk of the data → keep backups on another disk" in said()
    last_backup.write(data, LastBackup(now - 3_600_000, str(tmp_path / "gone")))
    assert said() == f"{tmp_path / 'gone'} is gone → make another one, on a disk that stays"
    last_backup.write(data, LastBackup(now - 3_600_000, str(tmp_path)))
    assert "1.0 hours ago, on the disk of the data → keep backups on another disk" in said()
    (data / last_backup.FILE).write_text("no note")
    assert said().startswith("none is known")


def test_a_full_or_slow_disk_and_a_large_log_are_found(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_checks, "_syncs", lambda _: [60.0] * data_checks.SYNCS)
    monkeypatch.setattr(data_checks, "MAX_IDLE_LOG_BYTES", -1)
    report = doctor(tmp_path, "--url", NOBODY)
    assert report.of("disk", "warning")[0].startswith("an fsync takes 60.0 ms, the slowest of 15 60.0 ms → every commit waits")
    assert report.of("log", "warning")
    monkeypatch.setattr(data_checks, "LOW_FREE_BYTES", 10**18)
    assert doctor(tmp_path, "--url", NOBODY).of("room", "warning")
    monkeypatch.setattr(data_checks, "LEAST_FREE_BYTES", 10**18)
    report = doctor(tmp_path, "--url", NOBODY)
    assert "room" in report.faults
    assert data.exists()


def test_a_clock_that_is_behind_the_messages_is_found(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert data.exists()
    monkeypatch.setattr("saywhatwant.commands.doctor.now", lambda: 1_000_000)
    (what,) = doctor(tmp_path, "--url", NOBODY).of("clock", "warning")
    assert "after now: the clock was ahead, or is behind → set the clock" in what


def test_tokens_that_are_weak_wrong_or_readable_by_others_are_found(tmp_path: Path, data: Path) -> None:
    assert doctor(tmp_path, "--url", NOBODY, **WEAK).of("tokens", "warning") == [
        "SWW_BOT_TOKEN has 5 characters → use 16 or more, or sww token add"
    ]
    (tmp_path / "sww.toml").write_text('bot_token = "0123456789abcdef"')
    (tmp_path / "sww.toml").chmod(0o644)
    (what,) = doctor(tmp_path, "--url", NOBODY).of("tokens", "fault")
    assert what.startswith("others may read ")
    (tmp_path / "sww.toml").chmod(0o600)
    assert doctor(tmp_path, "--url", NOBODY).of("tokens", "fault") == []
    (data / "tokens.toml").write_text("[broken")
    assert "tokens" in doctor(tmp_path, "--url", NOBODY).faults


class _Other(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's
        pass


@pytest.fixture
def other_server() -> Iterator[str]:
    """Something that answers everything, and is no wall."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Other) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_server_that_is_not_there_is_a_fault_only_where_it_was_named(tmp_path: Path, data: Path, other_server: str) -> None:
    assert data.exists()
    assert "server" in doctor(tmp_path, "--url", NOBODY).faults
    report = doctor(tmp_path, bind="127.0.0.1:1")
    assert report.of("server", "warning")
    assert report.status == 0
    (what,) = doctor(tmp_path, "--url", other_server).of("server", "fault")
    assert what.startswith(f"{other_server} answers, but not as a wall: ")


def test_a_proxy_that_passes_on_no_websockets_is_found(tmp_path: Path, data: Path, other_server: str) -> None:
    assert data.exists()
    (what,) = doctor(tmp_path, "--url", other_server).of("sockets", "warning")
    assert re.search("no WebSocket opens: .* → see whether a proxy passes Upgrade and Connection on", what)


def test_on_restate_the_data_is_left_to_its_cluster(tmp_path: Path) -> None:
    report = doctor(tmp_path, "--url", NOBODY, runtime="restate")
    assert report.of("data", "ok") == ["is on a Restate cluster: restatectl status, and docs/cluster.md"]
