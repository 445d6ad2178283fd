"""A server for the original's clients, and calls of its dialect."""

from typing import Any

import httpx
from calls import Json, assert_problem, said

from servers import Server

ENTITIES = """
[zen]
display_name = "Zen"
color = "070140180"
model = "nltk:zen"
alias = true
priority = 30

[eliza]
display_name = "Eliza"
color = "169080199"
model = "nltk:eliza"
"""
SITE = "https://saywhatwant.app"
TAILED = "169080199-Ab3dE5gH1j"
TOKEN = "a-token-that-nobody-guesses"  # noqa: S105 - the tests' own
BEARER = {"Authorization": f"Bearer {TOKEN}"}
WALL = "/original/api/comments"


def page_post(text: object = "Why is space black?", **fields: object) -> Json:
    """The body of a page's post."""
    body: Json = {
        "text": text,
        "username": "Human",
        "color": "169080199",
        "domain": "saywhatwant.app",
        "language": "en",
        "message-type": "human",
        "misc": "",
    }
    return body | fields


def bot_post(message_id: str, text: object = "It is not.", **fields: object) -> Json:
    """The body of a bot's post."""
    body: Json = {"text": text, "username": "Zen", "color": "070140180", "domain": "saywhatwant.app", "message-type": "AI"}
    return body | {"replyTo": message_id} | fields


def send(server: Server, body: Json, **headers: str) -> httpx.Response:
    """Post a body, successfully or not."""
    return server.http.post(WALL, json=body, headers=headers)


def posted(server: Server, **fields: object) -> Json:
    """A page's post that is taken, as the original's clients read it afterwards."""
    answer = said(send(server, page_post(**fields)))
    assert answer["status"] == "success"
    return original(server, answer["id"])


def original(server: Server, message_id: str) -> Json:
    """A message as the original's clients read it."""
    (found,) = [found for found in read_original(server) if found["id"] == message_id]
    return dict(found)


def read_original(server: Server, **query: object) -> Any:
    """What a read answers."""
    return said(server.http.get(WALL, params={name: str(value) for name, value in query.items()}))


def call(server: Server, name: str, **body: object) -> httpx.Response:
    """A queue call, successful or refused."""
    return server.http.post(f"/original/api/queue/{name}", json=body)


def claimed(server: Server, message_id: str, worker: str = "bot-1") -> Json:
    """Claim one message."""
    answer = said(call(server, "claim", messageId=message_id, workerId=worker))
    assert answer.keys() == {"success", "message"}
    assert answer["success"] is True
    return dict(answer["message"])


def assert_refused(response: httpx.Response, status: int, *names: str) -> None:
    """A problem as everywhere, with the members that the original's clients look for."""
    assert_problem(response, status, *names)
    problem = response.json()
    assert problem["success"] is False
    assert problem["error"] == problem["detail"]
