"""P1: no answer leaves the server before the change that it reports is on the disk, as strace sees it."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from calls import answer, claim, post, queue, said

from conftest import MakeServer
from servers import Server, until
from strace import Call, command, parse

pytestmark = pytest.mark.needs("own disk")

CALLS = ("fdatasync", "fsync", "pwrite64", "read", "recvfrom", "write", "writev", "sendto", "sendmsg")
WRITES = ("POST /api/comments", "POST /api/queue/claim", "POST /api/queue/complete", "POST /api/queue/fail")


@pytest.fixture
def traced(make_server: MakeServer, tmp_path: Path) -> "TracedServer":
    return TracedServer(tmp_path, make_server)


class TracedServer:
    """A server and the system calls that it has made."""

    def __init__(self, directory: Path, make_server: MakeServer) -> None:
        self._trace = directory / "trace"
        self.server = make_server(directory, rate_limit=0)

    def __enter__(self) -> Server:
        self.server.start(through=command(self._trace, *CALLS, characters=5_000))
        return self.server

    def __exit__(self, *_: object) -> None:
        self.server.kill()

    def calls(self) -> list[Call]:
        return parse(self._trace.read_text())

    def wait_for_successes(self, count: int) -> None:
        until(lambda: sum(map(is_success, self.calls())) >= count, f"the trace of {count} answers")


def is_request(call: Call) -> bool:
    return call.name in {"read", "recvfrom"} and any(f'"{write} ' in call.text for write in WRITES)


def is_success(call: Call) -> bool:
    return call.text.startswith(("write", "send")) and "HTTP/1.1 200 " in call.text


def is_write_of_the_log(call: Call) -> bool:
    return re.match(r"pwrite64\(\d+<[^>]*-wal>", call.text) is not None


def change_everything(server: Server) -> None:
    """Send ten requests in sequence, each of which changes something."""
    first, second, third = (post(server, text)["id"] for text in ("one", "two", "three"))
    claim(server, first)
    said(queue(server, "complete", messageId=first, workerId="worker-1", attempt=1, reply={"text": "Because."}))
    claim(server, second)
    said(answer(server, second))
    said(queue(server, "complete", messageId=second, workerId="worker-1", attempt=1))
    claim(server, third)
    said(queue(server, "fail", messageId=third, workerId="worker-1", attempt=1, error="no"))


def test_p1_between_every_kind_of_change_and_its_answer_the_log_is_synced(traced: TracedServer) -> None:
    with traced as server:
        change_everything(server)
        traced.wait_for_successes(10)
    calls = traced.calls()
    requests = [call for call in calls if is_request(call)]
    answers = [call for call in calls if is_success(call)]
    assert len(requests) == len(answers) == 10
    for request, answered in zip(requests, answers, strict=True):
        between = [call for call in calls if request.ended < call.began and call.ended < answered.began]
        assert any(call.is_sync_of_the_log for call in between), f"nothing was synced between {request.text[:60]} and its 200"


def test_p1_among_many_clients_an_answer_waits_for_the_sync_of_its_own_commit(traced: TracedServer) -> None:
    """A sync of somebody else's commit is always near, and must not let an answer out."""
    with traced as server:
        with ThreadPoolExecutor(8) as clients:
            ids = [posted["id"] for posted in clients.map(lambda n: post(server, f"number {n}"), range(80))]
        traced.wait_for_successes(len(ids))
    calls = traced.calls()
    syncs = [call for call in calls if call.is_sync_of_the_log]
    for message_id in ids:
        answered = next(call for call in calls if is_success(call) and message_id in call.text)
        written = next(call for call in calls if is_write_of_the_log(call) and message_id in call.text)
        assert any(written.ended < sync.began and sync.ended < answered.began for sync in syncs), f"{message_id} was not synced"
