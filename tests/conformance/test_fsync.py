"""Between each request that changes something and its 200 the log is synced, as strace sees it."""

import shutil
from pathlib import Path

import pytest
from calls import answer, claim, post, queue, said
from strace import Call, command, parse

from servers import Server, until

WRITES = ("POST /api/comments", "POST /api/queue/claim", "POST /api/queue/complete", "POST /api/queue/fail")


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


def is_request(call: Call) -> bool:
    return call.text.startswith(("read(", "recvfrom(")) and any(f'"{write} ' in call.text for write in WRITES)


def is_success(call: Call) -> bool:
    return call.text.startswith(("write", "send")) and "HTTP/1.1 200 " in call.text


def test_p1_between_every_change_and_its_200_the_log_is_synced(runtime: str, tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.fail("strace is needed to see when the disk is synced: apt-get install strace")
    trace = tmp_path / "trace"
    server = Server(tmp_path, runtime=runtime)
    try:
        server.start(through=command(trace))
        change_everything(server)
        until(lambda: sum(map(is_success, parse(trace.read_text()))) == 10, "the trace of ten answers")
    finally:
        server.kill()
    calls = parse(trace.read_text())
    requests = [call for call in calls if is_request(call)]
    answers = [call for call in calls if is_success(call)]
    assert len(requests) == len(answers) == 10
    for request, answered in zip(requests, answers, strict=True):
        between = [call for call in calls if request.ended < call.began and call.ended < answered.began]
        assert any(call.is_sync_of_the_log for call in between), f"nothing was synced between {request.text[:60]} and its 200"
