"""The commands for backup and restore that the guide and the README of a backup show, run exactly as shown."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import httpx
import pytest

from conftest import StartServer
from documents import blocks
from servers import DEADLINE_SECONDS, SWW, Server, until

BACKUP, FOLLOW, RESTORE, FORGET = (block.text for block in blocks("docs/backup.md"))
SHELL = f"""#!{sys.executable}
import sqlite3, sys
file, statement = sys.argv[1:]
for row in sqlite3.connect(file, isolation_level=None).execute(statement):
    print(*row, sep="|")
"""
"""The part of SQLite's shell that the README of a backup uses."""

PATH = os.pathsep.join([str(SWW.parent), os.environ["PATH"]])
"""With this program."""

RunIn = Callable[[Path, str], str]


@pytest.fixture
def run_in(tmp_path: Path) -> RunIn:
    """Run commands in a directory; stop at the first that fails."""
    shell = tmp_path / "bin" / "sqlite3"
    shell.parent.mkdir()
    shell.write_text(SHELL)
    shell.chmod(0o755)
    path = os.pathsep.join([str(shell.parent), PATH])

    def run(directory: Path, commands: str) -> str:
        command = ["sh", "-e", "-c", commands]
        environment = os.environ | {"PATH": path}
        done = subprocess.run(
            command, cwd=directory, env=environment, check=True, capture_output=True, text=True, timeout=DEADLINE_SECONDS
        )
        return done.stdout

    return run


def post(server: Server, text: str) -> None:
    body = {"text": text, "username": "Human", "color": "169080199"}
    server.http.post("/api/comments", json=body).raise_for_status()


def texts(server: Server, **query: int) -> list[str]:
    messages = server.http.get("/api/comments", params=query or {"order": "asc"}).raise_for_status().json()
    return [message["text"] for message in messages]


def take_over(server: Server, run_in: RunIn, *, by: str = RESTORE, made: str = "restored") -> None:
    """Start the server on what these commands make."""
    run_in(server.directory, by)
    shutil.rmtree(server.data)
    (server.directory / made).rename(server.data)
    server.start()


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
    take_over(server, run_in)
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
    take_over(server, run_in)
    assert texts(server) == ["kept"]
    post(server, "new")
    answer = server.http.get("/api/comments", headers={"If-None-Match": token})
    assert answer.status_code == 200
    answer = server.http.get("/api/comments", params={"changedAfter": token.strip('"')})
    assert answer.headers["sww-reset"] == "true"
    assert [message["text"] for message in answer.json()] == ["kept", "new"]
    server.restart()
    assert texts(server) == ["kept", "new"]


def test_p1_the_readme_of_a_backup_says_how_to_restore_it_without_this_program(
    start_server: StartServer, run_in: RunIn
) -> None:
    server = start_server()
    post(server, "erased later")
    post(server, "kept")
    run_in(server.directory, BACKUP)
    post(server, "lost")
    token = server.http.get("/api/comments").headers["etag"]
    (message_id,) = [one["id"] for one in server.http.get("/api/comments").json() if one["text"] == "erased later"]
    server.http.post("/api/moderation/erase", json={"messageId": message_id}).raise_for_status()
    run_in(server.directory, BACKUP.replace("monday", "tuesday"))
    server.kill()
    backup = server.directory / "copies" / "monday"
    with_us, checks, by_hand = re.findall(r"(?:^    .*\n)+", (backup / "README.txt").read_text(), re.MULTILINE)
    assert "sww" in with_us
    assert "sww" not in checks + by_hand
    digest, integrity, *messages = run_in(backup, checks).splitlines()
    assert digest.split()[0] == json.loads((backup / "manifest.json").read_text())["sha256"]
    assert integrity == "ok"
    assert [json.loads(message)["text"] for message in messages] == ["erased later", "kept"]
    (restore, serve) = with_us.splitlines()
    run_in(backup, restore)
    assert serve.split() == ["SWW_TOPOLOGY=single", "sww", "serve", "--data", "../restored"]

    run_in(backup, by_hand.replace("erased.json", "../tuesday/erased.json"))
    shutil.move(backup.parent / "by-hand", server.directory)
    take_over(server, run_in, by="true", made="by-hand")

    assert texts(server) == ["", "kept"]
    post(server, "new")
    assert server.http.get("/api/comments", headers={"If-None-Match": token}).status_code == 200
    answer = server.http.get("/api/comments", params={"changedAfter": token.strip('"')})
    assert answer.headers["sww-reset"] == "true"
    assert sorted(message["text"] for message in answer.json()) == ["", "kept", "new"]
    server.restart()
    assert texts(server) == ["", "kept", "new"]
    assert server.http.get("/api/comments", params={"changedAfter": answer.headers["etag"].strip('"')}).json() == []
    assert not (server.data / "erased.json").exists()


def test_forget_as_it_is_shown_leaves_no_byte_of_an_erased_text(start_server: StartServer, run_in: RunIn) -> None:
    server = start_server()
    post(server, "a text that is erased")
    run_in(server.directory, BACKUP.replace("monday", "all/monday"))
    (message,) = server.http.get("/api/comments").json()
    answer = server.http.post("/api/moderation/erase", json={"messageId": message["id"]}).raise_for_status().json()
    copies = server.directory / "copies" / "all"
    assert answer["left"] == (
        f"backups from before still have it, the last ones in {copies / 'monday'}: sww forget removes it from them"
    )
    assert b"a text that is erased" in (copies / "monday" / "objects.sqlite3").read_bytes()
    assert run_in(server.directory, FORGET) == f"monday was written again; erased in it: {message['id']}\n"
    assert not [path for path in copies.rglob("*") if path.is_file() and b"a text that is erased" in path.read_bytes()]


def test_p1_the_command_that_backs_up_all_the_time_runs_until_it_is_stopped(start_server: StartServer, run_in: RunIn) -> None:
    server = start_server()
    post(server, "kept")
    copies = server.directory / "copies" / "all"
    with subprocess.Popen(["sh", "-c", f"exec {FOLLOW}"], cwd=server.directory, env=os.environ | {"PATH": PATH}) as process:
        until(lambda: copies.exists() and list(copies.glob("*/manifest.json")), "the first backup")
        post(server, "kept too")
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 0
    server.kill()
    take_over(server, run_in, by=RESTORE.replace("copies/monday", "copies/all"))
    assert texts(server) == ["kept", "kept too"]
