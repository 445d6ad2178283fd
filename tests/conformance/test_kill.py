"""SIGKILL under load, again and again; then everything that anybody was told is held against what is there."""

import time
from collections import Counter
from itertools import pairwise
from random import Random

import pytest
from calls import Json, claim, post, queue, read, said
from crowd import HOPELESS, Crowd

from conftest import StartServer
from servers import Server, until

KILLS = 10
SEED = 20251101


class Aftermath:
    """What the crowd was told, and what is on the wall when all work is done."""

    def __init__(self, crowd: Crowd, messages: list[Json]) -> None:
        self.crowd = crowd
        self.messages = messages
        self.by_id = {message["id"]: message for message in messages}
        self.human = [message for message in messages if message["messageType"] == "human"]
        self.replies = [message for message in messages if message["messageType"] == "AI"]


def finished(server: Server) -> bool:
    return bool(said(server.http.get("/api/stats"))["backlog"] == 0)


@pytest.fixture(scope="module")
def aftermath(runtime: str, tmp_path_factory: pytest.TempPathFactory) -> Aftermath:
    """Ten kills at random moments, then time for the bots to finish."""
    random = Random(SEED)
    directory = tmp_path_factory.mktemp("killed")
    with (
        Server(directory, runtime=runtime, lease_seconds=1, backoff_seconds=0.05, max_attempts=5, retention=100_000) as server,
        Crowd(server.url) as crowd,
    ):
        for _ in range(KILLS):
            time.sleep(random.uniform(0.05, 0.6))
            server.restart()
        crowd.stop_posting()
        until(lambda: finished(server), "the end of all work")
        messages = read(server, order="asc")
        until(lambda: len(crowd.paged) >= len(messages), "the reader")
        assert len(read(server)) == len(messages)
    return Aftermath(crowd, messages)


def test_p8_the_crowd_heard_nothing_that_it_should_not(aftermath: Aftermath) -> None:
    assert aftermath.crowd.broken == []
    assert len(aftermath.crowd.posted) > 50
    assert len(aftermath.crowd.completed) > 50


def test_p1_every_acknowledged_post_is_there_as_it_was_acknowledged(aftermath: Aftermath) -> None:
    for text, answer in aftermath.crowd.posted.items():
        message = aftermath.by_id[answer["id"]]
        assert (message["text"], message["timestamp"]) == (text, answer["timestamp"])


def test_p1_every_acknowledged_completion_is_there_with_its_reply(aftermath: Aftermath) -> None:
    for message_id, _, reply_id in aftermath.crowd.completed:
        params = aftermath.by_id[message_id]["botParams"]
        assert (params["status"], params["answeredBy"]) == ("complete", reply_id)
        assert aftermath.by_id[reply_id]["replyTo"] == message_id


def test_p7_no_message_is_there_twice_and_none_that_nobody_posted(aftermath: Aftermath) -> None:
    assert Counter(message["text"] for message in aftermath.human) == Counter(aftermath.crowd.posted.keys())


def test_p5_timestamps_strictly_increase(aftermath: Aftermath) -> None:
    timestamps = [message["timestamp"] for message in aftermath.messages]
    assert all(earlier < later for earlier, later in pairwise(timestamps))


def test_p5_the_reader_saw_every_message_once_and_in_order(aftermath: Aftermath) -> None:
    """And so nothing that a crash took back (P2)."""
    seen = [(message["id"], message["text"], message["timestamp"]) for message in aftermath.crowd.paged]
    assert seen == [(message["id"], message["text"], message["timestamp"]) for message in aftermath.messages]


def test_p2_no_commit_that_the_reader_saw_was_taken_back(aftermath: Aftermath) -> None:
    etags = aftermath.crowd.etags
    assert all(earlier <= later for earlier, later in pairwise(etags))


def test_p3_no_attempt_was_ever_given_to_two_bots(aftermath: Aftermath) -> None:
    holds = Counter(aftermath.crowd.claimed)
    assert [hold for hold, times in holds.items() if times > 1] == []
    completions = Counter(message_id for message_id, _, _ in aftermath.crowd.completed)
    assert [message_id for message_id, times in completions.items() if times > 1] == []


def test_p4_every_message_ends_with_one_reply_or_as_failed_with_its_reason(aftermath: Aftermath) -> None:
    answers = Counter(reply["replyTo"] for reply in aftermath.replies)
    for message in aftermath.human:
        params = message["botParams"]
        if params["status"] == "complete":
            assert answers.pop(message["id"]) == 1
            assert HOPELESS not in message["text"]
        else:
            assert params["status"] == "failed"
            assert params["error"]
            assert message["id"] not in answers
    assert not answers, "a reply to nothing"


def test_p6_unfinished_work_of_every_kind_is_there_after_a_kill(start_server: StartServer) -> None:
    server = start_server(backoff_seconds=60)
    held, backing_off, _ = (post(server)["id"] for _ in range(3))
    claim(server, held)
    claim(server, backing_off)
    said(queue(server, "fail", messageId=backing_off, workerId="worker-1", attempt=1, error="not now"))
    before = read(server)
    server.restart()
    assert read(server) == before
    assert said(queue(server, "extend", messageId=held, workerId="worker-1", attempt=1))["success"] is True
