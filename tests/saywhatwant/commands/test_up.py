"""``sww up``: its bot keeps answering after any error (P4)."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from conftest import StartServer
from servers import Server, until

TOKEN = "0123456789abcdef"  # noqa: S105 - of a server that lives for one test
PATCH = """
import sys
from functools import wraps
from pathlib import Path

import saywhatwant.commands.supervisor as supervisor
from saywhatwant.bot import Bot
from saywhatwant.bot.line import Line
from saywhatwant.queue import MessageQueue

supervisor.RESTART_SECONDS = 0.1


def replace(kind, name):
    as_it_is = getattr(kind, name)

    @wraps(as_it_is)
    def faulty(*arguments, **named):
        if (order := Path("fault")).exists() and order.read_text() == name:
            order.unlink()
            raise ZeroDivisionError("broken")
        return as_it_is(*arguments, **named)

    setattr(kind, name, faulty)


replace(Line, "set_hands")
replace(Bot, "release_held")
replace(MessageQueue, "complete")
"""
"""Loaded by every Python that has it in its path: a file ``fault`` names the function that raises next, once."""


@pytest.fixture
def faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text(PATCH)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)


def cause_fault(server: Server, name: str) -> None:
    """Make that function raise once, and wait until it has."""
    order = server.directory / "fault"
    order.write_text(name)
    post(server, f"fault {name}")
    until(lambda: not order.exists(), "the error")


def post(server: Server, text: str) -> str:
    body = {"text": text, "username": "Human", "color": "169080199", "botParams": {"entity": "zen"}}
    return str(server.http.post("/api/comments", json=body).raise_for_status().json()["id"])


def until_answered(server: Server) -> None:
    asked = post(server, "Are you there?")
    until(lambda: any(message["replyTo"] == asked for message in server.http.get("/api/comments").json()), "the answer")
    until(lambda: server.http.get("/api/stats").json()["backlog"] == 0, "an answer to everything")


@pytest.mark.usefixtures("faults")
def test_p4_a_bot_that_an_unexpected_error_ended_is_started_again_and_logged(start_server: StartServer) -> None:
    server = start_server(command="up")
    until_answered(server)
    cause_fault(server, "set_hands")
    until_answered(server)
    assert "the bot has stopped and is restarted" in server.log
    assert "ZeroDivisionError: broken" in server.log
    assert server.terminate() == 0


@pytest.mark.usefixtures("faults")
def test_p4_a_bot_that_cannot_even_begin_is_started_again(tmp_path: Path) -> None:
    directory = tmp_path / "server"
    directory.mkdir()
    (directory / "fault").write_text("release_held")
    with Server(directory, command="up") as server:
        until_answered(server)
        assert not (directory / "fault").exists()


@pytest.mark.usefixtures("faults")
def test_p4_the_bot_works_again_after_its_log_could_not_be_written(start_server: StartServer, tmp_path: Path) -> None:
    """The reader of its standard error has gone, and the server fails on an answer, which the bot logs."""
    with _reader_that_leaves(tmp_path / "pipe") as through:
        server = start_server(command="up")
        server.kill()
        server.start(through=through)
        until_answered(server)
        cause_fault(server, "complete")
        until_answered(server)
        assert server.is_running


@contextmanager
def _reader_that_leaves(pipe: Path) -> Iterator[tuple[str, ...]]:
    """A command that passes on the first line of another's standard error, then closes the pipe."""
    script = 'exec 3>&2; mkfifo "$0"; { sed -u 1q <"$0" >&3; rm "$0"; } & exec "$@" 2>"$0" 3>&-'
    yield "bash", "-c", script, str(pipe)


def test_p8_up_that_listens_everywhere_sends_no_proxy_its_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with _proxy() as (url, received):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        server = Server(tmp_path, command="up", bot_token=TOKEN)
        server._bind = "0.0.0.0:0"
        with server:
            until_answered(server)
        assert received == []


@contextmanager
def _proxy() -> Iterator[tuple[str, list[bytes]]]:
    """The address of a proxy that records what it receives and answers nothing."""
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def listen() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    received.append(connection.recv(65_536))

        Thread(target=listen, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", received
        listening.shutdown(socket.SHUT_RDWR)
