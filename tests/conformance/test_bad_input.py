"""Bad input over HTTP: a refusal that names field and rule, and a wall that is as it was (P8)."""

import json
from collections.abc import Iterator

import httpx
import pytest
from calls import Json, a_post, answer, assert_problem, claim, post, queue, read, said
from readers import shake_hands

from conftest import MakeServer, StartServer
from servers import Server

pytestmark = pytest.mark.one_deployment("bad input is refused before any object is asked")

HUGE = "9" * 400


def state(server: Server) -> tuple[Json, list[Json]]:
    """Everything that a caller can see, but for how much was asked."""
    stats = said(server.http.get("/api/stats"))
    del stats["usage"]
    return stats, read(server)


@pytest.fixture(scope="module")
def server(make_server: MakeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests of this file; what is claimed stays so, however long they take."""
    with make_server(tmp_path_factory.mktemp("server"), lease_seconds=3_600) as started:
        yield started


@pytest.fixture(autouse=True)
def untouched(server: Server) -> Iterator[None]:
    """Nothing in this file changes anything on the shared server."""
    if not read(server):
        posted = post(server, "there before", entity="before")
        claim(server, posted["id"])
        post(server, "pending")
    before = state(server)
    yield
    assert state(server) == before


def field_and_rule(response: httpx.Response) -> tuple[str, str]:
    problem = response.json()
    return problem["field"], problem["rule"]


@pytest.mark.parametrize(
    ("field", "body", "rule"),
    [
        pytest.param("body", [], "object", id="a list"),
        pytest.param("body", "text", "object", id="a string"),
        pytest.param("body", None, "object", id="null"),
        pytest.param("text", {"username": "Human", "color": "169080199"}, "required", id="no text"),
        pytest.param("username", {"text": "Why?", "color": "169080199"}, "required", id="no username"),
        pytest.param("color", {"text": "Why?", "username": "Human"}, "required", id="no color"),
        pytest.param("text", a_post("") | {"text": 5}, "a text, not a whole number", id="text is a number"),
        pytest.param("text", a_post(""), "1 to 5000 characters", id="text is empty"),
        pytest.param("text", a_post(" \t\n\u2003"), "1 to 5000 characters", id="text is only space"),
        pytest.param("text", a_post("x" * 5_001), "1 to 5000 characters", id="text is over-long"),
        pytest.param("text", a_post("x" * 45_000), "5000 characters", id="text is very much over-long"),
        pytest.param("text", a_post("a\0b"), "NUL", id="text has a NUL"),
        pytest.param("text", a_post("\x1b[2J"), "control characters", id="text has an escape sequence"),
        pytest.param("username", a_post(username=None), "a text, not null", id="username is null"),
        pytest.param("username", a_post(username="  "), "1 to 32 characters", id="username is only space"),
        pytest.param("username", a_post(username="x" * 33), "1 to 32 characters", id="username is over-long"),
        pytest.param("username", a_post(username="x" * 2_000), "32 characters", id="username is very much over-long"),
        pytest.param("username", a_post(username="two\nlines"), "line breaks", id="username has two lines"),
        pytest.param("username", a_post(username="a\0b"), "control characters", id="username has a NUL"),
        pytest.param("color", a_post(color=169080199), "a text", id="color is a number"),
        pytest.param("color", a_post(color="16908019"), "nine digits", id="color is short"),
        pytest.param("color", a_post(color="1690801990"), "nine digits", id="color is long"),
        pytest.param("color", a_post(color="256000000"), "nine digits", id="color is over 255"),
        pytest.param("color", a_post(color="169080199\n"), "nine digits", id="color has a line break"),
        pytest.param("color", a_post(color="١٦٩٠٨٠١٩٩"), "nine digits", id="color is in other digits"),
        pytest.param("color", a_post(color="#a950c7"), "nine digits", id="color is in hex"),
        pytest.param("messageType", a_post(messageType="alien"), "human", id="messageType is unknown"),
        pytest.param("replyTo", a_post(replyTo="UPPERCASE0"), "4 to 32 characters", id="replyTo is no id"),
        pytest.param("botParams", a_post(botParams="zen"), "object", id="botParams is a string"),
        pytest.param("botParams.entity", a_post(botParams={"entity": "Zen!"}), "plain name", id="entity is no plain name"),
        pytest.param("botParams.entity", a_post(botParams={"entity": "x" * 65}), "plain name", id="entity is over-long"),
        pytest.param("replyTo", a_post(replyTo="abcdefghi0\n"), "4 to 32 characters", id="replyTo has a line break"),
        pytest.param("botParams.entity", a_post(botParams={"entity": "zen\n"}), "plain name", id="entity has a line break"),
        pytest.param("botParams.entity", a_post(botParams={"entity": ""}), "plain name", id="entity is empty"),
        pytest.param("botParams.priority", a_post(botParams={"priority": -1}), "0", id="priority is negative"),
        pytest.param("botParams.priority", a_post(botParams={"priority": 100}), "99", id="priority is over 99"),
        pytest.param("botParams.priority", a_post(botParams={"priority": 10**40}), "whole number", id="priority is huge"),
        pytest.param("botParams.priority", a_post(botParams={"priority": 0.5}), "whole number", id="priority is no integer"),
    ],
)
def test_p8_a_post_that_breaks_a_rule_is_refused_with_field_and_rule(
    server: Server, field: str, body: object, rule: str
) -> None:
    response = server.http.post("/api/comments", content=json.dumps(body))
    assert_problem(response, 422)
    refused_field, refused_rule = field_and_rule(response)
    assert refused_field == field
    assert rule in refused_rule


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b'{"text": "Why?"', id="cut off"),
        pytest.param(b"text=Why%3F&username=Human", id="a form"),
        pytest.param(b"\xff\xfe\x00", id="no text"),
        pytest.param(b'{"text": NaN, "username": "Human", "color": "169080199"}', id="NaN"),
        pytest.param(rb'{"text": "\ud800", "username": "Human", "color": "169080199"}', id="an escaped lone surrogate"),
        pytest.param(rb'{"text": "\udc00\ud800", "username": "Human", "color": "169080199"}', id="swapped surrogates"),
        pytest.param(b'{"text": "\xed\xa0\x80", "username": "Human", "color": "169080199"}', id="a raw lone surrogate"),
        pytest.param(b'{"text": "a\0b", "username": "Human", "color": "169080199"}', id="a raw NUL"),
        pytest.param(b'{"text": "\xc0\xaf", "username": "Human", "color": "169080199"}', id="UTF-8 that is longer than needed"),
    ],
)
def test_p8_a_body_that_is_not_json_is_refused(server: Server, body: bytes) -> None:
    assert_problem(server.http.post("/api/comments", content=body), 400, "JSON")
    assert_problem(server.http.post("/api/queue/claim", content=body.replace(b'"text"', b'"workerId"')), 400, "JSON")


@pytest.mark.parametrize(
    ("call", "field", "body"),
    [
        ("claim", "workerId", {"messageId": "abcdefghi0"}),
        ("claim", "workerId", {"workerId": ""}),
        ("claim", "workerId", {"workerId": "x" * 129}),
        ("claim", "messageId", {"workerId": "worker-1", "messageId": "../../etc"}),
        ("claim", "entities", {"workerId": "worker-1", "entities": []}),
        ("claim", "entities", {"workerId": "worker-1", "entities": ["zen"] * 65}),
        ("claim", "entities", {"workerId": "worker-1", "entities": ["Zen!"]}),
        ("claim", "personas", {"workerId": "worker-1", "personas": {"Zen!": "0" * 16}}),
        ("claim", "personas[...]", {"workerId": "worker-1", "personas": {"zen": "0"}}),
        ("claim", "limit", {"workerId": "worker-1", "limit": 0}),
        ("claim", "limit", {"workerId": "worker-1", "limit": 101}),
        ("claim", "wait", {"workerId": "worker-1", "wait": -1}),
        ("claim", "wait", {"workerId": "worker-1", "wait": 61}),
        ("complete", "messageId", {}),
        ("complete", "attempt", {"messageId": "abcdefghi0", "attempt": 0}),
        ("complete", "attempt", {"messageId": "abcdefghi0", "attempt": "1"}),
        ("complete", "reply.text", {"messageId": "abcdefghi0", "reply": {"text": " "}}),
        ("complete", "reply.text", {"messageId": "abcdefghi0", "reply": {"text": "x" * 5_001}}),
        ("complete", "reply.text", {"messageId": "abcdefghi0", "reply": {"text": "\0"}}),
        ("complete", "reply.username", {"messageId": "abcdefghi0", "reply": {"text": "Yes.", "username": "x" * 33}}),
        ("complete", "reply.color", {"messageId": "abcdefghi0", "reply": {"text": "Yes.", "color": "red"}}),
        ("extend", "attempt", {"messageId": "abcdefghi0", "workerId": "worker-1"}),
        ("fail", "error", {"messageId": "abcdefghi0", "workerId": "worker-1", "attempt": 1}),
        ("fail", "retry", {"messageId": "abcdefghi0", "workerId": "worker-1", "attempt": 1, "error": "no", "retry": "yes"}),
        ("retry", "messageId", {"messageId": None}),
    ],
)
def test_p8_a_call_of_the_queue_that_breaks_a_rule_is_refused_with_the_field(
    server: Server, call: str, field: str, body: Json
) -> None:
    response = queue(server, call, **body)
    assert_problem(response, 422)
    refused_field, refused_rule = field_and_rule(response)
    assert refused_field.startswith(field)
    assert refused_rule


BODIES: dict[str, Json] = {
    "/api/comments": a_post(),
    "/api/queue/claim": {"workerId": "worker-1", "messageId": "nosuchid00"},
    "/api/queue/complete": {"messageId": "nosuchid00"},
    "/api/queue/extend": {"messageId": "nosuchid00", "workerId": "worker-1", "attempt": 1},
    "/api/queue/fail": {"messageId": "nosuchid00", "workerId": "worker-1", "attempt": 1, "error": "no"},
    "/api/queue/progress": {"messageId": "nosuchid00", "workerId": "worker-1", "attempt": 1, "text": "Yes"},
    "/api/queue/release": {"messageId": "nosuchid00", "workerId": "worker-1", "attempt": 1},
    "/api/queue/retry": {"messageId": "nosuchid00"},
    "/api/queue/batch": {"action": "retry", "messageIds": ["nosuchid00"]},
    **{f"/api/moderation/{call}": {"messageId": "nosuchid00"} for call in ("hide", "restore", "erase")},
    "/api/queue/circuit": {"workerId": "w", "provider": "p", "entities": [], "seconds": 0, "reason": ""},
    "/api/moderation/ban": {"username": "Nobody", "color": "000000000", "seconds": 1},
    "/api/moderation/unban": {"banId": "nosuchid00"},
    "/api/moderation/filter": {"phrase": "a phrase of nobody", "action": "hold"},
    "/api/moderation/unfilter": {"phrase": "a phrase of nobody"},
    "/api/moderation/slow": {"seconds": 0},
    "/api/moderation/approve": {"messageId": "nosuchid00"},
    "/api/moderation/reject": {"messageId": "nosuchid00"},
    "/api/moderation/dismiss": {"messageId": "nosuchid00"},
    "/api/report": {"messageId": "nosuchid00"},
    "/api/ops/sign-in": {"token": "nobody's"},
    "/api/ops/sign-out": {},
    "/original/api/comments": a_post(),
    "/original/api/queue/claim": {"workerId": "worker-1", "messageId": "nosuchid00"},
    "/original/api/queue/claim-next": {"workerId": "worker-1"},
    "/original/api/queue/complete": {"messageId": "nosuchid00"},
}
READS = (
    *("/api/comments", "/api/queue/pending", "/api/queue/messages", "/api/queue/bots", "/api/entities", "/api/stats"),
    *("/api/moderation", "/api/moderation/audit", "/api/ops/session", "/api/ops/history", "/api/ops/figures"),
    *("/original/api/comments", "/original/api/queue/pending", "/original/api/stats"),
)
PROBES = (
    *("/metrics", "/healthz", "/readyz", "/api/ws", "/api/queue/ws", "/original/api/comments/health"),
    *("/api/moderation/hidden", "/api/ops/session", "/api/ops/message", "/api/ops/ws"),
)


@pytest.mark.needs("own files")
def test_p8_these_tests_try_every_operation(server: Server) -> None:
    paths = said(server.http.get("/api/openapi.json"))["paths"]
    assert {path for path, methods in paths.items() if "post" in methods} == set(BODIES)
    assert {path for path, methods in paths.items() if "get" in methods} == {*READS, *PROBES}


@pytest.mark.parametrize("path", BODIES)
def test_p8_an_unknown_field_is_refused_by_its_name(server: Server, path: str) -> None:
    for name in ("processed", "text ", "Text", "", "ключ"):
        response = server.http.post(path, json=BODIES[path] | {name: None})
        assert_problem(response, 422)
        assert field_and_rule(response) == (name, "is not a known field")


@pytest.mark.parametrize(
    ("path", "field", "body"),
    [
        ("/api/comments", "botParams.status", a_post(botParams={"status": "complete"})),
        ("/api/queue/complete", "reply.entity", {"messageId": "nosuchid00", "reply": {"text": "Yes.", "entity": "zen"}}),
    ],
)
def test_p8_an_unknown_field_further_in_is_named_with_its_path(server: Server, path: str, field: str, body: Json) -> None:
    response = server.http.post(path, json=body)
    assert_problem(response, 422)
    assert field_and_rule(response) == (field, "is not a known field")


@pytest.mark.parametrize(
    ("method", "path"), [*(("POST", path) for path in BODIES), *(("GET", path) for path in READS + PROBES)]
)
def test_p8_an_unknown_parameter_is_refused_by_its_name(server: Server, method: str, path: str) -> None:
    for query, field in (("limits=5", "limits"), ("&Limit", "Limit"), ("%C3%A9=", "é"), ("limit[]=1", "limit[]")):
        response = server.http.request(method, f"{path}?{query}", json=BODIES[path] if method == "POST" else None)
        assert_problem(response, 422)
        assert field_and_rule(response) == (field, "is not a known parameter")


def test_p8_an_unknown_parameter_of_a_websocket_is_refused_at_its_handshake(server: Server) -> None:
    for query, field in (("since=1&token=1", "token"), ("since=1&since=1", "since"), ("since=%FF", "query"), ("%zz", "query")):
        response = shake_hands(server, f"?{query}")
        assert_problem(response, 422)
        assert field_and_rule(response)[0] == field


@pytest.mark.parametrize("query", ["limit=5&limit=5", "limit=5&since=0&limit=6", "limit&limit"])
def test_p8_a_parameter_that_is_given_twice_is_refused(server: Server, query: str) -> None:
    response = server.http.get(f"/api/comments?{query}")
    assert_problem(response, 422)
    assert field_and_rule(response) == ("limit", "must be given once")


@pytest.mark.parametrize("query", ["since=%", "since=%2", "since=%zz", "%=1", "since=1%"])
def test_p8_a_query_that_is_not_percent_encoded_is_refused(server: Server, query: str) -> None:
    response = server.http.request("GET", httpx.URL(server.url).copy_with(raw_path=b"/api/comments?" + query.encode()))
    assert_problem(response, 422, "query", "two hexadecimal digits")


@pytest.mark.parametrize("query", ["since=%FF", "%FF=1", "since=%C3", "entity=%ED%A0%80"])
def test_p8_a_query_that_is_not_utf_8_is_refused(server: Server, query: str) -> None:
    assert_problem(server.http.get(f"/api/comments?{query}"), 422, "query", "UTF-8")


@pytest.mark.parametrize("other", ["since=5", "before=5", "order=asc", "order=desc", "conversation=0123456789abcdef"])
def test_p8_a_read_of_changes_takes_no_other_order(server: Server, other: str) -> None:
    assert_problem(server.http.get(f"/api/comments?changedAfter=0&{other}"), 422, "changedAfter")
    assert server.http.get("/api/comments?changedAfter=0&limit=5").status_code == 200


@pytest.mark.parametrize("more", [{"limit": 2}, {"wait": 1}])
def test_p8_a_claim_by_id_takes_nothing_that_chooses_others(server: Server, more: Json) -> None:
    assert_problem(queue(server, "claim", messageId="nosuchid00", workerId="worker-1", **more), 422, "messageId")


@pytest.mark.parametrize("more", [{"workerId": "worker-1"}, {"attempt": 1}])
@pytest.mark.parametrize("kind", [{}, {"messageType": "AI"}, {"replyTo": "nosuchid00"}])
def test_p8_only_a_reply_carries_the_attempt_it_was_made_in(server: Server, more: Json, kind: Json) -> None:
    assert_problem(server.http.post("/api/comments", json=a_post(**kind, **more)), 422, *more)


@pytest.mark.parametrize("path", ["/api/comments", "/api/queue/pending"])
@pytest.mark.parametrize("value", ["0", "-1", "1001", HUGE, "ten", "1.5", "", "NaN", "0x10", "null", "true", "+1", " 1"])
def test_p8_a_bad_limit_is_refused(server: Server, path: str, value: str) -> None:
    assert_problem(server.http.get(path, params={"limit": value}), 422, "limit")


@pytest.mark.parametrize("value", ["-1", str(2**53), HUGE, "yesterday", "1.5", "", "NaN", "\0", "null"])
def test_p8_a_bad_since_is_refused(server: Server, value: str) -> None:
    assert_problem(server.http.get("/api/comments", params={"since": value}), 422, "since")


@pytest.mark.parametrize("value", ["up", "", "ASC"])
def test_p8_a_bad_order_is_refused_with_the_orders_there_are(server: Server, value: str) -> None:
    response = server.http.get("/api/comments", params={"order": value})
    assert_problem(response, 422)
    assert field_and_rule(response) == ("order", "must be one of asc, desc")


def test_p8_a_bad_state_is_refused_with_the_states_there_are(server: Server) -> None:
    response = server.http.get("/api/queue/messages?state=done")
    assert_problem(response, 422)
    assert field_and_rule(response) == ("state", "must be one of pending, waiting, held, failed")


def test_p8_a_bad_entity_in_a_query_is_refused(server: Server) -> None:
    assert_problem(server.http.get("/api/queue/pending", params={"entity": "Zen!"}), 422, "entity")


@pytest.mark.every_deployment
@pytest.mark.parametrize(
    ("call", "more"),
    [
        ("claim", {"workerId": "worker-1"}),
        ("complete", {}),
        ("extend", {"workerId": "worker-1", "attempt": 1}),
        ("fail", {"workerId": "worker-1", "attempt": 1, "error": "no"}),
        ("retry", {}),
    ],
)
def test_p8_an_unknown_id_is_a_404(server: Server, call: str, more: Json) -> None:
    assert_problem(queue(server, call, messageId="nosuchid00", **more), 404, "messageId", "nosuchid00")


@pytest.mark.every_deployment
def test_p8_an_answer_to_an_unknown_message_is_a_404(server: Server) -> None:
    assert_problem(answer(server, "nosuchid00"), 404, "replyTo", "nosuchid00")


@pytest.mark.every_deployment
def test_p8_calls_that_do_not_fit_the_state_are_409(server: Server) -> None:
    by_status = {message["botParams"]["status"]: message for message in read(server, order="desc")}
    pending, held = by_status["pending"], by_status["processing"]
    hold = {"messageId": pending["id"], "workerId": "worker-1", "attempt": 1}
    assert_problem(queue(server, "complete", messageId=pending["id"]), 409, "pending")
    assert_problem(queue(server, "retry", messageId=pending["id"]), 409, "pending")
    assert_problem(queue(server, "extend", **hold), 409)
    assert_problem(queue(server, "fail", **hold, error="no"), 409)
    assert_problem(answer(server, pending["id"]), 409, "pending")
    assert_problem(queue(server, "claim", messageId=held["id"], workerId="worker-2"), 409, "processing")
    assert_problem(queue(server, "retry", messageId=held["id"]), 409, "processing")
    assert_problem(queue(server, "complete", messageId=held["id"], attempt=7), 409, "attempt 7")


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\u00e9", "tab\there"], ids=["empty", "over-long", "not ASCII", "a tab"])
def test_p8_a_bad_idempotency_key_is_refused(server: Server, key: str) -> None:
    headers = [(b"Idempotency-Key", key.encode("latin-1"))]
    response = server.http.post("/api/comments", json=a_post(), headers=headers)
    assert_problem(response, 422, "Idempotency-Key", "1 to 255 printable ASCII characters")


@pytest.mark.every_deployment
def test_p7_a_key_that_was_used_for_another_message_is_refused(start_server: StartServer) -> None:
    server = start_server()
    headers = {"Idempotency-Key": "reused"}
    first = said(server.http.post("/api/comments", json=a_post("one"), headers=headers))
    before = state(server)
    assert_problem(server.http.post("/api/comments", json=a_post("another"), headers=headers), 422, "Idempotency-Key")
    assert_problem(server.http.post("/api/comments", json=a_post("one", color="000000000"), headers=headers), 422)
    assert state(server) == before
    assert said(server.http.post("/api/comments", json=a_post("one"), headers=headers)) == first


def test_p8_an_unknown_entity_is_refused_where_entities_are_closed(start_server: StartServer) -> None:
    server = start_server(open_entities="false")
    before = state(server)
    response = server.http.post("/api/comments", json=a_post(botParams={"entity": "nobody"}))
    assert_problem(response, 422, "botParams.entity", "eliza", "zen")
    assert state(server) == before
    assert post(server, entity="zen")["status"] == "success"


def test_p8_a_text_beyond_the_setting_is_refused_with_the_setting(start_server: StartServer) -> None:
    server = start_server(max_text=10)
    assert_problem(server.http.post("/api/comments", json=a_post("x" * 11)), 422, "text", "1 to 10 characters")
    assert post(server, "x" * 10)["status"] == "success"


def test_p8_paths_and_methods_that_are_not_served_are_problems_too(server: Server) -> None:
    assert_problem(server.http.get("/api/nothing"), 404)
    refused = server.http.delete("/api/comments")
    assert_problem(refused, 405)
    assert {"GET", "POST"} <= {method.strip() for method in refused.headers["allow"].split(",")}
