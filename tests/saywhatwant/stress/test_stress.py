"""``sww stress`` as a person runs it, on real servers and bots."""

import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from conftest import StartServer
from servers import SWW, Server, environment, until

SUMMARY = re.compile(
    r"^(\d+)/(\d+) delivered, (\d+)/(\d+) answered once, (\d+) doubled, (\d+) missed by any tab$", re.MULTILINE
)


def stress(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SWW, "stress", *arguments],
        cwd=directory,
        env=environment() | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def figures(done: subprocess.CompletedProcess[str]) -> list[int]:
    assert "Traceback" not in done.stderr
    (found,) = SUMMARY.findall(done.stdout)
    return [int(figure) for figure in found]


@pytest.mark.parametrize("tabs", [30, 14])
def test_p4_every_tab_sees_every_message_and_its_one_answer(start_server: StartServer, tmp_path: Path, tabs: int) -> None:
    server = start_server(command="up")
    done = stress(tmp_path, "--url", server.url, "--tabs", str(tabs))
    assert figures(done) == [tabs, tabs, tabs, tabs, 0, 0], done.stdout
    assert done.returncode == 0
    assert "miss:" not in done.stdout
    on_the_wall = server.http.get("/api/comments").json()
    assert sum(message["messageType"] == "human" for message in on_the_wall) == tabs


def test_p4_more_messages_than_tabs_are_shared_out(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(command="up")
    done = stress(tmp_path, "--url", server.url, "--tabs", "3", "--messages", "7")
    assert figures(done) == [7, 7, 7, 7, 0, 0], done.stdout
    posters = [message["username"] for message in server.http.get("/api/comments").json() if message["messageType"] == "human"]
    assert sorted(posters) == ["Tab 1", "Tab 1", "Tab 1", "Tab 2", "Tab 2", "Tab 3", "Tab 3"]


def test_p4_thirty_of_thirty_though_server_and_bots_are_killed_ten_times(tmp_path: Path) -> None:
    done = stress(tmp_path, "--chaos")
    assert figures(done) == [30, 30, 30, 30, 0, 0], done.stdout
    assert done.returncode == 0
    (kills,) = re.findall(r"^kills +(\d+) .*bot 1 (\d+), bot 2 (\d+), server (\d+)", done.stdout, re.MULTILINE)
    assert int(kills[0]) == sum(map(int, kills[1:])) >= 10
    assert all(int(times) > 0 for times in kills)
    (struck,) = re.findall(r"^struck +(\d+)", done.stdout, re.MULTILINE)
    assert int(struck) > 0


def test_p4_an_answer_that_does_not_come_is_told_and_the_exit_status_1(server: Server, tmp_path: Path) -> None:
    done = stress(tmp_path, "--url", server.url, "--entity", "nobody", "--tabs", "3", "--timeout", "2")
    assert done.returncode == 1
    assert figures(done) == [3, 3, 0, 3, 0, 3]
    assert "had not settled after 2 s" in done.stdout
    assert len(re.findall(r"message \d \([a-z0-9]{10}\) has no answer in any tab", done.stdout)) == 3


def test_p8_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unheard.getsockname()[1]}"
        done = stress(tmp_path, "--url", url)
    assert done.returncode == 1
    assert "can not be reached" in done.stderr
    assert "Traceback" not in done.stderr


def test_p8_messages_that_the_server_refuses_end_it_with_the_reason(server: Server, tmp_path: Path) -> None:
    done = stress(tmp_path, "--url", server.url, "--entity", "No Name", "--tabs", "2")
    assert done.returncode == 1
    assert "entity" in done.stderr
    assert "Traceback" not in done.stderr


def test_p8_chaos_wants_no_server_of_others(tmp_path: Path) -> None:
    done = stress(tmp_path, "--chaos", "--url", "http://127.0.0.1:8787")
    assert done.returncode != 0
    assert "--url" in done.stderr


def test_p8_chaos_tells_why_no_bot_answers(tmp_path: Path) -> None:
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
        until(lambda: len(_children(process.pid)) == 3, "server and bots")
        children = _children(process.pid)
        process.send_signal(number)
        assert process.wait(20) != 0
    finally:
        process.kill()
        process.wait()
    assert [pid for pid in children if _is_there(pid)] == []
    assert list(scratch.iterdir()) == []


def _children(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False).stdout
    return [int(child) for child in listed.split()]


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
