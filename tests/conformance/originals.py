"""The clients of the original, as their operators described them: what they send byte for byte, and what they look at.

``Page`` is that of November 1, 2025, and ``LaterPage`` that of December 25; ``Bot`` and ``LaterBot`` likewise. Nothing here
knows this product. A test moves the schedules: a poll is a call.
"""

import json
import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from random import Random
from typing import Any

import httpx

Json = dict[str, Any]

BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
SLACK_MS = 6_000
"""How far behind its own clock a page sets its cursor."""
SITE = "https://saywhatwant.app"
BASE = "/original"
"""What their base address ends with."""
WALL = f"{BASE}/api/comments"


class Page:
    """A page: one visitor with a name and a color, and a view of the wall.

    ``ais`` is who the answer shall be from, ``shown`` are the people whose messages it shows (``u=`` in its address; none shows
    all), ``channel`` is ``human``, ``AI`` or ``ALL``. ``skew_ms`` is how fast its clock is.
    """

    def __init__(
        self,
        http: httpx.Client,
        name: str,
        color: str,
        *,
        entity: str | None = None,
        ais: str | None = None,
        shown: tuple[str, ...] = (),
        channel: str = "human",
        priority: int | None = None,
        skew_ms: int = 0,
    ) -> None:
        self.name, self.color = name, color
        self.messages: dict[str, Json] = {}
        """What it holds, by id: its own message as soon as it is sent, then everything that polls bring."""
        self.failed: list[Json] = []
        """The bodies of the posts that were refused."""
        self._http = http
        self._entity, self._ais, self._priority, self._channel = entity, ais, priority, channel
        self._shown = [
            (re.sub("[^A-Za-z0-9]", "", name), color or "096165250") for name, _, color in (u.partition(":") for u in shown)
        ]
        self._skew_ms = skew_ms
        self._random = Random(f"{name} {color}")
        first = self._http.get(WALL, params={"offset": "0", "limit": "0"})
        assert len(first.json()["comments"]) == 0, "its history comes from its own browser"
        self._cursor = self._now(first) - SLACK_MS

    def body(self, text: str) -> Json:
        """What it posts."""
        body: Json = {
            "id": self._new_id(),
            "timestamp": self._cursor + SLACK_MS,
            "text": text.strip(),
            "username": self.name,
            "color": self.color,
            "domain": "saywhatwant.app",
            "language": "en",
            "message-type": "human",
            "misc": "",
        }
        context = self.context()
        if context is not None:
            body["context"] = context
        params = {"entity": self._entity, "priority": self._priority, "ais": self._ais}
        if given := {name: value for name, value in params.items() if value is not None}:
            body["botParams"] = given
        return body

    def context(self) -> list[str] | None:
        """The messages that it shows, while a filter is on."""
        return self._lines() if self._shown else None

    def post(self, text: str) -> httpx.Response:
        """Post; the message is in the list before the answer comes, and leaves it again when the post is refused."""
        return self.send(self.body(text))

    def send(self, body: Json) -> httpx.Response:
        """Post a body."""
        self.messages[body["id"]] = body
        headers = {"Content-Type": "application/json", "Origin": SITE}
        response = self._http.post(WALL, content=json.dumps(body), headers=headers)
        assert response.headers["access-control-allow-origin"] == "*", "its browser would not show it the answer"
        if not response.is_success:
            self.failed.append(self.messages.pop(body["id"]))
        return response

    def poll(self) -> None:
        """Ask for what is new, and merge it by id."""
        query = {"after": str(self._cursor), "limit": "200"} | self._more_query()
        response = self._http.get(WALL, params=query, headers={"Origin": SITE})
        assert response.status_code == 200, response.text
        assert response.headers["access-control-allow-origin"] == "*", "its browser would not show it the answer"
        for message in self._received(response.json()):
            self.messages[message["id"]] = message
        self._cursor = self._now(response) - SLACK_MS

    def view(self) -> list[Json]:
        """The messages that it shows, oldest first."""
        ordered = sorted(self.messages.values(), key=lambda message: message["timestamp"])
        return [message for message in ordered if self._in_channel(message) and self._is_shown(message)]

    def _more_query(self) -> Json:
        return {} if self._channel == "ALL" else {"type": self._channel}

    def _received(self, answer: Any) -> list[Json]:
        messages: list[Json] = answer
        return messages

    def _in_channel(self, message: Json) -> bool:
        return self._channel == "ALL" or message["message-type"] == self._channel

    def _is_shown(self, message: Json) -> bool:
        return not self._shown or (message["username"], message["color"]) in self._shown

    def _lines(self) -> list[str]:
        return [f"{message['username']}: {message['text']}" for message in self.view()]

    def _new_id(self) -> str:
        """``Math.random()`` in base 36, its digits 2 to 12."""
        return "".join(self._random.choice(BASE36) for _ in range(self._random.choice((10, 11))))

    def _now(self, response: httpx.Response) -> int:
        """Its own clock: that of the server, to the second, and its error."""
        return int(parsedate_to_datetime(response.headers["date"]).timestamp()) * 1_000 + self._skew_ms


class LaterPage(Page):
    """The page at the last date known: colors may have tails, ``context`` is always sent, both channels are shown."""

    def __init__(self, http: httpx.Client, name: str, color: str, *, channel: str = "ALL", **more: Any) -> None:
        super().__init__(http, name, color, channel=channel, **more)

    def context(self) -> list[str] | None:
        return self._lines()[-200:]

    def _more_query(self) -> Json:
        return {"includeGodMode": "true"} | super()._more_query()

    def _received(self, answer: Any) -> list[Json]:
        return super()._received(answer if isinstance(answer, list) else answer["messages"])


class Bot:
    """A bot that lists what is pending, claims each message, posts its answer, and completes the message.

    ``model`` makes an answer of a claimed message.
    """

    def __init__(self, http: httpx.Client, worker_id: str, model: Callable[[Json], str], *, token: str | None = None) -> None:
        self.claimed: list[Json] = []
        self.replies: list[Json] = []
        """The bodies of its posts."""
        self._http, self._worker_id, self._model = http, worker_id, model
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def round(self) -> int:
        """Answer everything that is pending; returns how many messages that were."""
        listed = self.call("GET", "/api/queue/pending").json()
        answered = 0
        for message in listed.get("pending") or []:
            claimed = self.claim(message["id"])
            answered += claimed is not None and self.answer(claimed)
        return answered

    def claim(self, message_id: str) -> Json | None:
        """Claim one message; None if somebody else was faster."""
        response = self.call("POST", "/api/queue/claim", {"messageId": message_id, "workerId": self._worker_id})
        if response.status_code in {404, 409}:
            assert response.json()["success"] is False
            return None
        return self._took(response)

    def answer(self, message: Json) -> bool:
        """Post the answer, then complete; whether both were taken."""
        return self.reply(message).is_success and self.complete(message).is_success

    def reply(self, message: Json) -> httpx.Response:
        """Post the answer, under the name that the message asks for."""
        params = message["botParams"]
        name, _, color = (params.get("ais") or f"{params['entity'] or 'AI'}:128128128").partition(":")
        body = {
            "text": self._model(message),
            "username": name,
            "color": color,
            "domain": "saywhatwant.app",
            "message-type": "AI",
            "replyTo": message["id"],
        }
        self.replies.append(body)
        return self.call("POST", "/api/comments", body)

    def complete(self, message: Json) -> httpx.Response:
        """Complete; it names neither worker nor attempt."""
        return self.call("POST", "/api/queue/complete", {"messageId": message["id"]})

    def call(self, method: str, path: str, body: Json | None = None) -> httpx.Response:
        """One call."""
        content = None if body is None else json.dumps(body)
        headers = self._headers | ({} if body is None else {"Content-Type": "application/json"})
        return self._http.request(method, f"{BASE}{path}", content=content, headers=headers)

    def _took(self, response: httpx.Response) -> Json:
        assert response.status_code == 200, response.text
        answer = response.json()
        assert answer["success"] is True
        message: Json = answer["message"]
        self.claimed.append(message)
        return message


class LaterBot(Bot):
    """A bot that takes the next message until there is none."""

    def round(self) -> int:
        answered = 0
        while (message := self.next()) is not None:
            answered += self.answer(message)
        return answered

    def next(self) -> Json | None:
        """Claim the next message."""
        response = self.call("POST", "/api/queue/claim-next", {"workerId": self._worker_id})
        answer = response.json()
        if not answer["success"]:
            assert answer == {
                "success": False,
                "message": None,
                "reason": "no_pending_messages",
                "totalPending": 0,
                "remainingPending": 0,
            }
            return None
        assert answer["totalPending"] == answer["remainingPending"] + 1
        return self._took(response)
