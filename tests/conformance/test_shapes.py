"""The shapes that existing clients use: the message, and the calls that there were from the beginning."""

import re
from typing import Any

from calls import a_post, assert_problem, claim, post, queue, read, said

from saywhatwant.message import conversation_of
from servers import Server

ID = re.compile(r"[a-z0-9]{10}")


def assert_message(message: dict[str, Any]) -> None:
    """Every field that a client may rely on, with its type; there may be more."""
    assert ID.fullmatch(message["id"])
    assert type(message["timestamp"]) is int
    assert type(message["text"]) is str
    assert type(message["username"]) is str
    assert re.fullmatch(r"[0-9]{9}", message["color"])
    assert message["messageType"] in {"human", "AI"}
    assert message["replyTo"] is None or ID.fullmatch(message["replyTo"])
    params = message["botParams"]
    assert params["status"] in {"pending", "processing", "complete", "failed"}
    assert type(params["priority"]) is int
    assert params["entity"] is None or type(params["entity"]) is str
    assert params["claimedBy"] is None or type(params["claimedBy"]) is str
    assert params["claimedAt"] is None or type(params["claimedAt"]) is int
    assert params["completedAt"] is None or type(params["completedAt"]) is int
    assert "processed" not in message
    assert "processed" not in params


def test_p1_the_answer_to_a_post_is_id_timestamp_and_success(server: Server) -> None:
    answer = said(server.http.post("/api/comments", json=a_post()))
    assert set(answer) == {"id", "timestamp", "status"}
    assert ID.fullmatch(answer["id"])
    assert type(answer["timestamp"]) is int
    assert answer["status"] == "success"


def test_p1_a_human_message_is_pending_work_with_the_values_it_was_posted_with(server: Server) -> None:
    body = {
        "text": "Why is space black?",
        "username": "Human",
        "color": "169080199",
        "messageType": "human",
        "replyTo": "abcdefghi0",
        "botParams": {"entity": "fear-and-loathing", "priority": 5},
    }
    posted = said(server.http.post("/api/comments", json=body))
    (message,) = read(server, since=posted["timestamp"] - 1)
    assert_message(message)
    params = message.pop("botParams")
    message.pop("seq", None)
    assert message == {
        "id": posted["id"],
        "timestamp": posted["timestamp"],
        "text": "Why is space black?",
        "username": "Human",
        "color": "169080199",
        "messageType": "human",
        "replyTo": "abcdefghi0",
        "conversation": conversation_of("fear-and-loathing", "Human", "169080199"),
    }
    expected = {
        "status": "pending",
        "priority": 5,
        "entity": "fear-and-loathing",
        "claimedBy": None,
        "claimedAt": None,
        "completedAt": None,
    }
    assert params | expected == params


def test_p1_what_a_post_leaves_out_has_a_default(server: Server) -> None:
    posted = post(server)
    (message,) = read(server, since=posted["timestamp"] - 1)
    assert_message(message)
    assert (message["messageType"], message["replyTo"], message["botParams"]["entity"]) == ("human", None, None)


def test_p4_an_ai_message_is_complete_from_the_start_and_never_work(server: Server) -> None:
    before = read(server, limit=1)
    posted = said(server.http.post("/api/comments", json=a_post("I think aloud.", messageType="AI")))
    (message,) = read(server, since=posted["timestamp"] - 1)
    assert_message(message)
    assert (message["messageType"], message["botParams"]["status"]) == ("AI", "complete")
    assert_problem(queue(server, "claim", messageId=posted["id"], workerId="worker-1"), 409, "complete")
    assert before == [] or before[0]["timestamp"] < posted["timestamp"]


def test_p5_a_read_is_a_bare_list_of_messages(server: Server) -> None:
    post(server)
    messages = server.http.get("/api/comments")
    assert messages.headers["content-type"] == "application/json"
    assert type(said(messages)) is list
    for message in messages.json():
        assert_message(message)


def test_p6_pending_is_a_bare_list_of_messages(server: Server) -> None:
    posted = post(server, entity="shape-of-pending")
    pending = said(server.http.get("/api/queue/pending?entity=shape-of-pending"))
    assert type(pending) is list
    (message,) = pending
    assert_message(message)
    assert message["id"] == posted["id"]


def test_p3_a_claim_answers_success_and_the_message_as_its_holder_has_it(server: Server) -> None:
    posted = post(server)
    claimed = said(queue(server, "claim", messageId=posted["id"], workerId="worker-1"))
    assert set(claimed) == {"success", "message"}
    assert claimed["success"] is True
    message = claimed["message"]
    assert_message(message)
    params = message["botParams"]
    assert (message["id"], params["status"], params["claimedBy"]) == (posted["id"], "processing", "worker-1")
    assert type(params["claimedAt"]) is int


def test_p3_a_claim_of_the_next_answers_success_and_a_list(server: Server) -> None:
    post(server, entity="shape-of-next")
    claimed = said(queue(server, "claim", workerId="worker-1", entities=["shape-of-next"], limit=1))
    assert set(claimed) == {"success", "messages"}
    assert claimed["success"] is True
    (message,) = claimed["messages"]
    assert_message(message)


def test_p4_completing_answers_success_and_with_a_reply_its_id_and_timestamp(server: Server) -> None:
    plain, replied = post(server)["id"], post(server)["id"]
    claim(server, plain)
    claim(server, replied)
    assert said(queue(server, "complete", messageId=plain)) == {"success": True}
    answer = said(queue(server, "complete", messageId=replied, workerId="worker-1", attempt=1, reply={"text": "Yes."}))
    assert set(answer) == {"success", "id", "timestamp"}
    assert answer["success"] is True
    assert ID.fullmatch(answer["id"])
    assert type(answer["timestamp"]) is int


def test_p4_a_completed_message_has_its_time(server: Server) -> None:
    posted = post(server)
    claim(server, posted["id"])
    said(queue(server, "complete", messageId=posted["id"]))
    (message,) = read(server, since=posted["timestamp"] - 1)
    assert_message(message)
    assert message["botParams"]["completedAt"] >= message["botParams"]["claimedAt"] >= posted["timestamp"] - 1


def test_p8_unknown_messages_are_404_and_wrong_states_409_in_problem_json(server: Server) -> None:
    posted = post(server)["id"]
    assert_problem(queue(server, "claim", messageId="nosuchid00", workerId="worker-1"), 404, "messageId", "nosuchid00")
    assert_problem(queue(server, "complete", messageId="nosuchid00"), 404, "messageId", "nosuchid00")
    assert_problem(queue(server, "complete", messageId=posted), 409, "pending, not processing")
    claim(server, posted)
    assert_problem(queue(server, "claim", messageId=posted, workerId="worker-2"), 409, "processing")
    assert_problem(queue(server, "complete", messageId=posted, workerId="worker-2"), 409, "worker-1")
