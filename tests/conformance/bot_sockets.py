"""Bots on their WebSocket, GET /api/queue/ws."""

import json
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from calls import Json
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from servers import DEADLINE_SECONDS, Server

PATH = "/api/queue/ws"


def connect_bot(server: Server, **options: Any) -> ClientConnection:
    """A socket that has said nothing yet."""
    url = server.url.replace("http", "ws", 1) + PATH
    connection: ClientConnection = connect(url, proxy=None, open_timeout=DEADLINE_SECONDS, **options)
    return connection


class BotSocket:
    """One socket. A context manager; it reads only when asked to."""

    def __init__(self, server: Server, worker: str = "bot", **hello: object) -> None:
        self._made = connect_bot(server)
        self._hello = hello and {"workerId": worker} | hello
        self._heard: deque[Json] = deque()
        self._next_id = 0
        self.welcome: Json = {}

    def __enter__(self) -> Self:
        self._connection = self._made.__enter__()
        if self._hello:
            self.say("hello", **self._hello)
            self.welcome = self.hear("welcome")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._made.__exit__(kind, error, trace)

    @property
    def name(self) -> str:
        """The socket's, as messages show it."""
        return str(self.welcome["socket"])

    def say(self, what: str, **fields: object) -> None:
        """Send one frame."""
        self.send(json.dumps({"type": what} | fields))

    def send(self, frame: str | bytes) -> None:
        """Send anything."""
        self._connection.send(frame)

    def hear(self, *kinds: str) -> Json:
        """The next frame of these kinds; those of other kinds stay for later."""
        kept: list[Json] = []
        try:
            while True:
                if not self._heard:
                    text = self._connection.recv(DEADLINE_SECONDS)
                    self._heard.extend(json.loads(line) for line in str(text).split("\n"))
                frame = self._heard.popleft()
                if frame["type"] in kinds:
                    return frame
                kept.append(frame)
        finally:
            self._heard.extendleft(reversed(kept))

    def text(self) -> str:
        """The next text as it comes."""
        return str(self._connection.recv(DEADLINE_SECONDS))

    def take(self, seconds: float) -> list[Json]:
        """The frames that come within this time."""
        return [json.loads(line) for line in str(self._connection.recv(seconds)).split("\n")]

    def work(self) -> Json:
        """The next message that is handed to it, with its talk."""
        return self.hear("message")

    def works(self, count: int) -> list[str]:
        """The ids of the next messages, in the order in which they were asked."""
        messages = [self.work()["message"] for _ in range(count)]
        return [message["id"] for message in sorted(messages, key=lambda message: int(message["timestamp"]))]

    def call(self, what: str, **fields: object) -> Json:
        """Send a frame and wait for its answer: ``ok`` or ``problem``."""
        self._next_id += 1
        self.say(what, id=self._next_id, **fields)
        answer = self.hear("ok", "problem", "welcome")
        assert answer.get("id") == self._next_id, answer
        return answer

    def complete(self, message: Json, text: str = "Because it is dark.") -> Json:
        """Answer a message that it was handed; returns the result."""
        answer = self.call("complete", **hold_of(message), reply={"text": text})
        assert answer["type"] == "ok", answer
        result: Json = answer["result"]
        return result

    def cut(self) -> None:
        """End without a word, as a process that is killed does."""
        self._connection.socket.close()

    def close_code(self) -> int | None:
        """The code with which the server closes it."""
        with suppress(ConnectionClosed):
            while True:
                self._connection.recv(DEADLINE_SECONDS)
        return self._connection.close_code


def hold_of(message: Json) -> Json:
    """The fields that name an attempt."""
    return {"messageId": message["id"], "attempt": message["botParams"]["attempt"]}


def entities(*names: str, hands: int = 1) -> Json:
    """The fields of ``hello`` for a bot with this number of hands for each of these entities."""
    return {"hands": hands * len(names), "entities": dict.fromkeys(names, hands)}


def problem_of(answer: Json, status: int, names: Sequence[str] = ()) -> Json:
    """The problem of an answer, checked as P8 promises it."""
    assert answer["type"] == "problem", answer
    problem: Json = answer["problem"]
    assert problem["status"] == status, problem
    assert problem["type"].startswith("urn:saywhatwant:problem:")
    explanation = " ".join(str(problem.get(part, "")) for part in ("field", "rule", "detail"))
    for name in names:
        assert name in explanation, f"{name!r} is not in {explanation!r}"
    return problem
