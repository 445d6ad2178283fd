"""``sww stress`` at the prompt, on real servers and bots."""

import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from conftest import StartServer
from process_table import children, is_running
from servers import DEADLINE_SECONDS, SWW, Server, environment, until
from stress_command import stress

SUMMARY = re.compile(
    r"^(\d+)/(\d+) delivered, (\d+)/(\d+) answered once, (\d+) doubled, (\d+) missed by any tab$", re.MULTILINE
)


def figures(done: subprocess.CompletedProcess[str]) -> list[int]:
    assert "Traceback" not in done.stderr
    (found,) = SUMMARY.findall(done.stdout)
    return [int(figure) for figure in found]


def test_p4_every_tab_sees_every_message_and_its_one_answer(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(command="up")
    done = stress(tmp_path, "--url", server.url, "--tabs", "3", "--messages", "7")
    assert figures(done) == [7, 7, 7, 7, 0, 0], done.stdout
    assert done.returncode == 0
    assert "miss:" not in done.stdout
    posters = [message["username"] for message in server.http.get("/api/comments").json() if message["messageType"] == "human"]
    assert sorted(posters) == ["Tab 1", "Tab 1", "Tab 1", "Tab 2", "Tab 2", "Tab 3", "Tab 3"]


def test_p4_a_missing_answer_is_reported_and_the_exit_status_is_1(server: Server, tmp_path: Path) -> None:
    done = stress(tmp_path, "--url", server.url, "--entity", "nobody", "--tabs", "3", "--timeout", "2")
    assert done.returncode == 1
    _, _, answered_once, _, doubled, missed = figures(done)
    assert (answered_once, doubled, missed) == (0, 0, 3)
    assert "not settled after 2 s" in done.stdout
    assert len(re.findall(r"^miss: message \d ", done.stdout, re.MULTILINE)) == 3


def test_p8_a_server_that_is_away_is_reported(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        done = stress(tmp_path, "--url", url)
    assert done.returncode == 1
    assert "cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr


def test_p8_messages_that_the_server_refuses_end_it_with_the_reason(server: Server, tmp_path: Path) -> None:
    done = stress(tmp_path, "--url", server.url, "--entity", "No Name", "--tabs", "2")
    assert done.returncode == 1
    assert "entity" in done.stderr
    assert "Traceback" not in done.stderr


def test_p8_chaos_refuses_the_url_of_a_server(tmp_path: Path) -> None:
    done = stress(tmp_path, "--chaos", "--url", "http://127.0.0.1:8787")
    assert done.returncode != 0
    assert "--url" in done.stderr


def test_p8_chaos_reports_why_no_bot_answers(tmp_path: Path) -> None:
    done = stress(tmp_path, "--chaos", "--entity", "nobody")
    assert done.returncode == 1
    assert "bot 1 ended by itself" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: str(number.name))
def test_p8_what_chaos_started_ends_with_it(tmp_path: Path, number: signal.Signals) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = subprocess.Popen(
        [SWW, "stress", "--chaos"],
        cwd=tmp_path,
        env=environment() | {"TMPDIR": str(scratch)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: len(children(process.pid)) == 3, "server and bots")
        started = children(process.pid)
        process.send_signal(number)
        assert process.wait(DEADLINE_SECONDS) != 0
    finally:
        process.kill()
        process.wait()
    assert [pid for pid in started if is_running(pid)] == []
    assert list(scratch.iterdir()) == []
