"""Rules, reviews, reports and the audit log, over HTTP."""

from uuid import uuid4

import httpx
import pytest
from calls import Json, a_post, answer, assert_problem, claim, claim_next, post, queue, read, said

from conftest import StartServer
from servers import Server, until

ADA = {"username": "Ada", "color": "204120051"}


def moderate(server: Server, call: str, **body: object) -> httpx.Response:
    return server.http.post(f"/api/moderation/{call}", json=body)


def state(server: Server) -> Json:
    found: Json = said(server.http.get("/api/moderation"))
    return found


def audit(server: Server, **query: int) -> list[Json]:
    entries: list[Json] = said(server.http.get("/api/moderation/audit", params=query))["entries"]
    return entries


def send(server: Server, text: str = "Why is space black?", *, key: str | None = None, **more: object) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return server.http.post("/api/comments", json=a_post(text, **ADA, **more), headers=headers)


def held(server: Server, text: str, **more: object) -> Json:
    """Post what has to wait for review; returns the answer once the review has it."""
    response = send(server, text, **more)  # type: ignore[arg-type]
    assert response.status_code == 202, response.text
    posted: Json = response.json()
    assert posted["status"] == "held"
    until(lambda: posted["id"] in [one["id"] for one in state(server)["review"]], "the post in the review list")
    return posted


def a_word() -> str:
    """A word that no other test has."""
    return f"w{uuid4().hex}"


@pytest.mark.needs("durability")
def test_p1_rules_hold_when_their_call_has_answered_and_after_a_restart(start_server: StartServer) -> None:
    server = start_server()
    assert send(server).status_code == 200
    ban = said(moderate(server, "ban", **ADA, seconds=3_600, reason="insults"))["ban"]
    refused = send(server)
    assert_problem(refused, 403, "name and color")
    assert refused.json()["type"] == "urn:saywhatwant:problem:banned"
    assert "insults" not in refused.text
    assert_problem(server.http.post("/original/api/comments", json=a_post(**ADA)), 403)
    said(moderate(server, "filter", phrase="Buy now", action="refuse"))
    server.restart()
    assert_problem(send(server), 403)
    refused = server.http.post("/api/comments", json=a_post("buy, NOW!"))
    assert_problem(refused, 422, "Buy now")
    assert refused.json()["field"] == "text"
    said(moderate(server, "unban", banId=ban["id"]))
    said(moderate(server, "unfilter", phrase="BUY NOW"))
    assert send(server, "Buy now!").status_code == 200
    assert [entry["action"] for entry in audit(server)] == ["unfilter", "unban", "filter", "ban"]


def test_p8_addresses_are_banned_by_prefix(start_server: StartServer) -> None:
    server = start_server()
    said(moderate(server, "ban", address="127.0.0.0/8", seconds=60))
    assert_problem(send(server), 403, "from here")
    (ban,) = state(server)["bans"]
    assert (ban["address"], "username" in ban) == ("127.0.0.0/8", False)
    assert read(server) == []
    said(moderate(server, "unban", banId=ban["id"]))
    assert send(server).status_code == 200


def test_p8_slow_mode_refuses_with_a_time_and_not_the_answers_of_bots(start_server: StartServer) -> None:
    server = start_server()
    said(moderate(server, "slow", seconds=3_600))
    asked = said(send(server))["id"]
    refused = send(server)
    assert_problem(refused, 429, "3600 s")
    assert 1 <= int(refused.headers["retry-after"]) <= 3_600
    claim(server, asked)
    assert said(answer(server, asked))["status"] == "success"
    said(moderate(server, "slow", seconds=0))
    assert send(server).status_code == 200


def test_p7_a_held_post_is_on_the_wall_once_when_it_is_approved_and_its_key_keeps_its_answer(server: Server) -> None:
    word, key, entity = a_word(), uuid4().hex, f"entity-{uuid4().hex}"
    said(moderate(server, "filter", phrase=word, action="hold"))
    text = f"What is {word.upper()}?"
    posted = held(server, text, key=key, botParams={"entity": entity})
    (waits,) = [one for one in state(server)["review"] if one["id"] == posted["id"]]
    assert waits == ADA | {
        "id": posted["id"], "at": posted["timestamp"], "phrase": word, "text": text, "entity": entity,
    }  # fmt: skip
    assert posted["id"] not in {message["id"] for message in read(server)}
    for _ in range(2):
        said(moderate(server, "approve", messageId=posted["id"], reason="harmless"))
        (message,) = [message for message in read(server) if message["id"] == posted["id"]]
        assert (message["text"], message["botParams"]["status"]) == (text, "pending")
    said(moderate(server, "unfilter", phrase=word))
    again = send(server, text, key=key, botParams={"entity": entity})
    assert (again.status_code, again.json()) == (202, posted)
    assert [message["id"] for message in claim_next(server, entities=[entity], limit=10)] == [posted["id"]]
    assert_problem(moderate(server, "reject", messageId=posted["id"]), 409, "approved")


def test_a_rejected_post_never_comes(server: Server) -> None:
    word = a_word()
    said(moderate(server, "filter", phrase=word, action="hold"))
    posted = held(server, f"Look: {word}")
    said(moderate(server, "reject", messageId=posted["id"]))
    said(moderate(server, "reject", messageId=posted["id"]))
    assert posted["id"] not in {one["id"] for one in [*read(server), *state(server)["review"]]}
    assert_problem(moderate(server, "approve", messageId="nosuchid00"), 404, "nosuchid00")


def test_posts_of_the_originals_pages_wait_too(server: Server) -> None:
    word = a_word()
    said(moderate(server, "filter", phrase=word, action="hold"))
    body = a_post(f"Look: {word}", id=f"own{uuid4().hex[:12]}", color="169080199-Ab3dE5gH1j")
    response = server.http.post("/original/api/comments", json=body)
    assert (response.status_code, response.json()["status"]) == (202, "held")
    until(lambda: body["id"] in [one["id"] for one in state(server)["review"]], "the post in the review list")
    (waits,) = [one for one in state(server)["review"] if one["id"] == body["id"]]
    assert waits["color"] == body["color"]
    said(moderate(server, "approve", messageId=body["id"]))
    assert body["id"] in {message["id"] for message in read(server)}


def test_p7_a_report_counts_once_for_an_address_and_holds_none(server: Server) -> None:
    message_id = post(server)["id"]
    for reason in ("rude", "again"):
        said(server.http.post("/api/report", json={"messageId": message_id, "reason": reason}))
    (report,) = [one for one in state(server)["reports"] if one["messageId"] == message_id]
    assert (report["count"], report["reasons"], report["message"]["id"]) == (1, ["rude"], message_id)
    assert "127.0.0.1" not in str(report)
    said(moderate(server, "dismiss", messageId=message_id))
    assert message_id not in {one["messageId"] for one in state(server)["reports"]}
    assert_problem(server.http.post("/api/report", json={"messageId": "nosuchid00"}), 404, "nosuchid00")
    assert_problem(moderate(server, "dismiss", messageId=message_id), 404, message_id)


def test_what_operators_do_to_the_queue_is_in_the_audit_log(server: Server) -> None:
    entity = f"entity-{uuid4().hex}"
    asked = post(server, entity=entity)["id"]
    said(queue(server, "batch", action="fail", messageIds=[asked], reason="a move"))
    said(queue(server, "retry", messageId=asked))
    said(queue(server, "batch", action="fail", entity=entity))

    def found() -> list[tuple[str, str, str]]:
        return [(one["by"], one["action"], one["reason"]) for one in audit(server) if one["about"] == asked]

    until(lambda: len(found()) == 3, "three entries")
    assert found() == [("local", "fail", ""), ("local", "retry", ""), ("local", "fail", "a move")]
    first, second = audit(server, limit=2)
    assert first["number"] == second["number"] + 1
    assert audit(server, limit=1, before=first["number"]) == [second]


LONG = "x" * 501


@pytest.mark.one_deployment("bodies are checked before any object is asked")
@pytest.mark.parametrize(
    ("call", "field", "body"),
    [
        ("ban", "address", {"seconds": 60}),
        ("ban", "color", {"seconds": 60, "username": "Ada"}),
        ("ban", "username", {"seconds": 60, "color": "204120051"}),
        ("ban", "username", {"seconds": 60, "address": "192.0.2.0/24", **ADA}),
        ("ban", "username", {"seconds": 60, "username": " ", "color": "204120051"}),
        ("ban", "address", {"seconds": 60, "address": "192.0.2.7/24"}),
        ("ban", "address", {"seconds": 60, "address": "0.0.0.0/0"}),
        ("ban", "address", {"seconds": 60, "address": "everybody"}),
        ("ban", "color", {"seconds": 60, "username": "Ada", "color": "red"}),
        ("ban", "seconds", ADA),
        ("ban", "seconds", {"seconds": 0, **ADA}),
        ("ban", "seconds", {"seconds": 315_360_001, **ADA}),
        ("ban", "until", {"seconds": 60, "until": 5, **ADA}),
        ("ban", "reason", {"seconds": 60, "reason": LONG, **ADA}),
        ("ban", "reason", {"seconds": 60, "reason": "\x1b[2J", **ADA}),
        ("unban", "banId", {}),
        ("filter", "phrase", {"action": "hold"}),
        ("filter", "phrase", {"action": "hold", "phrase": ""}),
        ("filter", "phrase", {"action": "hold", "phrase": "!?"}),
        ("filter", "phrase", {"action": "hold", "phrase": "a b c d e f g h i j k"}),
        ("filter", "phrase", {"action": "hold", "phrase": "x" * 101}),
        ("filter", "action", {"action": "drop", "phrase": "spam"}),
        ("filter", "regex", {"action": "hold", "phrase": "spam", "regex": "(a+)+b"}),
        ("unfilter", "phrase", {}),
        ("slow", "seconds", {"seconds": 3_601}),
        ("slow", "seconds", {}),
        ("approve", "messageId", {}),
        ("reject", "messageId", {"messageId": "no"}),
        ("dismiss", "messageId", {}),
    ],
)
def test_p8_what_breaks_a_rule_is_refused_with_its_field_and_changes_nothing(
    server: Server, call: str, field: str, body: Json
) -> None:
    before = state(server)
    refused = moderate(server, call, **body)
    assert_problem(refused, 422)
    assert refused.json()["field"] == field
    assert state(server) == before


@pytest.mark.one_deployment("the limit is the server's own")
def test_p8_reports_beyond_the_rate_are_refused_with_a_time(start_server: StartServer) -> None:
    server = start_server(rate_limit=100)
    message_id = post(server)["id"]
    for _ in range(10):
        said(server.http.post("/api/report", json={"messageId": message_id}))
    refused = server.http.post("/api/report", json={"messageId": message_id})
    assert_problem(refused, 429, "10 reports a minute")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    for name, value in (("reason", "x" * 201), ("messageId", "?"), ("address", "192.0.2.7")):
        refused = server.http.post("/api/report", json={"messageId": message_id} | {name: value})
        assert_problem(refused, 422)
        assert refused.json()["field"] == name
