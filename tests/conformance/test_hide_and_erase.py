"""Operators hide messages, show them again and erase their texts: what everybody sees, and what is left on the disk."""

import secrets

import httpx
import pytest
from calls import Json, a_post, assert_problem, claim, claim_next, message, post, queue, read, said
from readers import Feed

from conftest import StartServer
from servers import Server, until

TEXT = "a sentence that nobody may read"
NEIGHBORS = 40
"""Messages around the erased one, some of which are removed: so pages of the file are divided, joined and freed."""


def moderate(server: Server, call: str, message_id: str, **body: object) -> httpx.Response:
    return server.http.post(f"/api/moderation/{call}", json={"messageId": message_id, **body})


def moderated(server: Server, call: str, message_id: str, **body: object) -> Json:
    """The message as everybody sees it after the call."""
    shown: Json = said(moderate(server, call, message_id, **body))["message"]
    return shown


def hidden(server: Server, message_id: str) -> httpx.Response:
    return server.http.get("/api/moderation/hidden", params={"messageId": message_id})


def answered(server: Server, text: str, answer: str = "Because.") -> tuple[str, str]:
    """A question and its answer."""
    question = post(server, text, entity="zen")["id"]
    attempt = claim(server, question)["botParams"]["attempt"]
    done = queue(server, "complete", messageId=question, workerId="worker-1", attempt=attempt, reply={"text": answer})
    return question, said(done)["id"]


def test_p2_every_reader_sees_at_once_that_a_message_is_hidden_and_shown_again(server: Server) -> None:
    question, answer = answered(server, TEXT)
    with Feed(server) as feed:
        feed.missed()
        for call, text, is_hidden in (("hide", "", True), ("restore", TEXT, None), ("hide", "", True), ("erase", "", True)):
            shown = moderated(server, call, question)
            assert (shown["text"], shown.get("hidden")) == (text, is_hidden)
            assert message(server, question) == shown
            assert feed.until_message(question, status=shown["botParams"]["status"]) == shown
            assert message(server, answer)["text"] == "Because.", "an answer that was there stays"
    assert shown["erased"] is True


def test_an_operator_reads_what_is_hidden_and_nobody_what_is_erased(server: Server) -> None:
    question = post(server, TEXT)["id"]
    assert_problem(hidden(server, question), 409, "not hidden")
    moderated(server, "hide", question, reason="rude", name=True)
    found = said(hidden(server, question))
    assert (found["text"], found["username"], found["reason"]) == (TEXT, "Human", "rude")
    assert found["message"] == message(server, question)
    assert message(server, question)["username"] == "hidden"
    moderated(server, "erase", question)
    assert_problem(hidden(server, question), 409, "erased")
    assert_problem(moderate(server, "restore", question), 409, "erased")


def test_p7_each_call_may_be_repeated(server: Server) -> None:
    question, _ = answered(server, TEXT)
    for call in ("hide", "restore", "hide", "erase"):
        assert said(moderate(server, call, question)) == said(moderate(server, call, question))


def test_the_audit_log_has_what_was_done_once_and_reports_end(server: Server) -> None:
    question, _ = answered(server, TEXT)
    server.http.post("/api/report", json={"messageId": question, "reason": "rude"}).raise_for_status()
    for call in ("hide", "hide", "restore", "erase", "erase"):
        moderated(server, call, question, reason=f"to {call}")

    def entries() -> list[tuple[str, str, str]]:
        audit = said(server.http.get("/api/moderation/audit", params={"limit": 100}))["entries"]
        return [(one["action"], one["by"], one["reason"]) for one in audit if one["about"] == question]

    wanted = [(call, "local", f"to {call}") for call in ("erase", "restore", "hide")]
    until(lambda: entries() == wanted, "the entries")
    reported = said(server.http.get("/api/moderation"))["reports"]
    assert question not in {one["messageId"] for one in reported}


def test_p4_a_hidden_question_fails_and_its_bot_is_refused(server: Server) -> None:
    question = post(server, TEXT, entity="zen")["id"]
    attempt = claim(server, question)["botParams"]["attempt"]
    shown = moderated(server, "hide", question)["botParams"]
    assert (shown["status"], shown["error"]) == ("failed", "hidden by an operator")
    fence = {"messageId": question, "workerId": "worker-1", "attempt": attempt}
    assert_problem(queue(server, "complete", **fence, reply={"text": "Because."}), 409)
    assert_problem(queue(server, "retry", messageId=question), 409, "hidden")
    assert [one for one in read(server) if one["replyTo"] == question] == []


def test_hidden_turns_are_part_of_no_prompt(server: Server) -> None:
    body = a_post(username="Ann Other", botParams={"entity": "zen"})
    asked = []
    for text in ("One.", "Two."):
        asked.append(said(server.http.post("/api/comments", json=body | {"text": text}))["id"])
        claim(server, asked[-1])
        queue(server, "complete", messageId=asked[-1], workerId="worker-1", attempt=1, reply={"text": f"To {text}"})
    moderated(server, "hide", asked[0])
    third = said(server.http.post("/api/comments", json=body | {"text": "Three."}))["id"]
    claimed = said(queue(server, "claim", messageId=third, workerId="worker-1", context=100))
    assert [turn["text"] for turn in claimed["talks"][third]["turns"]] == ["To One.", "Two.", "To Two."]


def test_the_originals_clients_get_no_hidden_text(server: Server) -> None:
    posted = said(server.http.post("/original/api/comments", json=a_post(TEXT, misc=TEXT[:20])))["id"]
    moderated(server, "hide", posted)
    for path in ("/original/api/comments", "/original/api/comments?offset=0"):
        answer = server.http.get(path)
        assert posted in answer.text
        assert TEXT[:20] not in answer.text


@pytest.mark.needs("durability")
def test_p1_what_is_hidden_or_erased_stays_so_after_a_kill(start_server: StartServer) -> None:
    server = start_server()
    first, second, third = (post(server, f"{TEXT} {number}")["id"] for number in range(3))
    moderated(server, "hide", first, reason="rude")
    moderated(server, "erase", second)
    moderated(server, "hide", third)
    moderated(server, "restore", third)
    before = read(server)
    server.restart()
    assert read(server) == before
    assert said(hidden(server, first))["text"] == f"{TEXT} 0"
    assert message(server, third)["text"] == f"{TEXT} 2"


# -- The disk


def files_with(server: Server, words: str) -> list[str]:
    """The files of the server that have these words somewhere in their bytes."""
    files = [path for path in server.directory.rglob("*") if path.is_file()]
    return sorted(path.name for path in files if words.encode() in path.read_bytes())


class Traces:
    """A wall on which many rows have this word: in messages, contexts, details and calls between objects."""

    def __init__(self, server: Server) -> None:
        self.word = secrets.token_hex(8)
        self.ids: list[str] = []
        self._server = server
        others = [post(server, f"neighbor {number}", entity="zen")["id"] for number in range(NEIGHBORS)]
        long = " ".join(f"{self.word}{number:04d}" for number in range(238))
        assert len(long) == 4_997, "about the longest, on overflow pages"
        self._post(long, username=f"A. {self.word}", context=[f"Eve: {self.word} and more"])
        self._answer(self._post(f"short {self.word}"), f"The answer has {self.word} too.")
        failed = self._post(f"failed {self.word}")
        claim(server, failed)
        fence = {"messageId": failed, "workerId": "worker-1", "attempt": 1}
        said(queue(server, "fail", **fence, error="no", detail=f"I will not say {self.word}", retry=False))
        others += [post(server, f"neighbor {number}", entity="zen")["id"] for number in range(NEIGHBORS)]
        self.quoting = self._add("Who said that?", context=[f"Human: {long}", "Eve: Hello."])
        said(queue(server, "batch", action="fail", messageIds=others[:NEIGHBORS]))
        said(queue(server, "batch", action="discard", messageIds=others[:NEIGHBORS]))

    def _add(self, text: str, **more: object) -> str:
        body = a_post(text, botParams={"entity": "zen"}) | more
        answer = self._server.http.post("/api/comments", json=body, headers={"Idempotency-Key": secrets.token_hex(8)})
        return str(said(answer)["id"])

    def _post(self, text: str, **more: object) -> str:
        self.ids.append(self._add(text, **more))
        return self.ids[-1]

    def _answer(self, question: str, text: str) -> None:
        claim(self._server, question)
        done = queue(self._server, "complete", messageId=question, workerId="worker-1", attempt=1, reply={"text": text})
        self.ids.append(said(done)["id"])


@pytest.mark.needs("own disk")
def test_no_file_has_a_byte_of_what_is_erased_when_the_call_is_answered(start_server: StartServer) -> None:
    server = start_server()
    traces = Traces(server)
    assert {"objects.sqlite3-wal"} <= set(files_with(server, traces.word))
    for message_id in traces.ids:
        assert files_with(server, traces.word), "what is to be erased is there before"
        answer = said(moderate(server, "erase", message_id, name=True))
        assert answer.get("left") is None
    assert files_with(server, traces.word) == []
    assert not [one for one in read(server) if traces.word in str(one)]
    rest = [one["text"] for one in read(server) if "hidden" not in one]
    assert len(rest) == NEIGHBORS + 1, "all other messages are there"
    claimed = said(queue(server, "claim", messageId=traces.quoting, workerId="worker-1", context=5))
    assert claimed["talks"][traces.quoting]["context"] == ["Eve: Hello."]


@pytest.mark.needs("own disk")
def test_an_answer_is_erased_at_once_though_it_has_just_come(start_server: StartServer) -> None:
    """Objects that send each other calls keep them until they are taken, and a moment longer."""
    server = start_server()
    word = secrets.token_hex(8)
    question = post(server, "Why?", entity="zen")["id"]
    (claimed,) = claim_next(server)
    fence = {"messageId": question, "workerId": "worker-1", "attempt": claimed["botParams"]["attempt"]}
    answer = said(queue(server, "complete", **fence, reply={"text": f"It is {word}."}))["id"]
    moderated(server, "erase", answer)
    assert files_with(server, word) == []


# -- Refusals


@pytest.mark.parametrize("call", ["hide", "restore", "erase"])
def test_p8_what_is_unknown_or_wrong_is_refused_by_its_name(server: Server, call: str) -> None:
    assert_problem(moderate(server, call, "nosuchid"), 404, "nosuchid")
    assert_problem(moderate(server, call, "NOT AN ID"), 422, "messageId")
    assert_problem(moderate(server, call, "nosuchid", colour="red"), 422, "colour")
    assert_problem(server.http.post(f"/api/moderation/{call}", json={}), 422, "messageId")


def test_p8_reasons_and_queries_have_bounds(server: Server) -> None:
    question = post(server)["id"]
    assert_problem(moderate(server, "hide", question, reason="x" * 1_001), 422, "reason")
    assert_problem(moderate(server, "hide", question, reason="a\x00b"), 422, "reason")
    assert_problem(moderate(server, "erase", question, name="yes"), 422, "name")
    assert_problem(server.http.get("/api/moderation/hidden"), 422, "messageId")
    assert_problem(hidden(server, "nosuchid"), 404, "nosuchid")
    assert "hidden" not in message(server, question), "nothing has changed"
