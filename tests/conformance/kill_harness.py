"""Kill a server under load several times, let all work finish, and collect what clients saw and what is stored."""

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from calls import Json, read, said
from clients import HOPELESS, Clients

from conftest import MakeServer
from servers import until

SETTINGS: dict[str, Any] = {"lease_seconds": 5, "backoff_seconds": 0.05, "max_attempts": 5, "retention": 100_000}
"""A claim whose answer is lost in a kill comes back after the lease. A lease may also end too early; clients expect that. With
leases of one second, a slow machine ends little else."""


class Aftermath:
    """What clients were sent, and the messages that are stored when all work is done."""

    def __init__(self, clients: Clients, messages: list[Json]) -> None:
        self.clients = clients
        self.messages = messages
        self.by_id = {message["id"]: message for message in messages}
        self.human = [message for message in messages if message["messageType"] == "human"]
        self.replies = [message for message in messages if message["messageType"] == "AI"]


def kill_under_load(directory: Path, make_server: MakeServer, waits: Iterable[Callable[[Clients], None]]) -> Aftermath:
    """Start a server and clients, and kill and restart the server after each of ``waits``."""
    with make_server(directory, **SETTINGS) as server, Clients(server.url) as clients:
        for wait in waits:
            wait(clients)
            server.restart()
        clients.stop_posting()
        until(lambda: said(server.http.get("/api/stats"))["backlog"] == 0, "the end of all work")
        messages = read(server, order="asc")
        until(lambda: len(clients.paged) >= len(messages), "the reader")
        assert len(read(server)) == len(messages)
    return Aftermath(clients, messages)


def check_p1_posts_survive(aftermath: Aftermath) -> None:
    """Every acknowledged post is stored as it was acknowledged."""
    for text, answer in aftermath.clients.posted.items():
        message = aftermath.by_id[answer["id"]]
        assert (message["text"], message["timestamp"]) == (text, answer["timestamp"])


def check_p1_completions_survive(aftermath: Aftermath) -> None:
    """Every acknowledged completion is stored with its reply."""
    for message_id, _, reply_id in aftermath.clients.completed:
        params = aftermath.by_id[message_id]["botParams"]
        assert (params["status"], params["answeredBy"]) == ("complete", reply_id)
        assert aftermath.by_id[reply_id]["replyTo"] == message_id


def check_p2_no_commit_was_taken_back(aftermath: Aftermath) -> None:
    """The ``seq`` that the reader was sent never goes back."""
    assert all(earlier <= later for earlier, later in pairwise(aftermath.clients.etags))


def check_p3_only_the_latest_attempt_completed(aftermath: Aftermath) -> None:
    """No attempt was handed out twice, and none completed a message that had been claimed again."""
    claims = Counter(aftermath.clients.claimed)
    assert [claim for claim, times in claims.items() if times > 1] == []
    latest: dict[str, int] = {}
    for message_id, attempt in claims:
        latest[message_id] = max(attempt, latest.get(message_id, 0))
    assert [
        completion for completion in aftermath.clients.completed if completion.attempt != latest[completion.message_id]
    ] == []
    completions = Counter(completion.message_id for completion in aftermath.clients.completed)
    assert [message_id for message_id, times in completions.items() if times > 1] == []


def check_p4_one_reply_or_a_reason(aftermath: Aftermath) -> None:
    """Every message ends with exactly one reply, or as failed with its reason."""
    replies = Counter(reply["replyTo"] for reply in aftermath.replies)
    for message in aftermath.human:
        params = message["botParams"]
        if params["status"] == "complete":
            assert replies.pop(message["id"]) == 1
            assert HOPELESS not in message["text"]
        else:
            assert params["status"] == "failed"
            assert params["error"]
            assert message["id"] not in replies
    assert not replies, "a reply to a message that does not exist"


def check_p5_paging_skipped_nothing(aftermath: Aftermath) -> None:
    """The reader got every message once and in order, and so none that a crash took back (P2)."""
    timestamps = [message["timestamp"] for message in aftermath.messages]
    assert timestamps == sorted(timestamps)
    # An answer is kept with its question, also one that was posted without naming the entity.
    questions = [aftermath.by_id.get(message["replyTo"], message) for message in aftermath.messages]
    entities = [question["botParams"]["entity"] for question in questions]
    assert len(set(zip(entities, timestamps, strict=True))) == len(timestamps), "only talks of other entities may tie"
    paged = [(message["id"], message["text"], message["timestamp"]) for message in aftermath.clients.paged]
    assert paged == [(message["id"], message["text"], message["timestamp"]) for message in aftermath.messages]


def check_p7_no_message_twice(aftermath: Aftermath) -> None:
    """Every text is stored once, and none that was not posted."""
    assert Counter(message["text"] for message in aftermath.human) == Counter(aftermath.clients.posted.keys())


def check_p8_clients_got_no_surprise(aftermath: Aftermath) -> None:
    """Every answer was one that the client could expect."""
    assert aftermath.clients.errors == []


CHECKS = [
    check_p1_posts_survive,
    check_p1_completions_survive,
    check_p2_no_commit_was_taken_back,
    check_p3_only_the_latest_attempt_completed,
    check_p4_one_reply_or_a_reason,
    check_p5_paging_skipped_nothing,
    check_p7_no_message_twice,
    check_p8_clients_got_no_surprise,
]
