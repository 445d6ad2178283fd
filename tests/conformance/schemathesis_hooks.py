"""Rules of the interface that JSON Schema cannot express, for schemathesis; each hook gives its reason."""

import os
import re
from itertools import count
from typing import Any

import httpx
import schemathesis

from saywhatwant.limits import MAX_PHRASE_WORDS
from saywhatwant.moderation.phrases import words_of

_numbers = count(1)
_http = httpx.Client(
    base_url=os.environ["WALL_URL"], headers={"Authorization": f"Bearer {os.environ['WALL_TOKEN']}"}, trust_env=False
)


@schemathesis.hook
def filter_case(_: schemathesis.HookContext, case: schemathesis.Case[Any]) -> bool:
    """Leave out what breaks a rule that the schema cannot state and the description does."""
    query: dict[str, Any] = case.query or {}
    body: dict[str, Any] = case.body if isinstance(case.body, dict) else {}
    if not all(map(_as_long_as_it_is_trimmed, (body, body.get("reply")))):
        return False
    match case.operation.label:
        case "GET /api/comments":
            # changedAfter stands without what chooses by time or talk.
            fits = not ("changedAfter" in query and query.keys() & {"since", "before", "order", "conversation"})
        case "POST /api/comments":
            fits = _fits_together(body, str(body.get("messageType", "human")))
        case "POST /original/api/comments":
            types = {body[name] for name in ("message-type", "messageType") if isinstance(body.get(name), str)} or {"human"}
            fits = len(types) == 1 and _fits_together(body, types.pop())
        case "POST /api/queue/claim":
            # messageId stands without what chooses the most urgent messages.
            fits = body.get("messageId") is None or not body.keys() & {"limit", "wait"}
        case "POST /api/queue/progress":
            # A reply that is being written has a text.
            fits = body.get("state", "writing") != "writing" or bool(str(body.get("text", "")).strip())
        case "POST /api/queue/batch":
            # Exactly one field names the messages, and only a failure has a reason.
            given = sum(body.get(name) is not None for name in ("messageIds", "entity", "all"))
            fits = given == 1 and (body.get("reason") is None or body.get("action") == "fail")
        case "POST /api/moderation/ban":
            # A ban is for a person or for addresses, which are hardly ever found by chance.
            fits = body.get("address") is None and body.get("username") is not None and body.get("color") is not None
        case "POST /api/moderation/filter":
            # A phrase has words, and is not too long as words.
            fits = 1 <= len(words_of(str(body.get("phrase", "")))) <= MAX_PHRASE_WORDS
        case _:
            fits = True
    return fits


def _fits_together(body: dict[str, Any], kind: str) -> bool:
    """Whether a post has no field that its other fields rule out."""
    params = body["botParams"] if isinstance(body.get("botParams"), dict) else {}
    if not (kind == "AI" and body.get("replyTo") is not None) and not body.get("workerId") is body.get("attempt") is None:
        return False
    asks = [params.get("ais"), params.get("sessionId"), body.get("context")]
    if kind == "AI":
        return asks == [None] * 3 and params.get("answer", True) is True
    if params.get("answer", True) is False and not asks[0] is asks[2] is params.get("entity") is params.get("priority") is None:
        return False
    # No entity of this server may be answered for.
    return params.get("ais") is None or params.get("entity") is None


def _as_long_as_it_is_trimmed(body: object) -> bool:
    """Lengths count after trimming, so that more than the stated ``maxLength`` may fit."""
    if not isinstance(body, dict):
        return True
    lengths = (("username", 32), ("text", 5_000))
    return not any(isinstance(text := body.get(name), str) and len(text) > most >= len(text.strip()) for name, most in lengths)


@schemathesis.hook
def before_call(_: schemathesis.HookContext, case: schemathesis.Case[Any], __: dict[str, Any]) -> None:
    """Give each post a key of its own, let no claim wait, and send half of the queue calls to a message that is there."""
    number = next(_numbers)
    body: Any = case.body
    # The same key or id for another message is refused, and the schema knows nothing of earlier calls.
    key = str(case.headers.get("Idempotency-Key", "")) if case.headers else ""
    if key.isascii() and key.isprintable() and 1 <= len(key) <= 255:
        case.headers["Idempotency-Key"] = f"key-{number}"
    if isinstance(body, dict) and isinstance(own := body.get("id"), str) and re.fullmatch("[a-z0-9]{4,32}", own):
        body["id"] = f"own{number:07}"
        case.headers.pop("Idempotency-Key", None)
    if not isinstance(body, dict):
        return
    if case.operation.path.startswith("/api/moderation/"):
        _meet_no_other(number, body)
    if isinstance(body.get("wait"), int | float) and 0 <= body["wait"] <= 60:
        body["wait"] = 0
    if number % 2 and isinstance(body.get("messageId"), str) and len(body["messageId"]) == 10:
        _use_a_real_message(case.operation.path.rpartition("/")[2], body)


def _meet_no_other(number: int, body: dict[str, Any]) -> None:
    """Let no rule meet the posts of other cases, end slow mode whenever it is set, and ban somebody rather than nobody."""
    if body.get("username") is body.get("address") is None and isinstance(body.get("color"), str):
        body["username"] = "Human"
    if body.get("action") in ("refuse", "hold") and isinstance(body.get("phrase"), str) and 1 <= len(body["phrase"]) <= 100:
        body["phrase"] = f"phrase{number:07}"
    if isinstance(body.get("color"), str) and isinstance(name := body.get("username"), str) and 1 <= len(name.strip()) <= 32:
        body["username"] = f"name{number:07}"
    if body.keys() <= {"seconds", "reason"} and isinstance(seconds := body.get("seconds"), int) and 0 <= seconds <= 3_600:
        body["seconds"] = 0


def _use_a_real_message(call: str, body: dict[str, Any]) -> None:
    """Post a message and bring it into the state in which ``call`` is not refused; put its id and holder into the body."""
    post = {"text": "Why?", "username": "Human", "color": "169080199"}
    if call in {"approve", "reject"}:
        _call("/api/moderation/filter", {"phrase": "hold this", "action": "hold"})
        post["text"] = "Hold this."
    body["messageId"] = _call("/api/comments", post)["id"]
    if call == "dismiss":
        _call("/api/report", {"messageId": body["messageId"]})
    if call in {"claim", "approve", "reject", "dismiss", "report"}:
        return
    hold = {"messageId": body["messageId"], "workerId": "worker-1"}
    _call("/api/queue/claim", hold)
    if call == "retry":
        _call("/api/queue/fail", hold | {"attempt": 1, "error": "no", "retry": False})
    body |= {name: value for name, value in (hold | {"attempt": 1}).items() if name in body}


def _call(path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = _http.post(path, json=body).raise_for_status().json()
    return answer
