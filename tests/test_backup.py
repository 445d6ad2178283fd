"""The guide's commands for backup and restore, run exactly as shown."""

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
from servers import DEADLINE_SECONDS, Server

GUIDE = Path(__file__).parent.parent / "docs" / "operate.md"
BACKUP, RESTORE = re.findall(
    r"```sh\n(.*?)```", GUIDE.read_text().partition("## Back it up")[2].partition("\n## ")[0], re.DOTALL
)
SHELL = f"""#!{sys.executable}
import sqlite3, sys
file, statement = sys.argv[1:]
sqlite3.connect(file, isolation_level=None).execute(statement)
"""
"""The part of SQLite's shell that the guide uses."""

RunIn = Callable[[Path, str], None]


@pytest.fixture
def run_in(tmp_path: Path) -> RunIn:
    """Run commands in a directory; stop at the first that fails."""
    shell = tmp_path / "bin" / "sqlite3"
    shell.parent.mkdir()
    shell.write_text(SHELL)
    shell.chmod(0o755)
    path = f"{shell.parent}{os.pathsep}{os.environ['PATH']}"

    def run(directory: Path, commands: str) -> None:
        subprocess.run(
            ["sh", "-e", "-c", commands], cwd=directory, env=os.environ | {"PATH": path}, check=True, timeout=DEADLINE_SECONDS
        )

    return run


def post(server: Server, text: str) -> None:
    body = {"text": text, "username": "Human", "color": "169080199"}
    server.http.post("/api/comments", json=body).raise_for_status()


def texts(server: Server, **query: int) -> list[str]:
    messages = server.http.get("/api/comments", params=query or {"order": "asc"}).raise_for_status().json()
    return [message["text"] for message in messages]


def test_p1_a_copy_made_while_posts_arrive_holds_everything_up_to_one_moment(start_server: StartServer, run_in: RunIn) -> None:
    server = start_server()
    post(server, "0")
    stop = Event()

    def keep_posting() -> None:
        with httpx.Client(base_url=server.url, trust_env=False) as http:
            number = 0
            while not stop.is_set():
                number += 1
                http.post("/api/comments", json={"text": str(number), "username": "Human", "color": "169080199"})

    poster = Thread(target=keep_posting)
    poster.start()
    try:
        run_in(server.directory, BACKUP)
    finally:
        stop.set()
        poster.join()
    posted = texts(server)
    server.kill()
    run_in(server.directory, RESTORE)
    server.start()
    copied = texts(server)
    assert copied == posted[: len(copied)]
    assert len(copied) >= 1


def test_p5_after_a_restore_no_reader_takes_new_messages_for_ones_it_has(start_server: StartServer, run_in: RunIn) -> None:
    """Even after a kill that left the log, and as many new commits as were lost."""
    server = start_server()
    post(server, "kept")
    run_in(server.directory, BACKUP)
    post(server, "lost")
    token = server.http.get("/api/comments").headers["etag"]
    server.kill()

    run_in(server.directory, RESTORE)

    server.start()
    assert texts(server) == ["kept"]
    post(server, "new")
    answer = server.http.get("/api/comments", headers={"If-None-Match": token})
    assert answer.status_code == 200
    assert texts(server, changedAfter=int(token.strip('"'))) == ["new"]
    server.restart()
    assert texts(server) == ["kept", "new"]
