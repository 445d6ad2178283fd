"""``sww up``: its bot goes on answering, whatever happens to it (P4)."""

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
STRIKES = """
import sys
from pathlib import Path

import saywhatwant.commands.supervisor as supervisor
from saywhatwant.bot import Bot
from saywhatwant.bot.claims import Claims
from saywhatwant.queue import MessageQueue

supervisor.RESTART_SECONDS = 0.1


def strike(kind, name):
    as_it_is = getattr(kind, name)

    def struck(*arguments, **named):
        if (order := Path("strike")).exists() and order.read_text() == name:
            order.unlink()
            raise ZeroDivisionError("struck")
        return as_it_is(*arguments, **named)

    struck.__name__ = name
    setattr(kind, name, struck)


strike(Claims, "start")
strike(Bot, "release_held")
strike(MessageQueue, "claim_next")
"""
"""Loaded by every Python that has it in its path: a file ``strike`` names what breaks next, once."""


@pytest.fixture
def strikes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text(STRIKES)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)


def strike(server: Server, name: str) -> None:
    """Break that, and see that it broke."""
    order = server.directory / "strike"
    order.write_text(name)
    ask(server, f"strike {name}")
    until(lambda: not order.exists(), "the strike")


def ask(server: Server, text: str) -> str:
    body = {"text": text, "username": "Human", "color": "169080199", "botParams": {"entity": "zen"}}
    return str(server.http.post("/api/comments", json=body).raise_for_status().json()["id"])


def until_answered(server: Server) -> None:
    asked = ask(server, "Are you there?")
    until(lambda: any(message["replyTo"] == asked for message in server.http.get("/api/comments").json()), "the answer")
    until(lambda: server.http.get("/api/stats").json()["backlog"] == 0, "an answer to everything")


@pytest.mark.usefixtures("strikes")
def test_p4_a_bot_that_something_unexpected_has_ended_is_started_again_and_that_is_told(start_server: StartServer) -> None:
    server = start_server(command="up")
    until_answered(server)
    strike(server, "start")
    until_answered(server)
    assert "the bot has stopped and is started again" in server.log
    assert "ZeroDivisionError: struck" in server.log
    assert server.terminate() == 0


@pytest.mark.usefixtures("strikes")
def test_p4_one_that_can_not_even_begin_is_started_again_too(tmp_path: Path) -> None:
    directory = tmp_path / "server"
    directory.mkdir()
    (directory / "strike").write_text("release_held")
    with Server(directory, command="up") as server:
        until_answered(server)
        assert not (directory / "strike").exists()


@pytest.mark.usefixtures("strikes")
def test_p4_ups_bot_works_again_after_its_log_could_not_be_written(start_server: StartServer, tmp_path: Path) -> None:
    """Whoever read its standard error has gone, and the server refuses a claim, which the bot wants to tell."""
    with _reader_that_leaves(tmp_path / "pipe") as through:
        server = start_server(command="up")
        server.kill()
        server.start(through=through)
        until_answered(server)
        strike(server, "claim_next")
        until_answered(server)
        assert server.is_running


@contextmanager
def _reader_that_leaves(pipe: Path) -> Iterator[tuple[str, ...]]:
    """A command that has another say the first line on its standard error as usual; from then on nobody hears it."""
    script = 'exec 3>&2; mkfifo "$0"; { sed -u 1q <"$0" >&3; rm "$0"; } & exec "$@" 2>"$0" 3>&-'
    yield "bash", "-c", script, str(pipe)


def test_p8_up_that_listens_everywhere_answers_and_tells_no_proxy_its_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _proxy() as (url, heard):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        server = Server(tmp_path, command="up", bot_token=TOKEN)
        server._bind = "0.0.0.0:0"
        with server:
            until_answered(server)
        assert heard == []


@contextmanager
def _proxy() -> Iterator[tuple[str, list[bytes]]]:
    """The address of a proxy that keeps what it hears, and answers nothing."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def listen() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    heard.append(connection.recv(65_536))

        Thread(target=listen, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", heard
        listening.shutdown(socket.SHUT_RDWR)
