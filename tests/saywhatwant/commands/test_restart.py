"""``sww serve --restart-on HUP``: servers follow each other on one socket, and nobody loses a request, a post or an event."""

import os
import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from calls import post, read, said
from readers import Feed
from tokens import Token
from visitors import Visitors, connections_of, lasting_client

from children import alive, descendants
from servers import READY, Server, until

REPLACED = "serve --restart-on HUP"
RESTARTS = 4


def starts(server: Server) -> int:
    """How many servers have been ready."""
    return server.log.count(READY)


def restart(server: Server) -> None:
    before = starts(server)
    os.kill(server.pid, signal.SIGHUP)
    until(lambda: starts(server) > before, "the next server")


def test_p1_p4_p5_restarts_under_load_fail_no_request_double_no_message_and_skip_no_event(tmp_path: Path) -> None:
    with Server(tmp_path, command=REPLACED, retention=100_000) as server, Visitors(server, people=20) as visitors:
        for number in range(1, RESTARTS + 1):
            until(lambda number=number: visitors.errors or len(visitors.posted) >= 150 * number, "posts")  # type: ignore[misc]
            restart(server)
        visitors.stop_posting()
        until(lambda: said(server.http.get("/api/stats"))["backlog"] == 0, "the answers")
        wall = {message["id"]: message for message in read(server)}
        last = Token(max(message["seq"] for message in wall.values()))
        for reader in visitors.readers:
            reader.until_token(last)
            assert reader.view.messages == wall
        assert visitors.errors == []
        people = Counter(message["text"] for message in wall.values() if message["messageType"] == "human")
        assert set(people.values()) == {1}
        assert len(set(visitors.posted)) == len(visitors.posted) == len(people)
        assert set(visitors.posted) <= wall.keys()
        answered = Counter(message["replyTo"] for message in wall.values() if message["replyTo"] is not None)
        assert answered == dict.fromkeys(visitors.asked, 1)
        assert set(visitors.close_codes) == {1_012}
        assert starts(server) == RESTARTS + 1


def test_an_open_connection_goes_on_and_a_reader_is_asked_to_come_back(tmp_path: Path) -> None:
    with Server(tmp_path, command=REPLACED) as server:
        server.http = lasting_client(server.url)
        before = post(server)
        (connection,) = connections_of(server.http)
        with Feed(server) as feed:
            feed.missed()
            restart(server)
            assert feed.close_code() == 1_012
        after = post(server)
        assert connections_of(server.http) == [connection]
        with Feed(server, feed.view.token) as feed:
            assert [message["id"] for message in feed.missed()] == [after["id"]]
        assert {message["id"] for message in read(server)} == {before["id"], after["id"]}
        assert server.terminate() == 0


BROKEN = "raise ZeroDivisionError('half an upgrade')"


def test_a_server_that_cannot_load_its_code_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = tmp_path / "modules"
    modules.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(modules), prepend=os.pathsep)
    with Server(tmp_path, command=REPLACED) as server:
        post(server)
        (running,) = descendants(server.pid)
        (modules / "uvicorn.py").write_text(BROKEN)
        os.kill(server.pid, signal.SIGHUP)
        until(lambda: "the next server has ended while it loaded its code" in server.log, "the end of the next server")
        assert "half an upgrade" in server.log
        assert alive({running}) == {running}
        post(server)
        (modules / "uvicorn.py").unlink()
        restart(server)
        post(server)
        assert len(read(server)) == 3


def test_the_server_ends_with_its_parent_however_that_ends(tmp_path: Path) -> None:
    with Server(tmp_path, command=REPLACED) as server:
        post(server)
        children = descendants(server.pid)
        assert children
        server.kill()
        until(lambda: not alive(children), "the end of the server")
        server.start()
        assert len(read(server)) == 1


def test_the_parent_ends_with_a_server_that_ends_by_itself(tmp_path: Path) -> None:
    with Server(tmp_path, command=REPLACED) as server:
        for child in descendants(server.pid):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        until(lambda: not server.is_running, "the end of the parent")
