"""After a restore, readers and bots who knew the lost wall are recognised as of another time (P3, P5)."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_backup_restore import POST, ran
from websockets.sync.client import connect

from saywhatwant.queue.restores import LOST_ATTEMPTS
from servers import DEADLINE_SECONDS, Server

TOPOLOGIES = ["single", "per-entity", "hybrid"]
Fields = dict[str, Any]


@pytest.fixture(params=TOPOLOGIES)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path, topology=request.param, lease_seconds=3_600) as started:
        yield started


def post(server: Server, text: str, entity: str = "zen") -> str:
    answer = server.http.post("/api/comments", json=POST | {"text": text, "botParams": {"entity": entity}})
    return str(answer.raise_for_status().json()["id"])


def call(server: Server, name: str, **body: object) -> Any:
    return server.http.post(f"/api/queue/{name}", json=body)


def claim(server: Server, message_id: str, worker: str = "bot") -> int:
    answer = call(server, "claim", messageId=message_id, workerId=worker).raise_for_status()
    return int(answer.json()["message"]["botParams"]["attempt"])


def answer(server: Server, message_id: str, text: str, worker: str = "bot") -> None:
    attempt = claim(server, message_id, worker)
    call(server, "complete", messageId=message_id, workerId=worker, attempt=attempt, reply={"text": text}).raise_for_status()


def token(server: Server) -> str:
    return str(server.http.get("/api/comments").headers["etag"]).strip('"')


def lose_disk(server: Server) -> None:
    """Restore the backup that was made."""
    server.kill()
    shutil.rmtree(server.data)
    ran(server.directory, "restore", "--from", "backup", "--data", "data", topology="single")
    server.start()


def back_up(server: Server) -> None:
    ran(server.directory, "backup", "--data", "data", "--to", "backup")


class Reader:
    """What a client knows that keeps messages by id, takes later states, and forgets all where it must."""

    def __init__(self) -> None:
        self.known: dict[str, Fields] = {}
        self.token: str | int = 0
        self.resets = 0

    def take(self, messages: list[Fields], *, reset: bool) -> None:
        if reset:
            self.known.clear()
            self.resets += 1
        for message in messages:
            known = self.known.get(message["id"])
            if known is None or message["seq"] > known["seq"]:
                self.known[message["id"]] = message

    def poll(self, server: Server) -> None:
        """Pages of two by ``changedAfter``."""
        more = True
        while more:
            answer = server.http.get("/api/comments", params={"changedAfter": self.token, "limit": 2}).raise_for_status()
            self.take(answer.json(), reset="sww-reset" in answer.headers)
            self.token = answer.headers["etag"].strip('"')
            more = "link" in answer.headers

    def listen(self, server: Server) -> None:
        """What was missed, by WebSocket."""
        url = f"ws{server.url.removeprefix('http')}/api/ws?since={self.token}"
        with connect(url, proxy=None, open_timeout=DEADLINE_SECONDS) as socket:
            more = True
            while more:
                frame = json.loads(socket.recv(DEADLINE_SECONDS))
                self.take([event["message"] for event in frame["events"]], reset=frame.get("reset", False))
                self.token = frame["seq"]
                more = frame.get("more", False)


WAYS: list[Callable[[Reader, Server], None]] = [Reader.poll, Reader.listen]


def on_the_wall(server: Server) -> dict[str, Fields]:
    return {message["id"]: message for message in server.http.get("/api/comments").raise_for_status().json()}


@pytest.mark.parametrize("read", WAYS, ids=["polling", "socket"])
def test_p5_who_knew_lost_commits_forgets_them_and_gets_all_again(
    server: Server, read: Callable[[Reader, Server], None]
) -> None:
    """Also an answer that it saw, to a message that waits again; and who knew none is not disturbed."""
    question = post(server, "asked before")
    for number in range(3):
        post(server, f"said before {number}", "rude")
    too_early, ahead, level = Reader(), Reader(), Reader()
    read(too_early, server)
    back_up(server)
    read(level, server)
    answer(server, question, "lost answer")
    post(server, "lost")
    read(ahead, server)
    assert len(ahead.known) == 6
    lose_disk(server)
    for _ in range(2):
        for reader in (too_early, level, ahead):
            read(reader, server)
            assert reader.known == on_the_wall(server)
        answer(server, post(server, "new"), "new answer")
    answer(server, question, "another answer")
    read(ahead, server)
    assert ahead.known == on_the_wall(server)
    assert [reader.resets for reader in (too_early, level, ahead)] == [0, 0, 1]


@pytest.mark.parametrize("read", WAYS, ids=["polling", "socket"])
def test_p5_each_of_several_restores_is_another_time(server: Server, read: Callable[[Reader, Server], None]) -> None:
    """Of one backup, and of a backup that was made of a restored wall."""
    post(server, "kept")
    back_up(server)
    readers: list[Reader] = []
    for number in range(3):
        post(server, f"lost {number}")
        readers.append(Reader())
        for reader in readers:
            read(reader, server)
            assert reader.known == on_the_wall(server)
        if number == 1:
            shutil.rmtree(server.directory / "backup")
            back_up(server)
            post(server, "lost after the second backup")
            for reader in readers:
                read(reader, server)
        lose_disk(server)
    for reader in readers:
        read(reader, server)
        assert reader.known == on_the_wall(server)
    assert [reader.resets for reader in readers] == [3, 2, 1]


def test_p3_no_attempt_of_the_lost_wall_is_taken_for_one_of_the_restored(server: Server) -> None:
    """Though both bots have the same name, and began as many attempts."""
    pending, held = post(server, "waits"), post(server, "held")
    assert claim(server, held) == 1
    back_up(server)
    assert claim(server, pending) == 1
    call(server, "release", messageId=held, workerId="bot", attempt=1).raise_for_status()
    assert claim(server, held) == 2
    lose_disk(server)
    assert claim(server, pending) == 1 + LOST_ATTEMPTS
    late = call(server, "complete", messageId=pending, workerId="bot", attempt=1, reply={"text": "of another time"})
    assert late.status_code == 409
    assert "attempt 1 is over" in late.json()["detail"]
    # What was held when the backup was made is held by the same bot: it may go on.
    assert call(server, "extend", messageId=held, workerId="bot", attempt=1).status_code == 200
    call(server, "release", messageId=held, workerId="bot", attempt=1).raise_for_status()
    assert claim(server, held) == 1 + LOST_ATTEMPTS
    assert claim(server, post(server, "new")) == 1
    for message_id in (pending, held):
        done = call(
            server,
            "complete",
            messageId=message_id,
            workerId="bot",
            attempt=1 + LOST_ATTEMPTS,
            reply={"text": "an answer"},
        )
        assert done.status_code == 200, done.text
