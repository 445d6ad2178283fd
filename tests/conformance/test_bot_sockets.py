"""Bots on a WebSocket: what they are given, what they say, and how they are refused (P8)."""

import json

import httpx
import pytest
from bot_sockets import PATH, BotSocket, connect_bot, entities, hold_of, problem_of
from calls import Json, params, post, read, said
from readers import Feed
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from conftest import StartServer
from servers import Server, until

TOKEN = "a-token-of-more-than-16"  # noqa: S105 - a test's


def test_a_message_is_handed_over_and_answered(server: Server) -> None:
    with BotSocket(server, **entities("given"), context=5) as bot:
        first = post(server, "What is black?", entity="given")["id"]
        work = bot.work()
        assert (work["message"]["id"], work["talk"]["turns"]) == (first, [])
        result = bot.complete(work["message"], "The night.")
        assert set(result) == {"success", "id", "timestamp"}
        second = post(server, "And white?", entity="given")["id"]
        work = bot.work()
        assert work["message"]["id"] == second
        assert [turn["text"] for turn in work["talk"]["turns"]] == ["What is black?", "The night."]
        bot.complete(work["message"])
    (reply,) = [found for found in read(server) if found["replyTo"] == first]
    assert reply["id"] == result["id"]


def test_it_is_handed_what_waits_already_and_no_more_than_it_has_hands(server: Server) -> None:
    ids = [post(server, entity="hands")["id"] for _ in range(4)]
    with BotSocket(server, **entities("hands", hands=2)) as bot:
        works = [bot.work()["message"] for _ in range(2)]
        assert {work["id"] for work in works} == set(ids[:2])
        assert [params(server, one)["status"] for one in ids[2:]] == ["pending", "pending"]
        bot.complete(works[0])
        third = bot.work()["message"]
        assert third["id"] == ids[2]
        assert bot.call("hands", hands=3, entities={"hands": 3})["type"] == "ok"
        assert bot.work()["message"]["id"] == ids[3]


def test_a_bot_for_all_entities_gets_every_message(start_server: StartServer) -> None:
    server = start_server()
    with BotSocket(server, hands=3) as bot:
        ids = [post(server, entity=entity)["id"] for entity in ("one", "two", None)]
        assert bot.works(3) == ids


def test_a_message_to_anyone_is_assigned_one_of_its_entities(start_server: StartServer) -> None:
    server = start_server()
    with BotSocket(server, **entities("one", "two")) as bot:
        post(server)
        assert bot.work()["message"]["botParams"]["assignedEntity"] in {"one", "two"}


def test_fail_release_extend_and_progress_are_those_of_the_calls(server: Server) -> None:
    with Feed(server) as feed, BotSocket(server, **entities("calls")) as bot:
        feed.missed()
        message_id = post(server, entity="calls")["id"]
        hold = hold_of(bot.work()["message"])
        assert bot.call("progress", **hold, text="Because")["type"] == "ok"
        feed.until(lambda event: event["type"] == "progress" and event["id"] == message_id and event["text"] == "Because")
        extended = bot.call("extend", **hold)["result"]
        assert set(extended) == {"success", "leaseExpiresAt"}
        assert bot.call("release", **hold)["result"]["status"] == "pending"
        again = hold_of(bot.work()["message"])
        assert again == hold | {"attempt": 2}
        problem_of(bot.call("complete", **hold), 409, ["attempt 1"])
        failed = bot.call("fail", **again, error="no words", retry=False)["result"]
        assert failed["status"] == "failed"
    assert params(server, message_id)["error"] == "no words"


@pytest.mark.parametrize(
    ("frame", "names"),
    [
        ({"type": "hello", "workerId": "bot", "hands": -1}, ["hands", "0"]),
        ({"type": "hello", "workerId": "bot", "hands": 1, "hand": 2}, ["hand", "not a known field"]),
        ({"type": "hello", "workerId": "bot"}, ["hands", "required"]),
        ({"type": "hello", "workerId": "bot", "hands": 1, "entities": {"NO NAME": 1}}, ["entities"]),
        ({"type": "hello", "workerId": "bot", "hands": 1, "holds": [{"messageId": "abcd"}]}, ["attempt", "required"]),
        ({"type": "hello", "workerId": "bot", "hands": 1, "resumes": "not a socket"}, ["resumes"]),
        ({"type": "sleep"}, ["type", "hello"]),
        ({"type": "complete", "messageId": "abcdefghij", "attempt": 1}, ["type", "hello"]),
        ({}, ["type", "hello"]),
    ],
)
@pytest.mark.one_deployment("no object is called")
def test_p8_a_frame_that_breaks_a_rule_gets_a_problem_with_its_id(server: Server, frame: Json, names: list[str]) -> None:
    with BotSocket(server) as bot:
        for frame_id in (7, "mine"):
            bot.send(json.dumps(frame | {"id": frame_id}))
            answer = bot.hear("problem")
            problem_of(answer, 422, names)
            assert answer["id"] == frame_id
        bot.say("hello", workerId="bot", hands=0, id=8)
        assert bot.hear("welcome")["id"] == 8


@pytest.mark.parametrize(
    ("text", "status", "names"),
    [
        ("not JSON", 400, ["JSON"]),
        ('{"type":' * 7_000, 400, []),
        ("[]", 422, ["type"]),
        ("\n" * 300, 422, ["lines"]),
        ('{"type":"hands","hands":1,"id":-1}', 422, ["id"]),
    ],
    ids=["text", "deep", "list", "lines", "id"],
)
@pytest.mark.one_deployment("no object is called")
def test_p8_what_is_no_frame_gets_a_problem_too(server: Server, text: str, status: int, names: list[str]) -> None:
    with BotSocket(server, hands=0) as bot:
        bot.send(text)
        problem_of(bot.hear("problem"), status, names)


@pytest.mark.one_deployment("no object is called")
def test_p8_bounds_of_a_socket(server: Server) -> None:
    for sent, code in ((b"binary", 1_008), ("x" * 1_000_000, 1_009)):
        with BotSocket(server, hands=0) as bot:
            bot.send(sent)
            assert bot.close_code() == code


@pytest.mark.one_deployment("no object is called")
def test_p8_a_second_hello_is_refused_and_a_bad_reply_changes_nothing(start_server: StartServer) -> None:
    server = start_server(max_text=100)
    with BotSocket(server, hands=1) as bot:
        problem_of(bot.call("hello", workerId="bot", hands=1), 422, ["type", "hello"])
        message_id = post(server)["id"]
        work = bot.work()["message"]
        for text in ("x" * 101, " ", "\0"):
            problem_of(bot.call("complete", **hold_of(work), reply={"text": text}), 422, ["reply.text"])
        assert params(server, message_id)["status"] == "processing"
        bot.complete(work, "x" * 100)


@pytest.mark.one_deployment("no object is called")
def test_several_frames_may_come_in_one_text_and_a_ping_is_answered(server: Server) -> None:
    with BotSocket(server, **entities("lines", hands=3)) as bot:
        bot.send("ping")
        assert bot.text() == "pong"
        for _ in range(3):
            post(server, entity="lines")
        works = [bot.work()["message"] for _ in range(3)]
        frames = [{"type": "complete", "id": work["id"], **hold_of(work), "reply": {"text": "So."}} for work in works]
        bot.send("\n".join(map(json.dumps, frames)))
        assert {bot.hear("ok")["id"] for _ in range(3)} == {work["id"] for work in works}


@pytest.mark.one_deployment("who may call does not depend on objects")
def test_only_bots_may_connect(start_server: StartServer) -> None:
    server = start_server(bot_token=TOKEN)
    for headers in ({}, {"Authorization": "Bearer something else"}):
        with pytest.raises(InvalidStatus) as refusal, connect_bot(server, additional_headers=headers):
            pass
        assert refusal.value.response.status_code == 401
        assert json.loads(refusal.value.response.body)["type"] == "urn:saywhatwant:problem:not-allowed"
    with connect_bot(server, additional_headers={"Authorization": f"Bearer {TOKEN}"}) as socket:
        socket.send("ping")
        assert socket.recv() == "pong"


@pytest.mark.one_deployment("no object is called")
@pytest.mark.needs("own connections")
def test_without_a_handshake_it_says_what_it_is_and_pages_of_other_sites_are_refused(server: Server) -> None:
    response = server.http.get(PATH)
    assert (response.status_code, response.headers["upgrade"]) == (426, "websocket")
    with pytest.raises(InvalidStatus) as refusal, connect_bot(server, additional_headers={"Origin": "http://example.org"}):
        pass
    assert refusal.value.response.status_code == 403
    with pytest.raises(InvalidStatus) as refusal, connect(f"{server.url}{PATH}?since=1".replace("http", "ws", 1), proxy=None):
        pass
    assert refusal.value.response.status_code == 422


def test_it_is_known_as_a_bot_while_its_socket_is_open(start_server: StartServer) -> None:
    server = start_server()

    def here() -> list[Json]:
        return [bot for bot in said(server.http.get("/api/queue/bots")) if bot["here"]]

    with BotSocket(server, "w1", **entities("known"), version="1", personas={"known": "0" * 16}):
        (bot,) = here()
        assert (bot["workerId"], bot["entities"], bot["version"]) == ("w1", ["known"], "1")
        with BotSocket(server, "w2", **entities("known"), personas={"known": "1" * 16}) as other:
            assert other.welcome["conflicts"] == [{"entity": "known", "workerId": "w1"}]
    until(lambda: not here(), "the end of both")


@pytest.mark.one_deployment("a document is made without objects")
def test_the_openapi_document_lists_the_socket_and_its_frames(server: Server) -> None:
    document = httpx.get(f"{server.url}/api/openapi.json", trust_env=False).json()
    operation = document["paths"][PATH]["get"]
    assert {"101", "401", "426"} <= set(operation["responses"])
    assert operation["x-client-frames"]["schema"]
