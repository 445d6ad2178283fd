"""The queue calls over HTTP: list, claim, extend, complete, fail, retry."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from calls import answer, assert_problem, claim, claim_next, leaving, message, params, post, queue, read, said, until_waiting

from conftest import StartServer
from deployments import Deployment
from servers import DEADLINE_SECONDS, Server, until


@pytest.fixture
def entity() -> str:
    """A unique entity, so that tests can share a server."""
    return f"entity-{uuid4().hex}"


def ids(messages: list[dict[str, object]]) -> list[object]:
    return [message["id"] for message in messages]


def test_p6_pending_lists_the_most_urgent_first_then_the_oldest(server: Server, entity: str) -> None:
    late, urgent, later = (post(server, entity=entity, priority=priority)["id"] for priority in (50, 0, 50))
    listed = said(server.http.get("/api/queue/pending", params={"entity": entity}))
    assert ids(listed) == [urgent, late, later]
    assert ids(said(server.http.get("/api/queue/pending", params={"entity": entity, "limit": 1}))) == [urgent]
    claim(server, urgent)
    assert ids(said(server.http.get("/api/queue/pending", params={"entity": entity}))) == [late, later]


def test_p6_pending_lists_ten_unless_asked_otherwise(server: Server, entity: str) -> None:
    for _ in range(11):
        post(server, entity=entity)
    assert len(said(server.http.get("/api/queue/pending", params={"entity": entity}))) == 10
    assert len(said(server.http.get("/api/queue/pending", params={"entity": entity, "limit": 100}))) == 11


def test_p3_of_many_claims_of_one_message_one_succeeds(server: Server, entity: str) -> None:
    posted = post(server, entity=entity)["id"]
    with ThreadPoolExecutor(8) as bots:
        answers = list(bots.map(lambda n: queue(server, "claim", messageId=posted, workerId=f"bot-{n}"), range(8)))
    assert sorted(response.status_code for response in answers) == [200] + [409] * 7
    (winner,) = [response.json()["message"] for response in answers if response.status_code == 200]
    held = params(server, posted)
    assert held == winner["botParams"]
    assert (held["status"], held["attempt"]) == ("processing", 1)
    for response in answers:
        if response.status_code != 200:
            assert_problem(response, 409, held["claimedBy"])


def test_p3_of_many_claims_of_the_next_messages_each_gets_others(server: Server, entity: str) -> None:
    posted = [post(server, entity=entity)["id"] for _ in range(20)]
    with ThreadPoolExecutor(8) as bots:
        batches = list(bots.map(lambda n: claim_next(server, f"bot-{n}", entities=[entity], limit=3), range(8)))
    claimed = [message["id"] for batch in batches for message in batch if message["botParams"]["entity"] == entity]
    assert sorted(claimed) == sorted(posted)


def test_p6_claiming_next_takes_the_most_urgent_of_these_entities_up_to_the_limit(start_server: StartServer) -> None:
    server = start_server()
    zen, rude, urgent = post(server, entity="zen"), post(server, entity="rude"), post(server, entity="zen", priority=1)
    anybody = post(server)
    assert ids(claim_next(server, entities=["eliza", "zen"], limit=2)) == [urgent["id"], zen["id"]]
    assert ids(claim_next(server, entities=["eliza", "zen"], limit=2)) == [anybody["id"]]
    assert claim_next(server, entities=["eliza", "zen"]) == []
    assert ids(claim_next(server)) == [rude["id"]]


def test_p4_a_post_wakes_the_claim_that_has_waited_longest_and_no_other(server: Server, entity: str) -> None:
    with ThreadPoolExecutor(2) as bots:
        first = bots.submit(claim_next, server, "first", entities=[entity], limit=5, wait=60)
        until_waiting(server, 1)
        second = bots.submit(claim_next, server, "second", entities=[entity], limit=5, wait=60)
        until_waiting(server, 2)
        one = post(server, entity=entity)["id"]
        assert ids(first.result(DEADLINE_SECONDS)) == [one]
        until_waiting(server, 1)
        assert not second.done()
        other = post(server, entity=entity)["id"]
        assert ids(second.result(DEADLINE_SECONDS)) == [other]
    assert [params(server, posted)["attempt"] for posted in (one, other)] == [1, 1]


def test_p4_a_claim_waits_past_work_for_others_and_ends_empty_when_its_time_is_up(server: Server, entity: str) -> None:
    stranger = post(server, entity=f"not-{entity}"[:64])["id"]
    assert claim_next(server, entities=[entity], wait=1) == []
    assert params(server, stranger)["status"] == "pending"


def test_p4_a_message_that_comes_back_wakes_a_waiting_claim(server: Server, entity: str) -> None:
    posted = post(server, entity=entity)["id"]
    claim(server, posted)
    with ThreadPoolExecutor(1) as bots:
        waiting = bots.submit(claim_next, server, "worker-2", entities=[entity], wait=60)
        until_waiting(server, 1)
        said(queue(server, "fail", messageId=posted, workerId="worker-1", attempt=1, error="tired"))
        assert ids(waiting.result(DEADLINE_SECONDS)) == [posted]


def test_p4_a_client_that_goes_away_during_its_long_poll_claims_nothing(
    server: Server, deployment: Deployment, entity: str
) -> None:
    body = b'{"workerId": "gone", "entities": ["%s"], "wait": 30}' % entity.encode()
    request = b"POST /api/queue/claim HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with leaving(server, deployment, request):
        until_waiting(server, 1)
    until_waiting(server, 0)
    posted = post(server, entity=entity)["id"]
    assert params(server, posted) | {"status": "pending", "claimedBy": None, "attempt": 0} == params(server, posted)


def test_p4_complete_writes_reply_and_completion_together(server: Server, entity: str) -> None:
    posted = post(server, entity=entity)
    claim(server, posted["id"])
    reply = {"text": "Because.", "username": "Fear", "color": "010020030"}
    done = said(queue(server, "complete", messageId=posted["id"], workerId="worker-1", attempt=1, reply=reply))
    replied = message(server, done["id"])
    assert {name: replied[name] for name in reply} == reply
    assert (replied["messageType"], replied["replyTo"], replied["timestamp"]) == ("AI", posted["id"], done["timestamp"])
    assert replied["botParams"]["status"] == "complete"
    assert params(server, posted["id"])["status"] == "complete"


def test_p4_complete_without_a_reply_only_completes(server: Server, entity: str) -> None:
    posted = post(server, entity=entity)
    claim(server, posted["id"])
    assert said(queue(server, "complete", messageId=posted["id"])) == {"success": True}
    completed = params(server, posted["id"])
    assert (completed["status"], completed["answeredBy"]) == ("complete", None), "the one exception, shown as what it is"
    assert read(server, since=posted["timestamp"]) == []


def test_p7_complete_and_fail_are_safe_to_repeat_by_the_same_attempt(server: Server, entity: str) -> None:
    """Its answer may get lost; a reply that is on the wall must not look refused to its bot."""
    answered, failed = post(server, entity=entity), post(server, entity=entity)["id"]
    attempt = {"workerId": "worker-1", "attempt": 1}
    for posted in (answered["id"], failed):
        claim(server, posted)
    first = said(queue(server, "complete", messageId=answered["id"], **attempt, reply={"text": "Once."}))
    assert said(queue(server, "complete", messageId=answered["id"], **attempt, reply={"text": "Once."})) == first
    assert [reply["text"] for reply in read(server, since=answered["timestamp"]) if reply["messageType"] == "AI"] == ["Once."]
    gave_up = said(queue(server, "fail", messageId=failed, **attempt, error="no words", retry=False))
    assert said(queue(server, "fail", messageId=failed, **attempt, error="no words", retry=False)) == gave_up
    assert_problem(queue(server, "complete", messageId=failed, **attempt), 409, "failed")


def test_p3_a_call_that_names_no_attempt_is_refused_after_the_first(server: Server, entity: str) -> None:
    posted = post(server, entity=entity)["id"]
    claim(server, posted)
    said(queue(server, "fail", messageId=posted, workerId="worker-1", attempt=1, error="no", retry=False))
    said(queue(server, "retry", messageId=posted))
    claim(server, posted)
    for refused in (
        queue(server, "complete", messageId=posted, reply={"text": "late"}),
        queue(server, "complete", messageId=posted, workerId="worker-1"),
        answer(server, posted, "late", workerId="worker-1"),
    ):
        assert_problem(refused, 409, "attempt 2")
        assert refused.json()["field"] == "attempt"
    said(queue(server, "complete", messageId=posted, attempt=2, reply={"text": "in time"}))


def test_p4_the_older_way_of_a_reply_and_then_complete_gives_one_answer(server: Server, entity: str) -> None:
    posted = post(server, entity=entity)
    claim(server, posted["id"])
    first = said(answer(server, posted["id"], "Once.", workerId="worker-1", attempt=1))
    assert said(answer(server, posted["id"], "Twice.", workerId="worker-1", attempt=1)) == first
    assert said(answer(server, posted["id"], "Thrice.")) == first
    reply = {"text": "And again."}
    done = said(queue(server, "complete", messageId=posted["id"], workerId="worker-1", attempt=1, reply=reply))
    assert (done["id"], done["timestamp"]) == (first["id"], first["timestamp"])
    assert [reply["text"] for reply in read(server, since=posted["timestamp"])] == ["Once."]
    assert said(answer(server, posted["id"], "Late.")) == first


def test_p4_an_answered_message_is_complete_once_the_lease_of_its_dead_bot_ends(start_server: StartServer) -> None:
    server = start_server(lease_seconds=1, max_attempts=100)
    posted = post(server)

    def answer_within_the_lease() -> bool:
        (held,) = until(lambda: claim_next(server, wait=5), "the message")
        answered = answer(server, posted["id"], "The answer.", workerId="worker-1", attempt=held["botParams"]["attempt"])
        return answered.status_code == 200

    until(answer_within_the_lease, "an answer within a lease of one second")
    until(lambda: params(server, posted["id"])["status"] == "complete", "the completion")
    assert [reply["text"] for reply in read(server, since=posted["timestamp"])] == ["The answer."]


def test_p3_extend_lengthens_a_lease(server: Server, entity: str) -> None:
    held = claim(server, post(server, entity=entity)["id"])
    first_end = held["botParams"]["leaseExpiresAt"]

    def extended() -> int | None:
        """The new end, or nothing when the clock still shows the millisecond of the claim."""
        body = {"messageId": held["id"], "workerId": "worker-1", "attempt": 1}
        end: int = said(queue(server, "extend", **body))["leaseExpiresAt"]
        return end if end > first_end else None

    end = until(extended, "a longer lease")
    assert params(server, held["id"])["leaseExpiresAt"] == end


def test_p4_a_pause_follows_a_failed_attempt_and_the_last_one_fails_with_its_reason(
    start_server: StartServer,
) -> None:
    server = start_server(max_attempts=2, backoff_seconds=0.2)
    posted = post(server)["id"]
    claim(server, posted)
    gave_up = said(queue(server, "fail", messageId=posted, workerId="worker-1", attempt=1, error="out of words"))
    assert gave_up["status"] == "pending"
    assert params(server, posted)["error"] == "out of words"
    (again,) = until(lambda: claim_next(server, wait=5), "the message after its pause")
    assert again["botParams"]["claimedAt"] >= gave_up["retryAt"]
    assert again["botParams"]["attempt"] == 2
    gave_up = said(queue(server, "fail", messageId=posted, workerId="worker-1", attempt=2, error="still no words"))
    assert (gave_up["status"], gave_up["retryAt"]) == ("failed", None)
    failed = params(server, posted)
    assert (failed["status"], failed["error"]) == ("failed", "still no words")
    assert claim_next(server) == []


def test_p4_a_stop_is_not_an_attempt_and_the_attempt_that_released_is_over(start_server: StartServer) -> None:
    """What a scaler does to its workers, again and again, during one message."""
    server = start_server(max_attempts=1)
    posted = post(server)["id"]
    for attempt in range(1, 5):
        (held,) = claim_next(server)
        assert (held["id"], held["botParams"]["attempt"]) == (posted, attempt)
        fence = {"messageId": posted, "workerId": "worker-1", "attempt": attempt}
        for _ in range(2):
            assert said(queue(server, "release", **fence)) == {"status": "pending", "retryAt": None, "success": True}
        for late in ("complete", "extend"):
            assert_problem(queue(server, late, **fence), 409, "pending")
    assert_problem(queue(server, "release", messageId=posted, workerId="worker-1", attempt=3), 409, "attempt 3")
    (held,) = claim_next(server)
    last = {"messageId": posted, "attempt": held["botParams"]["attempt"]}
    assert_problem(queue(server, "release", workerId="another", **last), 409, "worker-1", "another")
    said(queue(server, "complete", workerId="worker-1", reply={"text": "At last."}, **last))
    assert said(queue(server, "release", workerId="worker-1", **last))["status"] == "complete"


def test_p4_a_released_message_wakes_a_waiting_claim(server: Server, entity: str) -> None:
    posted = post(server, entity=entity)["id"]
    claim(server, posted)
    with ThreadPoolExecutor(1) as bots:
        waiting = bots.submit(claim_next, server, "worker-2", entities=[entity], wait=60)
        until_waiting(server, 1)
        said(queue(server, "release", messageId=posted, workerId="worker-1", attempt=1))
        assert ids(waiting.result(DEADLINE_SECONDS)) == [posted]


def test_p4_a_failure_that_wants_no_retry_is_final(server: Server, entity: str) -> None:
    posted = post(server, entity=entity)["id"]
    claim(server, posted)
    gave_up = queue(server, "fail", messageId=posted, workerId="worker-1", attempt=1, error="never", retry=False)
    assert said(gave_up)["status"] == "failed"


def test_p4_retry_makes_a_failed_message_pending_again_with_all_its_attempts(start_server: StartServer) -> None:
    server = start_server(max_attempts=1)
    posted = post(server)["id"]
    for attempt in (1, 2):
        claim(server, posted)
        said(queue(server, "fail", messageId=posted, workerId="worker-1", attempt=attempt, error="no"))
        assert params(server, posted)["status"] == "failed"
        assert said(queue(server, "retry", messageId=posted)) == {"success": True}
        assert params(server, posted) | {"status": "pending", "error": None, "completedAt": None} == params(server, posted)


def test_p3_an_attempt_that_is_over_is_refused_even_under_the_same_worker_name(
    start_server: StartServer,
) -> None:
    """The fence is per attempt, never per worker name: extend, fail, complete and reply, by the very same worker."""
    server = start_server(backoff_seconds=0.01)
    posted = post(server)
    claim(server, posted["id"])
    said(queue(server, "fail", messageId=posted["id"], workerId="worker-1", attempt=1, error="not now"))
    (again,) = until(lambda: claim_next(server, wait=5), "the message after its pause")
    assert (again["id"], again["botParams"]["attempt"]) == (posted["id"], 2)
    stale = {"messageId": posted["id"], "workerId": "worker-1", "attempt": 1}

    def assert_refused() -> None:
        named = ("attempt 1", "attempt 2")
        assert_problem(queue(server, "extend", **stale), 409, *named)
        assert_problem(queue(server, "fail", **stale, error="late"), 409, *named)
        assert_problem(queue(server, "complete", **stale), 409, *named)
        assert_problem(queue(server, "complete", **stale, reply={"text": "late"}), 409, *named)
        assert_problem(answer(server, posted["id"], "late", workerId="worker-1", attempt=1), 409, *named)

    assert_refused()
    assert params(server, posted["id"]) == again["botParams"]
    said(queue(server, "complete", messageId=posted["id"], workerId="worker-1", attempt=2, reply={"text": "in time"}))
    assert_refused()
    assert [reply["text"] for reply in read(server, since=posted["timestamp"])] == ["in time"]


def test_p3_another_worker_may_not_act_for_the_holder(server: Server, entity: str) -> None:
    posted = post(server, entity=entity)["id"]
    held = claim(server, posted)["botParams"]
    thief = {"messageId": posted, "workerId": "worker-2", "attempt": 1}
    assert_problem(queue(server, "extend", **thief), 409, "worker-1", "worker-2")
    assert_problem(queue(server, "fail", **thief, error="no"), 409, "worker-1", "worker-2")
    assert_problem(queue(server, "complete", **thief, reply={"text": "no"}), 409, "worker-1", "worker-2")
    assert_problem(answer(server, posted, "no", workerId="worker-2", attempt=1), 409, "worker-1", "worker-2")
    assert params(server, posted) == held


@pytest.mark.needs("durability")
def test_p4_leases_that_run_out_end_as_failed_with_the_reason_also_across_a_restart(start_server: StartServer) -> None:
    server = start_server(lease_seconds=1, max_attempts=2)
    posted = post(server)["id"]
    claim(server, posted, "lost-1")
    until(lambda: params(server, posted)["status"] == "pending", "the end of the first lease")
    assert params(server, posted)["claimedBy"] is None
    claim(server, posted, "lost-2")
    server.restart()
    until(lambda: params(server, posted)["status"] == "failed", "the end of the last lease")
    assert "lost-2" in params(server, posted)["error"]
