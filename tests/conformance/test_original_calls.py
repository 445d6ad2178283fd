"""The dialect of the original, row by row of its wire tables: reads, queue calls, refusals, and pages of other origins."""

import httpx
import pytest
from calls import Json, message, metric, params, read, said
from original_wall import (
    BEARER,
    SITE,
    TAILED,
    TOKEN,
    WALL,
    assert_refused,
    bot_post,
    call,
    claimed,
    original,
    page_post,
    posted,
    read_original,
    send,
)

from conftest import StartServer
from servers import Server

pytest_plugins = ["original_fixture"]

FROM_PAGE = {"Origin": SITE}


def ids(messages: list[Json]) -> list[str]:
    return [message["id"] for message in messages]


# -- (a) GET /api/comments, polled by the page


@pytest.mark.parametrize("name", ["after", "since"])
def test_p5_a_poll_brings_what_is_newer_than_after_newest_first(wall: Server, name: str) -> None:
    first, second, third = (posted(wall) for _ in range(3))
    assert ids(read_original(wall, **{name: first["timestamp"]}, limit=200)) == ids([third, second])
    assert read_original(wall, **{name: third["timestamp"]}, limit=200) == []


def test_after_counts_where_both_are_given(wall: Server) -> None:
    first, second = posted(wall), posted(wall)
    assert ids(read_original(wall, after=first["timestamp"], since=second["timestamp"])) == [second["id"]]


def test_a_limit_brings_the_newest(wall: Server) -> None:
    first, _, third = (posted(wall) for _ in range(3))
    assert ids(read_original(wall, after=first["timestamp"], limit=1)) == [third["id"]]
    assert read_original(wall, after=first["timestamp"], limit=0) == []
    assert len(read_original(wall, after=first["timestamp"], limit=999_999)) == 2


@pytest.mark.parametrize("kind", ["human", "AI"])
def test_a_channel_brings_the_messages_of_its_type(wall: Server, kind: str) -> None:
    since = posted(wall)["timestamp"]
    order = ("human", "AI", "human", *["AI" if kind == "human" else "human"] * 3)
    sent = [said(send(wall, page_post(**{"message-type": kind})))["id"] for kind in order]
    newest = max(number for number, sent_kind in enumerate(order) if sent_kind == kind)
    assert ids(read_original(wall, after=since, type=kind, limit=1)) == [sent[newest]]
    assert {message["message-type"] for message in read_original(wall, after=since, type=kind)} == {kind}


def test_the_first_load_gets_a_count_and_no_messages(wall: Server) -> None:
    posted(wall)
    assert read_original(wall, offset=0, limit=0) == {"comments": [], "total": len(read(wall)), "hasMore": True}


def test_the_page_of_figures_gets_the_newest_and_a_count(wall: Server) -> None:
    newest = [posted(wall) for _ in range(3)][::-1]
    answer = read_original(wall, limit=2, t=1762025642726)
    assert ids(answer["comments"]) == ids(newest[:2])
    assert (answer["total"], answer["hasMore"]) == (len(read(wall)), True)


def test_an_offset_leaves_out_the_newest(wall: Server) -> None:
    since = posted(wall)["timestamp"]
    first, _, _ = (posted(wall) for _ in range(3))
    assert read_original(wall, after=since, offset=2, limit=5)["comments"] == [first]
    assert read_original(wall, after=since, offset=2, limit=5)["hasMore"] is False
    assert read_original(wall, after=since, offset=1, limit=1)["hasMore"] is True


def test_p8_a_search_on_the_server_is_refused_by_name_and_says_what_to_do(wall: Server) -> None:
    assert_refused(wall.http.get(WALL, params={"uss": "Human:169080199"}), 422, "uss", "choose the messages in the page")


@pytest.mark.parametrize("query", ["order=asc", "after=soon", "limit=-1", "type=alien", "offset=x", "after=1&after=2"])
def test_p8_other_parameters_and_values_are_refused_by_name(wall: Server, query: str) -> None:
    assert_refused(wall.http.get(f"{WALL}?{query}"), 422, query.partition("=")[0])


def test_a_message_has_every_field_that_a_page_looks_at(wall: Server) -> None:
    taken = posted(wall, color=TAILED, botParams={"entity": "zen", "priority": 5, "ais": "MyAI:255069000"})
    looked_at = {
        "id",
        "timestamp",
        "text",
        "username",
        "color",
        "message-type",
        "messageType",
        "domain",
        "botParams",
        "replyTo",
    }
    assert looked_at <= taken.keys()
    assert {"entity", "status", "priority", "ais", "claimedBy", "claimedAt", "completedAt"} <= taken["botParams"].keys()
    clean = message(wall, taken["id"])
    assert {name: value for name, value in taken.items() if name in {"id", "timestamp", "text", "username", "replyTo"}} == {
        name: clean[name] for name in ("id", "timestamp", "text", "username", "replyTo")
    }


def test_messages_of_the_clean_wall_are_read_the_same_way(wall: Server) -> None:
    body = {"text": "Why?", "username": "Human", "color": "169080199"}
    clean = said(wall.http.post("/api/comments", json=body))["id"]
    assert original(wall, clean)["message-type"] == "human"


def test_the_page_finds_how_many_messages_there_are(wall: Server) -> None:
    posted(wall)
    assert said(wall.http.get("/original/api/stats")) == {"totalMessages": len(read(wall))}


def test_the_health_of_the_wall_is_answered(wall: Server) -> None:
    assert said(wall.http.get(f"{WALL}/health")) == {"status": "alive"}


# -- (a) The bot


@pytest.mark.needs("own figures")
def test_what_is_pending_comes_in_an_object_with_true_figures_of_storage(wall: Server) -> None:
    taken = posted(wall, color=TAILED, botParams={"entity": "only-here"})
    answer = said(wall.http.get("/original/api/queue/pending", params={"entity": "only-here"}))
    assert answer["pending"] == [taken]
    figures = {name: metric(wall, f"sww_storage_{name}_total") for name in ("reads", "writes")}
    assert figures["writes"] == answer["kvStats"]["writes"] > 0
    assert figures["reads"] >= answer["kvStats"]["reads"] >= 0, "a look at the figures reads, too"


@pytest.mark.parametrize(("query", "listed"), [("", 10), ("limit=3", 3), ("limit=0", 0), ("limit=999999", 12)])
def test_pending_takes_every_limit_that_a_bot_asks_for(start_server: StartServer, query: str, listed: int) -> None:
    server = start_server()
    for _ in range(12):
        posted(server)
    assert len(said(server.http.get(f"/original/api/queue/pending?{query}"))["pending"]) == listed


def test_p3_a_claim_is_taken_once(wall: Server) -> None:
    taken = posted(wall)
    held = claimed(wall, taken["id"], "bot-1")
    assert held["message-type"] == "human"
    assert (held["botParams"]["status"], held["botParams"]["claimedBy"]) == ("processing", "bot-1")
    assert_refused(call(wall, "claim", messageId=taken["id"], workerId="bot-2"), 409, "bot-1")
    assert_refused(call(wall, "claim", messageId="nosuchmessage", workerId="bot-2"), 404, "nosuchmessage")


def test_p4_a_reply_in_two_steps_and_then_complete(wall: Server) -> None:
    taken = posted(wall, botParams={"entity": "zen"})
    claimed(wall, taken["id"])
    reply = said(send(wall, bot_post(taken["id"])))
    assert reply.keys() == {"id", "timestamp", "status"}
    assert said(call(wall, "complete", messageId=taken["id"])) == {"success": True}
    assert params(wall, taken["id"])["status"] == "complete"
    assert params(wall, taken["id"])["answeredBy"] == reply["id"]
    answer = original(wall, reply["id"])
    assert (answer["message-type"], answer["replyTo"], answer["domain"]) == ("AI", taken["id"], "saywhatwant.app")


def test_p4_a_second_reply_gets_the_first_one(wall: Server) -> None:
    taken = posted(wall)
    claimed(wall, taken["id"])
    first = said(send(wall, bot_post(taken["id"])))
    assert said(send(wall, bot_post(taken["id"], "Something else.")))["id"] == first["id"]
    said(call(wall, "complete", messageId=taken["id"]))
    assert said(send(wall, bot_post(taken["id"], "Something late.")))["id"] == first["id"]


def test_p3_a_bot_may_name_its_worker_and_attempt(wall: Server) -> None:
    taken = posted(wall)
    claimed(wall, taken["id"], "bot-1")
    others: list[Json] = [{"workerId": "bot-2"}, {"attempt": 2}]
    for fence in others:
        assert_refused(send(wall, bot_post(taken["id"], **fence)), 409)
        assert_refused(call(wall, "complete", messageId=taken["id"], **fence), 409)
    fence = {"workerId": "bot-1", "attempt": 1}
    said(send(wall, bot_post(taken["id"], **fence)))
    said(call(wall, "complete", messageId=taken["id"], **fence))


def test_p8_complete_is_refused_where_there_is_nothing_to_complete(wall: Server) -> None:
    taken = posted(wall)
    assert_refused(call(wall, "complete", messageId=taken["id"]), 409, "not processing")
    assert_refused(call(wall, "complete", messageId="nosuchmessage"), 404, "nosuchmessage")
    claimed(wall, taken["id"])
    said(call(wall, "complete", messageId=taken["id"]))
    assert_refused(call(wall, "complete", messageId=taken["id"]), 409, "not processing")


def test_an_ai_post_is_never_work(wall: Server) -> None:
    body = page_post("I am the answer", domain="zen.example.org", **{"message-type": "AI"})
    assert original(wall, said(send(wall, body))["id"])["botParams"]["entity"] is None
    listed = said(wall.http.get("/original/api/queue/pending?limit=999999"))["pending"]
    assert "I am the answer" not in {message["text"] for message in listed}


def test_p8_an_ai_post_and_every_queue_call_need_the_token(start_server: StartServer) -> None:
    wall = start_server(bot_token=TOKEN)
    taken = posted(wall)
    hold = {"messageId": taken["id"], "workerId": "bot-1"}
    calls = [("claim", hold), ("claim-next", {"workerId": "bot-1"}), ("complete", {"messageId": taken["id"]})]
    for refused in (
        send(wall, bot_post(taken["id"])),
        send(wall, bot_post(taken["id"]), Authorization="Bearer wrong"),
        wall.http.get("/original/api/queue/pending"),
        *(call(wall, name, **body) for name, body in calls),
    ):
        assert_refused(refused, 401, "Bearer")
    assert original(wall, taken["id"]) == taken
    wall.http.headers.update(BEARER)
    claimed(wall, taken["id"])
    said(send(wall, bot_post(taken["id"])))
    said(call(wall, "complete", messageId=taken["id"]))


def test_p8_posts_beyond_the_rate_are_refused_on_both_walls_together(start_server: StartServer) -> None:
    wall = start_server(rate_limit=2)
    posted(wall)
    said(wall.http.post("/api/comments", json={"text": "Why?", "username": "Human", "color": "169080199"}))
    assert_refused(send(wall, page_post()), 429, "2 posts a minute")


# -- (b) What changed


def test_p7_the_same_id_again_is_a_duplicate_and_adds_nothing(wall: Server) -> None:
    body = page_post(id="samesame01", timestamp=1, botParams={"entity": "zen"})
    first = said(send(wall, body))
    again = said(send(wall, body | {"timestamp": 2}))
    assert (first["status"], again["status"]) == ("success", "duplicate")
    assert {**again, "status": "success"} == first
    assert ids(read(wall)).count("samesame01") == 1
    assert_refused(send(wall, body | {"text": "Another."}), 422, "id")
    assert_refused(send(wall, page_post(id="samesame02"), **{"Idempotency-Key": "key"}), 422, "id")


def test_a_post_with_context_and_without_entity_wants_no_answer(wall: Server) -> None:
    taken = posted(wall, context=["Ada: Hello."])
    assert taken["botParams"]["status"] == "complete"
    assert taken["botParams"]["answer"] is False
    assert_refused(call(wall, "claim", messageId=taken["id"], workerId="bot-1"), 409, "complete")


def test_what_comes_with_a_post_that_wants_no_answer_is_given_back(wall: Server) -> None:
    given = {"priority": 7, "ais": "MyAI:255069000", "sessionId": "session-1", "humanUsername": "Ada", "model": "llama"}
    taken = posted(wall, context=[], botParams=given)
    assert given.items() <= taken["botParams"].items()


def test_a_score_in_a_post_is_refused_by_name(wall: Server) -> None:
    assert_refused(send(wall, page_post(eqScore=80)), 422, "eqScore", "no score")


@pytest.mark.parametrize("body", [{"eqScore": 80}, {}, None])
def test_p8_a_score_of_a_message_is_refused_with_a_problem_that_says_so(wall: Server, body: Json | None) -> None:
    taken = posted(wall)
    refused = wall.http.patch(f"{WALL}/{taken['id']}", json=body, headers=FROM_PAGE)
    assert_refused(refused, 422, "eqScore", "no score")
    assert refused.headers["access-control-allow-origin"] == "*"


def test_what_a_god_mode_asks_for_has_no_effect(wall: Server) -> None:
    assert read_original(wall, includeGodMode="true") == read_original(wall)


def test_p3_claim_next_takes_the_most_urgent_and_counts_the_rest(start_server: StartServer) -> None:
    wall = start_server()
    urgent, late = posted(wall, botParams={"priority": 7}), posted(wall, botParams={"priority": 60})
    first = said(call(wall, "claim-next", workerId="bot-1"))
    assert first == {"success": True, "message": first["message"], "totalPending": 2, "remainingPending": 1}
    assert first["message"]["id"] == urgent["id"]
    assert said(call(wall, "claim-next", workerId="bot-2"))["message"]["id"] == late["id"]
    nothing = {"success": False, "message": None, "reason": "no_pending_messages", "totalPending": 0, "remainingPending": 0}
    assert said(call(wall, "claim-next", workerId="bot-3")) == nothing


def test_claim_next_brings_the_context_too(start_server: StartServer) -> None:
    wall = start_server()
    posted(wall, context=["Ada: Hello."], botParams={"entity": "zen"})
    assert said(call(wall, "claim-next", workerId="bot-1"))["message"]["context"] == ["Ada: Hello."]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/original/api/conversation?humanUsername=Ada&humanColor=169080199"),
        ("GET", "/original/api/admin/stats"),
        ("POST", "/original/api/admin/purge"),
        ("POST", "/original/api/queue/fail"),
        ("GET", "/original/"),
    ],
)
def test_p8_a_path_that_is_not_served_is_a_problem_with_an_error(wall: Server, method: str, path: str) -> None:
    assert_refused(wall.http.request(method, path, headers=FROM_PAGE), 404, "nothing is served")


def test_p8_a_method_that_is_not_served_is_a_problem_with_an_error(wall: Server) -> None:
    assert_refused(wall.http.delete(WALL), 405, "method")
    assert_refused(wall.http.put(f"{WALL}/abcdefghij"), 404, "nothing is served")
    assert_refused(wall.http.patch(f"{WALL}/health"), 405, "method")


def test_p8_a_body_that_is_no_json_is_a_problem_with_an_error(wall: Server) -> None:
    assert_refused(wall.http.post(WALL, content=b"{"), 400, "JSON")


# -- Pages of other origins


@pytest.mark.parametrize("origin", [SITE, "http://localhost:3000", "null"])
def test_pages_of_every_origin_read_and_post(wall: Server, origin: str) -> None:
    headers = {"Origin": origin}
    for response in (send(wall, page_post(), **headers), wall.http.get(WALL, headers=headers)):
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
def test_a_browser_may_ask_for_every_method_and_header(wall: Server, method: str) -> None:
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "content-type, x-requested-with"}
    preflight = wall.http.options(f"{WALL}/abcdefghij", headers=FROM_PAGE | asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert method in preflight.headers["access-control-allow-methods"]
    assert "x-requested-with" in preflight.headers["access-control-allow-headers"].lower()


def test_p8_without_a_token_pages_of_other_sites_call_no_queue_and_post_no_ai_message(wall: Server) -> None:
    taken = posted(wall)
    for refused in (
        wall.http.get("/original/api/queue/pending", headers=FROM_PAGE),
        wall.http.post("/original/api/queue/claim-next", json={"workerId": "bot"}, headers=FROM_PAGE),
        send(wall, bot_post(taken["id"]), **FROM_PAGE),
    ):
        assert_refused(refused, 403, SITE)
    assert original(wall, taken["id"]) == taken


def test_p8_the_clean_wall_stays_closed_to_pages_of_other_sites(wall: Server) -> None:
    response: httpx.Response = wall.http.get("/api/comments", headers=FROM_PAGE)
    assert "access-control-allow-origin" not in response.headers
    assert wall.http.post("/api/comments", json={}, headers=FROM_PAGE).status_code == 403
