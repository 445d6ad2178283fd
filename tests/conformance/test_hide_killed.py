"""SIGKILL at the system calls of a hide: the message is hidden or it is not, and its work has ended or goes on (P1, P4)."""

from collections.abc import Iterator

import httpx
import pytest
from calls import claim, message, post, queue, read, said

import strace
from conftest import MakeServer
from servers import Server, until

pytestmark = [pytest.mark.needs("own disk"), pytest.mark.needs("durability")]

TEXT = "a sentence that nobody may read"
MOMENTS = [*(("fdatasync", number) for number in (1, 2)), *(("pwrite64", number) for number in (1, 2, 4, 7))]
"""The system calls of the thread that writes. A hide is one commit, and one or two more where other objects take part."""


@pytest.fixture(scope="module")
def wall(make_server: MakeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with make_server(tmp_path_factory.mktemp("killed"), retention=100_000) as server:
        yield server


def is_hidden_by(server: Server, message_id: str) -> bool:
    """Hide a message; returns whether that was answered."""
    try:
        said(server.http.post("/api/moderation/hide", json={"messageId": message_id, "reason": "rude"}))
    except httpx.TransportError:
        return False
    return True


def start_if_dead(server: Server) -> None:
    """A hide may take fewer calls; what follows its answer may take more."""
    try:
        server.http.get("/healthz")
    except httpx.TransportError:
        until(lambda: not server.is_running, "the end of the process")
        server.start()


@pytest.mark.parametrize(("call", "number"), MOMENTS, ids=[f"{call} {number}" for call, number in MOMENTS])
def test_p1_p4_a_hide_that_is_killed_has_happened_or_not(wall: Server, call: str, number: int) -> None:
    pending, held = post(wall, TEXT, entity="zen")["id"], post(wall, TEXT, entity="rude")["id"]
    attempt = claim(wall, held)["botParams"]["attempt"]
    neighbor = post(wall, "neighbor", entity="zen")["id"]

    for asked in (pending, held):
        with strace.killing(wall.pid, call, number):
            answered = is_hidden_by(wall, asked)
        start_if_dead(wall)
        shown = message(wall, asked)
        if "hidden" in shown:
            assert shown["text"] == ""
            found = said(wall.http.get("/api/moderation/hidden", params={"messageId": asked}))
            assert (found["text"], found["reason"]) == (TEXT, "rude")
        else:
            assert not answered
            assert shown["text"] == TEXT
            assert shown["botParams"]["status"] in {"pending", "processing"}
        again = said(wall.http.post("/api/moderation/hide", json={"messageId": asked}))["message"]
        assert (again["text"], again["botParams"]["status"]) == ("", "failed")

    late = queue(wall, "complete", messageId=held, workerId="worker-1", attempt=attempt, reply={"text": "Because."})
    assert late.status_code == 409
    assert claim(wall, neighbor)["text"] == "neighbor"
    assert [one for one in read(wall) if one["replyTo"] in {pending, held}] == []
    assert queue(wall, "claim", messageId=pending, workerId="worker-1").status_code == 409
