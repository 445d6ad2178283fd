"""A full disk, simulated by a limit on the size of the server's files (RLIMIT_FSIZE)."""

import resource
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from calls import a_post, assert_problem, claim, post, queue, read, said

from servers import Server, until

pytestmark = pytest.mark.needs("own disk")


def set_room(server: Server, size: int) -> None:
    """Let none of the server's files grow beyond ``size``."""
    _, most = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, most))


class Full(NamedTuple):
    """A server whose disk is full, with a message pending and one held."""

    server: Server
    pending: str
    held: str


@pytest.fixture
def full(server: Server) -> Iterator[Full]:
    pending, held = post(server, "pending")["id"], post(server, "held")["id"]
    claim(server, held)
    set_room(server, 1)
    yield Full(server, pending, held)
    set_room(server, resource.RLIM_INFINITY)
    until(lambda: server.http.get("/readyz").status_code == 200, "readiness")


def test_p1_a_full_disk_refuses_every_change_and_reads_still_work(full: Full) -> None:
    server, pending, held = full
    before = read(server, order="asc")
    for _ in range(3):
        assert_problem(server.http.post("/api/comments", json=a_post("no room")), 503, "could not be written")
        assert_problem(queue(server, "claim", messageId=pending, workerId="worker-2"), 503, "could not be written")
        assert_problem(queue(server, "complete", messageId=held, reply={"text": "no room"}), 503, "could not be written")
        assert read(server, order="asc") == before
    assert said(server.http.get("/healthz")) == {"status": "alive"}
    assert server.is_running


def test_p8_the_readiness_probe_reports_a_full_disk(full: Full) -> None:
    server = full.server
    assert said(server.http.get("/readyz")) == {"status": "ready"}
    server.http.post("/api/comments", json=a_post("no room"))
    assert_problem(server.http.get("/readyz"), 503, "the last commit failed")


def test_p1_once_there_is_room_changes_are_taken_and_everything_acknowledged_is_there(full: Full) -> None:
    server = full.server
    before = read(server, order="asc")
    server.http.post("/api/comments", json=a_post("no room"))
    set_room(server, resource.RLIM_INFINITY)
    posted = post(server, "there is room again")
    said(queue(server, "complete", messageId=full.held, reply={"text": "Because."}))
    assert said(server.http.get("/readyz")) == {"status": "ready"}
    after = read(server, order="asc")
    assert [message["id"] for message in after[: len(before)]] == [message["id"] for message in before]
    assert [message["text"] for message in after[len(before) :]] == ["there is room again", "Because."]
    assert after[len(before)]["id"] == posted["id"]
    server.restart()
    assert read(server, order="asc") == after


def test_p7_a_post_repeated_after_a_full_disk_makes_one_message(full: Full) -> None:
    server = full.server
    headers = {"Idempotency-Key": "tried while the disk was full"}
    assert_problem(server.http.post("/api/comments", json=a_post("insisting"), headers=headers), 503)
    set_room(server, resource.RLIM_INFINITY)
    first = said(server.http.post("/api/comments", json=a_post("insisting"), headers=headers))
    assert said(server.http.post("/api/comments", json=a_post("insisting"), headers=headers)) == first
    assert [message["text"] for message in read(server)].count("insisting") == 1


def test_p8_the_server_is_ready_again_without_a_write_once_there_is_room(full: Full) -> None:
    """A balancer sends nothing to a server that is not ready, so it cannot take a caller's write to become ready."""
    server = full.server
    assert_problem(server.http.post("/api/comments", json=a_post("no room")), 503)
    assert_problem(server.http.get("/readyz"), 503)
    set_room(server, resource.RLIM_INFINITY)
    until(lambda: server.http.get("/readyz").status_code == 200, "readiness")
