"""What operators see and do, with the token: details of failures, batches, bots; and what visitors see of it."""

import re
from uuid import uuid4

import pytest
from calls import Json, a_post, assert_problem, claim, claim_next, leaving, params, post, queue, read, said, until_waiting
from readers import Feed

from conftest import StartServer
from deployments import Deployment
from servers import Server, until

DETAIL = "HTTP 500 from http://gpu-7.internal:8080/v1: CUDA error: out of memory"


def test_p8_an_operator_reads_the_providers_own_words_and_no_reader_does(server: Server) -> None:
    posted = post(server)
    with Feed(server) as feed:
        claim(server, posted["id"])
        fence = {"messageId": posted["id"], "workerId": "worker-1", "attempt": 1}
        said(queue(server, "fail", **fence, error="the model failed", retry=False, detail=DETAIL))
        feed.until_message(posted["id"], status="failed")
        seen = str(feed.frames)
    listed = said(server.http.get("/api/queue/messages", params={"state": "failed", "limit": 1_000}))
    (message,) = [message for message in listed if message["id"] == posted["id"]]
    assert message["detail"] == DETAIL
    (public,) = read(server, since=posted["timestamp"] - 1)
    assert {key: value for key, value in message.items() if key != "detail"} == public
    public_paths = ("/api/comments", "/api/comments?changedAfter=0", "/api/queue/pending", "/api/stats", "/api/entities")
    seen += "".join(server.http.get(path).text for path in public_paths) + server.http.get("/metrics").text
    assert "the model failed" in seen
    assert "gpu-7" not in seen


# -- Batches


def failed(server: Server, entity: str | None = None) -> str:
    posted: str = post(server, entity=entity)["id"]
    claim(server, posted)
    said(queue(server, "fail", messageId=posted, workerId="worker-1", attempt=1, error="no words", retry=False))
    return posted


@pytest.mark.needs("durability")
def test_p4_an_operator_retries_fails_and_discards_by_id_by_entity_and_all(start_server: StartServer) -> None:
    server = start_server()
    one, two, other = failed(server, "zen"), failed(server, "zen"), failed(server, "rude")
    assert said(queue(server, "batch", action="retry", messageIds=[one])) == {"changed": [one], "more": False, "success": True}
    assert said(queue(server, "batch", action="discard", entity="zen"))["changed"] == [two]
    assert two not in {message["id"] for message in read(server)}
    claim(server, one)
    ended = said(queue(server, "batch", action="fail", all=True, reason="the machine is being moved"))
    assert ended["changed"] == [one]
    assert (params(server, one)["status"], params(server, one)["error"]) == ("failed", "the machine is being moved")
    assert_problem(queue(server, "complete", messageId=one, workerId="worker-1", attempt=2), 409, "failed")
    assert set(said(queue(server, "batch", action="retry", all=True))["changed"]) == {one, other}
    server.restart()
    assert {message["id"] for message in claim_next(server, limit=10)} == {one, other}


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("messageIds", {"action": "retry"}),
        ("entity", {"action": "retry", "messageIds": ["abcdefghi0"], "entity": "zen"}),
        ("all", {"action": "retry", "entity": "zen", "all": True}),
        ("reason", {"action": "retry", "all": True, "reason": "no"}),
        ("reason", {"action": "fail", "all": True, "reason": "\x1b[2J"}),
        ("reason", {"action": "fail", "all": True, "reason": "x" * 1_001}),
        ("action", {"action": "delete", "all": True}),
        ("all", {"action": "retry", "all": False}),
        ("messageIds", {"action": "retry", "messageIds": []}),
        ("messageIds", {"action": "retry", "messageIds": ["abcdefghi0"] * 101}),
        ("more", {"action": "retry", "all": True, "more": True}),
    ],
)
def test_p8_a_batch_that_breaks_a_rule_is_refused_with_the_field(server: Server, field: str, body: Json) -> None:
    refused = queue(server, "batch", **body)
    assert_problem(refused, 422)
    assert refused.json()["field"].startswith(field)


def test_p8_a_batch_with_one_wrong_id_changes_nothing(server: Server) -> None:
    fits, pending = failed(server), post(server)["id"]
    before = read(server)
    for ids, status in (([fits, pending], 409), ([fits, "nosuchid00"], 404)):
        refused = queue(server, "batch", action="discard", messageIds=ids)
        assert_problem(refused, status, ids[1])
        assert refused.json()["field"] == "messageIds"
    assert read(server) == before


# -- Bots


def bots(server: Server) -> dict[str, Json]:
    return {bot["workerId"]: bot for bot in said(server.http.get("/api/queue/bots"))}


def test_p8_bots_whose_files_differ_are_told_and_shown(server: Server) -> None:
    entity, one, two = f"entity-{uuid4().hex}", f"one-{uuid4().hex}", f"two-{uuid4().hex}"

    def claims(worker: str, persona: str) -> Json:
        body = {"workerId": worker, "entities": [entity], "personas": {entity: persona}, "version": "1.2"}
        answer: Json = said(server.http.post("/api/queue/claim", json=body))
        return answer

    assert "conflicts" not in claims(one, "0" * 16)
    assert claims(two, "1" * 16)["conflicts"] == [{"entity": entity, "workerId": one}]
    shown = bots(server)
    assert shown[one] | {"lastSeen": 0} == {
        "workerId": one,
        "version": "1.2",
        "entities": [entity],
        "personas": {entity: "0" * 16},
        "lastSeen": 0,
        "here": True,
        "conflicts": [{"entity": entity, "workerId": two}],
    }
    assert "conflicts" not in claims(two, "0" * 16)


@pytest.mark.parametrize("call", ["extend", "progress", "complete", "fail", "release"])
def test_p4_a_bot_that_works_on_a_message_is_seen(server: Server, call: str) -> None:
    """It may be busy with one answer for an hour, and claim nothing."""
    worker = f"worker-{uuid4().hex}"
    fence = {"messageId": post(server)["id"], "workerId": worker, "attempt": 1}
    claim(server, fence["messageId"], worker)
    first = bots(server)[worker]["lastSeen"]
    more = {"error": "no"} if call == "fail" else {"text": "Because"} if call == "progress" else {}

    def seen_again() -> bool:
        queue(server, call, **fence, **more)  # refused the second time, which shows the bot too
        return bool(bots(server)[worker]["lastSeen"] > first)

    until(seen_again, "a later time")


def test_p4_visitors_see_which_entities_are_served_and_why_not(start_server: StartServer, deployment: Deployment) -> None:
    server = start_server()

    def zen() -> Json:
        entities: list[Json] = said(server.http.get("/api/entities"))["entities"]
        return next(entity for entity in entities if entity["name"] == "zen")

    assert (zen()["served"], zen()["reason"]) == (False, "no bot answers for it at the moment")
    body = b'{"workerId": "bot", "entities": ["zen"], "wait": 30}'
    request = b"POST /api/queue/claim HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with leaving(server, deployment, request):
        until_waiting(server, 1)
        assert (zen()["served"], zen()["reason"]) == (True, None)
        report = {"workerId": "bot", "provider": "http://gpu-7.internal", "entities": ["zen"], "reason": "refused with 500"}
        said(queue(server, "circuit", **report, seconds=60))
        assert (zen()["served"], zen()["reason"]) == (True, "its model does not answer at the moment")
        said(queue(server, "claim", workerId="another", entities=["zen"]))
        assert zen()["reason"] is None, "the other bot's model answers"
        assert "gpu-7" not in server.http.get("/api/entities").text
    until(lambda: not bots(server)["bot"]["here"], "the end of the bot that closed its connection")
    said(queue(server, "circuit", **report, seconds=0))
    assert (zen()["served"], zen()["reason"]) == (True, None)


@pytest.mark.one_deployment("what files are served is the same for all")
def test_the_page_knows_its_own_version_from_its_address(server: Server) -> None:
    version = said(server.http.get("/api/entities"))["page"]
    assert set(re.findall(r"/page/(\w+)/", server.http.get("/").text)) == {version}


@pytest.mark.one_deployment("what files are served is the same for all")
def test_visitors_read_what_an_entity_is_and_what_to_ask_it(server: Server) -> None:
    for entity in said(server.http.get("/api/entities"))["entities"]:
        assert entity["about"]
        assert len(entity["openers"]) <= 3
        assert entity["alias"] in {True, False}


def test_p4_a_bot_of_the_original_that_polls_serves_everybody(start_server: StartServer) -> None:
    server = start_server()
    said(server.http.get("/original/api/queue/pending"))
    assert all(entity["served"] for entity in said(server.http.get("/api/entities"))["entities"])
    posted = server.http.post("/original/api/comments", json=a_post(botParams={"entity": "zen"}))
    assert posted.status_code == 200
    said(server.http.post("/original/api/queue/claim-next", json={"workerId": "old"}))
    assert bots(server)["old"]["entities"] is None
