"""What went wrong with reading, and with clients that say things in other words, in the original.

The numbers are those in the notes of its operators; ``test_field_failures`` has the table of all failures. Most of these are
the page's. What the original's own clients send is understood under ``/original``; elsewhere it is refused by its name, so that
nobody is left to wonder.
"""

import pytest
from calls import a_post, assert_problem, claim_next, post, post_many, queue, read, said
from prometheus_client.parser import text_string_to_metric_families

from conftest import StartServer
from servers import Server

SMALL, LARGE = 50, 1_500


def test_p8_failure_17_a_cursor_under_another_name_is_refused_by_it(server: Server) -> None:
    assert_problem(server.http.get("/api/comments", params={"after": 1, "limit": 200}), 422, "after")


def test_p8_failure_18_the_type_of_a_message_under_another_name_is_refused_by_it(server: Server) -> None:
    asked = post(server, entity="zen")["id"]
    body = a_post("I am the answer", replyTo=asked) | {"message-type": "AI"}
    assert_problem(server.http.post("/api/comments", json=body), 422, "message-type")
    assert [message["id"] for message in read(server)] == [asked]


def test_p8_failure_25_the_clock_of_a_client_is_refused_by_name(server: Server) -> None:
    assert_problem(server.http.post("/api/comments", json=a_post(timestamp=1)), 422, "timestamp")


def counts(server: Server) -> list[float]:
    """Storage reads, writes and deletes so far."""
    families = text_string_to_metric_families(server.http.get("/metrics").text)
    samples = {sample.name: sample.value for family in families for sample in family.samples}
    return [samples[f"sww_storage_{kind}_total"] for kind in ("reads", "writes", "deletes")]


def round_trip(server: Server, *, context: int = 0) -> list[float]:
    """Reads, writes and deletes of one message: post, claim, reply with completion, and a read of what is new."""
    before = counts(server)
    posted = post(server, entity="probe")
    (message,) = claim_next(server, entities=["probe"], context=context)
    assert message["id"] == posted["id"]
    said(queue(server, "complete", messageId=posted["id"], workerId="worker-1", attempt=1, reply={"text": "Yes."}))
    assert len(read(server, since=posted["timestamp"] - 1)) == 2
    return differences(before, counts(server))


def differences(before: list[float], after: list[float]) -> list[float]:
    return [now - then for then, now in zip(before, after, strict=True)]


@pytest.mark.needs("memory")
@pytest.mark.needs("one row")
@pytest.mark.needs("own figures")
def test_failure_40_a_round_trip_costs_the_same_on_a_wall_of_any_size(start_server: StartServer) -> None:
    """Also with the talk, which is never searched for: one row for each message, and no row for a talk."""
    server = start_server(retention=100_000)
    post_many(server, SMALL, entity="other")
    looking = differences(counts(server), counts(server))
    small = round_trip(server)
    assert differences(looking, small) == [0, 4, 0], "a post, a claim, and a completion with its reply"
    assert round_trip(server, context=100) == small
    post_many(server, LARGE, entity="other")
    assert round_trip(server) == round_trip(server, context=100) == small
