"""Conversations over HTTP: what a post may bring, what a claim gets, and one talk read by itself."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from calls import Json, a_post, assert_problem, claim_next, message, params, queue, read, said

from conftest import StartServer
from servers import Server

ENTITIES = """
[ada]
display_name = "Ada"
color = "100100100"
model = "nltk:eliza"

[ben]
display_name = "Ben"
color = "100100101"
model = "nltk:eliza"
alias = true
"""


def somebody() -> Json:
    """A new visitor, since the tests of this module share a server."""
    return {"username": f"v{uuid4().hex[:12]}"}


def send(server: Server, text: str, params: Json | None = None, **more: object) -> Json:
    posted: Json = said(server.http.post("/api/comments", json=a_post(text, **more, botParams=params or {})))
    return posted


def recall(server: Server, entity: str, context: int = 100) -> tuple[Json, Json]:
    """The next message to an entity of the test's own, and what comes with it."""
    claimed = said(queue(server, "claim", workerId="worker-1", entities=[entity], context=context))
    (found,) = claimed["messages"]
    return found, claimed["talks"][found["id"]]


def exchange(server: Server, text: str, entity: str, **who: object) -> Json:
    """A question with its answer; returns what came with the question."""
    posted = send(server, text, {"entity": entity}, **who)
    found, talk = recall(server, entity)
    assert found["id"] == posted["id"]
    reply = {"text": f"answer to {text}"}
    said(queue(server, "complete", messageId=found["id"], workerId="worker-1", attempt=1, reply=reply))
    return talk


def texts(messages: list[Json]) -> list[object]:
    return [message["text"] for message in messages]


# -- A claim with its talk


def test_a_claim_brings_the_talk_of_this_person_with_this_entity(server: Server) -> None:
    ann, bob = somebody(), somebody()
    exchange(server, "I am Ann.", "talks-1", **ann)
    exchange(server, "I am Bob.", "talks-1", **bob)
    talk = exchange(server, "Who am I?", "talks-1", **ann)
    assert texts(talk["turns"]) == ["I am Ann.", "answer to I am Ann."]
    assert "context" not in talk
    assert texts(exchange(server, "Again?", "talks-1", **ann)["turns"])[-1] == "answer to Who am I?"


def test_a_claim_brings_no_more_turns_than_it_asks_for(server: Server) -> None:
    ann = somebody()
    for n in range(3):
        exchange(server, f"question {n}", "talks-2", **ann)
    send(server, "Well?", {"entity": "talks-2"}, **ann)
    assert texts(recall(server, "talks-2", context=3)[1]["turns"]) == [
        "answer to question 1",
        "question 2",
        "answer to question 2",
    ]


def test_a_claim_that_asks_for_no_talk_has_none(server: Server) -> None:
    send(server, "Why?", {"entity": "talks-3"})
    assert "talks" not in said(queue(server, "claim", workerId="worker-1", entities=["talks-3"]))


def test_a_claim_by_id_brings_the_talk_too(server: Server) -> None:
    ann = somebody()
    exchange(server, "I am Ann.", "talks-4", **ann)
    posted = send(server, "Who am I?", {"entity": "talks-4"}, **ann)
    claimed = said(queue(server, "claim", messageId=posted["id"], workerId="worker-1", context=10))
    assert texts(claimed["talks"][posted["id"]]["turns"]) == ["I am Ann.", "answer to I am Ann."]


def test_a_claim_that_waits_brings_the_talk_too(server: Server) -> None:
    ann = somebody()
    exchange(server, "I am Ann.", "talks-5", **ann)
    send(server, "Who am I?", {"entity": "talks-5"}, **ann)
    claimed = said(queue(server, "claim", workerId="worker-1", entities=["talks-5"], context=10, wait=5))
    (talk,) = claimed["talks"].values()
    assert texts(talk["turns"]) == ["I am Ann.", "answer to I am Ann."]


def test_a_session_is_a_talk_of_its_own(server: Server) -> None:
    ann = somebody()
    exchange(server, "I am Ann.", "talks-6", **ann)
    posted = send(server, "Who am I?", {"entity": "talks-6", "sessionId": "s-1"}, **ann)
    assert recall(server, "talks-6")[1]["turns"] == []
    assert params(server, posted["id"])["sessionId"] == "s-1"


@pytest.mark.needs("durability")
def test_p1_a_talk_survives_kill_9(start_server: StartServer) -> None:
    server, ann = start_server(), somebody()
    exchange(server, "I am Ann.", "zen", **ann)
    send(server, "Who am I?", {"entity": "zen"}, context=["Eve: I am Eve."], **ann)
    send(server, "And now?", {"entity": "zen"}, **ann)
    server.kill()
    server.start()
    assert recall(server, "zen")[1]["context"] == ["Eve: I am Eve."]
    assert texts(recall(server, "zen")[1]["turns"]) == ["I am Ann.", "answer to I am Ann.", "Who am I?"]


# -- One talk read by itself


def test_one_talk_is_read_by_its_conversation(server: Server) -> None:
    ann, bob = somebody(), somebody()
    for n in range(3):
        exchange(server, f"question {n}", "talks-7", **ann)
        exchange(server, "I am somebody else.", "talks-7", **bob)
    conversation = next(m["conversation"] for m in read(server) if m["username"] == ann["username"])
    talk = [f"{start}question {n}" for n in range(3) for start in ("", "answer to ")]
    assert texts(read(server, conversation=conversation, order="asc")) == talk
    assert texts(read(server, conversation=conversation, limit=2)) == talk[:-3:-1]
    paged: list[Json] = []
    while page := read(server, conversation=conversation, order="asc", limit=2, since=paged[-1]["timestamp"] if paged else 0):
        paged += page
    assert texts(paged) == talk
    assert texts(read(server, conversation=conversation, before=paged[2]["timestamp"])) == talk[1::-1]


def test_a_conversation_that_is_none_has_no_messages(server: Server) -> None:
    assert read(server, conversation="0123456789abcdef") == []
    assert_problem(server.http.get("/api/comments?conversation=xyz"), 422, "conversation", "16 hexadecimal digits")


def test_a_message_to_anyone_joins_the_talk_of_the_entity_that_takes_it(server: Server) -> None:
    ann = somebody()
    exchange(server, "I like tea.", "talks-9", **ann)
    posted = send(server, "What do I like?", **ann)
    assert "conversation" not in message(server, posted["id"])
    entities = ["talks-8", "talks-9"]
    claimed = said(queue(server, "claim", workerId="worker-1", messageId=posted["id"], entities=entities, context=9))
    assert claimed["message"]["botParams"]["assignedEntity"] == "talks-9"
    assert texts(claimed["talks"][posted["id"]]["turns"]) == ["I like tea.", "answer to I like tea."]
    conversation = claimed["message"]["conversation"]
    assert texts(read(server, conversation=conversation, order="asc")) == [
        "I like tea.",
        "answer to I like tea.",
        "What do I like?",
    ]


# -- What a post may bring


def test_a_context_comes_with_its_message_and_is_in_no_feed(server: Server) -> None:
    ann = somebody()
    exchange(server, "I am Ann.", "talks-10", **ann)
    send(server, "Who am I?", {"entity": "talks-10"}, context=["Eve: I am Eve.", "Zen: Hello."], **ann)
    assert "Eve" not in server.http.get("/api/comments?limit=5").text
    assert "Eve" not in server.http.get("/api/comments?changedAfter=0").text
    assert "Eve" not in server.http.get("/api/queue/pending").text
    found, talk = recall(server, "talks-10")
    assert found["botParams"]["hasContext"] is True
    assert talk == {"turns": [], "context": ["Eve: I am Eve.", "Zen: Hello."]}
    said(queue(server, "complete", messageId=found["id"], workerId="worker-1", attempt=1, reply={"text": "Ann."}))
    assert "hasContext" not in params(server, found["id"])
    assert texts(exchange(server, "And now?", "talks-10", **ann)["turns"])[0] == "I am Ann."


def test_the_longest_context_of_the_original_is_taken(server: Server) -> None:
    """200 strings of a name and a text at their longest, in four-byte characters that escapes make twelve bytes long."""
    context = [f"Somebody_16chars: {'😀' * 120}"] * 200
    body = a_post("Why?", botParams={"entity": "talks-11"}, context=context)
    said(server.http.post("/api/comments", content=json.dumps(body)))
    assert recall(server, "talks-11")[1]["context"] == context


@pytest.mark.parametrize(
    ("context", "rule"),
    [
        (["x"] * 201, "at most 200 entries"),
        (["x" * 700] * 200, "at most 120000 bytes"),
        (["a\x00b"], "NUL or other control characters"),
        ([1], "must be a text"),
        ("x", "must be a list"),
    ],
    ids=["strings", "bytes", "controls", "kind of string", "kind"],
)
def test_p8_a_context_beyond_its_bounds_is_refused(server: Server, context: object, rule: str) -> None:
    refused = server.http.post("/api/comments", content=json.dumps(a_post(context=context)))
    assert_problem(refused, 422, "context", rule)


def test_a_smaller_bound_of_contexts_is_a_setting(start_server: StartServer) -> None:
    server = start_server(max_context_bytes=100)
    said(server.http.post("/api/comments", json=a_post(context=["x" * 90])))
    assert_problem(server.http.post("/api/comments", json=a_post(context=["x" * 100])), 422, "context", "100 bytes")


@pytest.mark.needs("memory")
def test_p6_contexts_that_wait_are_bounded_and_posts_without_one_get_in(start_server: StartServer) -> None:
    """Their bytes are bounded as if each were the longest: 256 MiB take 2,236 of 120,000 bytes, one entity half of that."""
    server = start_server(backlog_limit=100_000)
    body = json.dumps(a_post(context=["x"]))
    with ThreadPoolExecutor(32) as threads:
        statuses = Counter(threads.map(lambda _: server.http.post("/api/comments", content=body).status_code, range(1_119)))
    assert statuses == {200: 1_118, 503: 1}
    refused = server.http.post("/api/comments", content=body)
    assert_problem(refused, 503, "messages with a context")
    said(server.http.post("/api/comments", json=a_post()))


def test_a_post_that_wants_no_answer_is_on_the_wall_and_never_work(server: Server) -> None:
    posted = send(server, "No answer, please.", {"answer": False})
    found = message(server, posted["id"])
    assert (found["botParams"]["status"], found["botParams"]["answer"]) == ("complete", False)
    assert "conversation" not in found
    assert posted["id"] not in {waiting["id"] for waiting in said(server.http.get("/api/queue/pending?limit=1000"))}


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"botParams": {"answer": False, "entity": "zen"}}, "botParams.entity"),
        ({"botParams": {"answer": False, "priority": 50}}, "botParams.priority"),
        ({"botParams": {"answer": False, "ais": "Me:255069000"}}, "botParams.ais"),
        ({"botParams": {"answer": False}, "context": []}, "context"),
        ({"messageType": "AI", "botParams": {"answer": False}}, "botParams.answer"),
        ({"messageType": "AI", "botParams": {"ais": "Me:255069000"}}, "botParams.ais"),
        ({"messageType": "AI", "botParams": {"sessionId": "s"}}, "botParams.sessionId"),
        ({"messageType": "AI", "context": []}, "context"),
        ({"botParams": {"sessionId": "a b"}}, "botParams.sessionId"),
        ({"botParams": {"ais": "Me"}}, "botParams.ais"),
        ({"botParams": {"ais": "Me:300300300"}}, "botParams.ais"),
        ({"id": "abc"}, "id"),
        ({"id": "ABCD"}, "id"),
        ({"id": "a" * 33}, "id"),
    ],
    ids=str,
)
def test_p8_what_does_not_go_together_is_refused_by_its_name(server: Server, more: Json, field: str) -> None:
    assert_problem(server.http.post("/api/comments", json=a_post(**more)), 422, field)


def test_an_answers_name_may_be_chosen_only_where_the_entitys_file_allows_it(start_server: StartServer, tmp_path: Path) -> None:
    """Failure 38: who answers as whom; an AI identity from outside counts only with alias = true."""
    file = tmp_path / "entities.toml"
    file.write_text(ENTITIES)
    server = start_server(entities=file)
    ais = {"ais": "MyAI:255069000"}
    refused = server.http.post("/api/comments", json=a_post(botParams=ais | {"entity": "ada"}))
    assert_problem(refused, 422, "botParams.ais", "alias = true")
    for entity in ("ben", None):
        posted = send(server, "Why?", ais | {"entity": entity})
        assert params(server, posted["id"])["ais"] == "MyAI:255069000"


@pytest.mark.needs("own files")
def test_the_entitys_file_may_come_to_allow_it(start_server: StartServer, tmp_path: Path) -> None:
    file = tmp_path / "entities.toml"
    file.write_text(ENTITIES)
    server = start_server(entities=file)
    post = a_post(botParams={"ais": "MyAI:255069000", "entity": "ada"})
    assert_problem(server.http.post("/api/comments", json=post), 422, "botParams.ais", "alias = true")
    file.write_text(ENTITIES.replace("\n[ben]", "alias = true\n\n[ben]"))
    assert said(server.http.post("/api/comments", json=post))["status"] == "success"


# -- A client's own id


def test_p7_a_clients_own_id_is_its_messages_id_and_its_key(server: Server) -> None:
    """Failure 9: two POSTs of one message in the same millisecond; both were answered."""
    own = uuid4().hex[:12]
    first = send(server, "Why?", {"entity": "zen"}, id=own)
    assert first == {"id": own, "timestamp": first["timestamp"], "status": "success"}
    assert send(server, "Why?", {"entity": "zen"}, id=own) == first
    assert [found["id"] for found in read(server)].count(own) == 1
    assert_problem(server.http.post("/api/comments", json=a_post("How?", id=own)), 422, "id", "used for another message")


def test_p7_an_id_that_is_another_messages_is_refused(server: Server) -> None:
    others = send(server, "Mine.")["id"]
    assert_problem(server.http.post("/api/comments", json=a_post("Mine.", id=others)), 409, "id")


def test_p8_an_id_and_an_idempotency_key_together_are_refused(server: Server) -> None:
    refused = server.http.post("/api/comments", json=a_post(id="abcdef"), headers={"Idempotency-Key": "key"})
    assert_problem(refused, 422, "id", "Idempotency-Key")


@pytest.mark.needs("durability")
def test_p7_an_id_survives_kill_9(start_server: StartServer) -> None:
    server = start_server()
    first = send(server, "Why?", id="abcdef")
    server.kill()
    server.start()
    assert send(server, "Why?", id="abcdef") == first
    assert len(claim_next(server, limit=10)) == 1
