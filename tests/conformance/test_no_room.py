"""A disk that takes no more, as the system says it: no file of the server's may grow (RLIMIT_FSIZE)."""

import resource

import pytest
from calls import a_post, assert_problem, claim, post, queue, read, said

from conftest import StartServer
from servers import Server, until


def set_room(server: Server, size: int) -> None:
    """Let none of the server's files grow beyond ``size``."""
    _, most = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, most))


@pytest.fixture
def full(start_server: StartServer) -> Server:
    """A server with a message pending and one held, whose disk has become full."""
    server = start_server()
    post(server, "pending")
    claim(server, post(server, "held")["id"])
    set_room(server, 1)
    return server


def test_p1_a_full_disk_refuses_every_change_and_reads_go_on(full: Server) -> None:
    before = read(full, order="asc")
    pending, held = (message["id"] for message in before)
    for _ in range(3):
        assert_problem(full.http.post("/api/comments", json=a_post("no room")), 503, "could not be written")
        assert_problem(queue(full, "claim", messageId=pending, workerId="worker-2"), 503, "could not be written")
        assert_problem(queue(full, "complete", messageId=held, reply={"text": "no room"}), 503, "could not be written")
        assert read(full, order="asc") == before
    assert said(full.http.get("/healthz")) == {"status": "alive"}
    assert full.is_running


def test_p8_the_readiness_probe_tells_of_a_full_disk(full: Server) -> None:
    assert said(full.http.get("/readyz")) == {"status": "ready"}
    full.http.post("/api/comments", json=a_post("no room"))
    assert_problem(full.http.get("/readyz"), 503, "the last commit failed")


def test_p1_once_there_is_room_changes_are_taken_again_and_all_that_was_acknowledged_is_there(full: Server) -> None:
    before = read(full, order="asc")
    full.http.post("/api/comments", json=a_post("no room"))
    set_room(full, resource.RLIM_INFINITY)
    posted = post(full, "there is room again")
    said(queue(full, "complete", messageId=before[1]["id"], reply={"text": "Because."}))
    assert said(full.http.get("/readyz")) == {"status": "ready"}
    after = read(full, order="asc")
    assert [message["text"] for message in after] == ["pending", "held", "there is room again", "Because."]
    assert after[2]["id"] == posted["id"]
    full.restart()
    assert read(full, order="asc") == after


def test_p7_a_post_repeated_after_a_full_disk_makes_one_message(full: Server) -> None:
    headers = {"Idempotency-Key": "tried while the disk was full"}
    assert_problem(full.http.post("/api/comments", json=a_post("insisting"), headers=headers), 503)
    set_room(full, resource.RLIM_INFINITY)
    first = said(full.http.post("/api/comments", json=a_post("insisting"), headers=headers))
    assert said(full.http.post("/api/comments", json=a_post("insisting"), headers=headers)) == first
    assert [message["text"] for message in read(full)].count("insisting") == 1


def test_p8_the_server_is_ready_again_by_itself_once_there_is_room(start_server: StartServer) -> None:
    """A balancer sends nothing to a server that is not ready, so no caller's write can be what makes it ready."""
    server = start_server()
    post(server, "pending")
    set_room(server, 1)
    assert_problem(server.http.post("/api/comments", json=a_post("no room")), 503)
    assert_problem(server.http.get("/readyz"), 503)
    set_room(server, resource.RLIM_INFINITY)
    until(lambda: server.http.get("/readyz").status_code == 200, "readiness")
