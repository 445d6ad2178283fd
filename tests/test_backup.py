"""The commands of the guide for a backup and for going back to one, run as they stand there."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import httpx
import pytest

from conftest import StartServer
from servers import Server

GUIDE = Path(__file__).parent.parent / "docs" / "operate.md"
BACK_UP, GO_BACK = re.findall(r"```sh\n(.*?)```", GUIDE.read_text().partition("## Back it up")[2], re.DOTALL)
SHELL = f"""#!{sys.executable}
import sqlite3, sys
file, statement = sys.argv[1:]
sqlite3.connect(file, isolation_level=None).execute(statement)
"""
"""As much of SQLite's own shell as the guide uses."""

RunIn = Callable[[Path, str], None]


@pytest.fixture
def run_in(tmp_path: Path) -> RunIn:
    """Runs commands in a directory, and stops at the first that fails."""
    shell = tmp_path / "bin" / "sqlite3"
    shell.parent.mkdir()
    shell.write_text(SHELL)
    shell.chmod(0o755)
    path = f"{shell.parent}{os.pathsep}{os.environ['PATH']}"

    def run(directory: Path, commands: str) -> None:
        subprocess.run(["sh", "-e", "-c", commands], cwd=directory, env=os.environ | {"PATH": path}, check=True, timeout=20)

    return run


def say(server: Server, text: str) -> None:
    body = {"text": text, "username": "Human", "color": "169080199"}
    server.http.post("/api/comments", json=body).raise_for_status()


def texts(server: Server, **query: int) -> list[str]:
    messages = server.http.get("/api/comments", params={"order": "asc", **query}).raise_for_status().json()
    return [message["text"] for message in messages]


def test_p1_a_copy_is_made_while_posts_go_on_and_holds_all_up_to_some_moment(start_server: StartServer, run_in: RunIn) -> None:
    server = start_server()
    say(server, "0")
    enough = Event()

    def post_on() -> None:
        with httpx.Client(base_url=server.url, trust_env=False) as http:
            number = 0
            while not enough.is_set():
                number += 1
                http.post("/api/comments", json={"text": str(number), "username": "Human", "color": "169080199"})

    poster = Thread(target=post_on)
    poster.start()
    try:
        run_in(server.directory, BACK_UP)
    finally:
        enough.set()
        poster.join()
    said = texts(server)
    server.kill()
    run_in(server.directory, GO_BACK)
    server.start()
    copied = texts(server)
    assert copied == said[: len(copied)]
    assert len(copied) >= 1


def test_p5_after_going_back_no_reader_takes_what_is_new_for_what_it_has(start_server: StartServer, run_in: RunIn) -> None:
    """Though the server was killed, its log was left, and as many commits were made since as had been lost."""
    server = start_server()
    say(server, "kept")
    run_in(server.directory, BACK_UP)
    say(server, "lost")
    token = server.http.get("/api/comments").headers["etag"]
    server.kill()

    run_in(server.directory, GO_BACK)

    server.start()
    assert texts(server) == ["kept"]
    say(server, "new")
    answer = server.http.get("/api/comments", headers={"If-None-Match": token})
    assert answer.status_code == 200
    assert texts(server, changedAfter=int(token.strip('"'))) == ["new"]
    server.restart()
    assert texts(server) == ["kept", "new"]
