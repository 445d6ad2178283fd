"""Concurrent clients for a server that is killed again and again; they record every acknowledgement they get."""

import threading
import time
from collections.abc import Callable, Iterable
from random import Random
from types import TracebackType
from typing import Any, NamedTuple, Self

import httpx
from calls import Json, a_post
from tokens import Token

from servers import DEADLINE_SECONDS

ENTITIES = ("zen", "rude", "eliza")
HOPELESS = "hopeless"
"""Bots fail every attempt at a message that contains this word."""
PAUSE_SECONDS = 0.02


class Completion(NamedTuple):
    """An acknowledged completion."""

    message_id: str
    attempt: int
    reply_id: str


class Clients:
    """People, bots and a reader, each a thread that talks to ``url``. A context manager that stops them when it exits.

    When an answer is lost, people repeat the post with its key and bots repeat the completion; a claim is not repeated.
    """

    def __init__(self, url: str, *, people: int = 3, bots: int = 3, posts: int = 250) -> None:
        self.posted: dict[str, Json] = {}
        """Acknowledged posts: the answer, by text."""
        self.claimed: list[tuple[str, int]] = []
        """Every claim that a bot received: message id and attempt."""
        self.completed: list[Completion] = []
        self.paged: list[Json] = []
        """The messages that the reader got, paging by ``since``."""
        self.etags: list[Token] = []
        """The ``seq`` of each page."""
        self.errors: list[BaseException] = []
        """What a client did not expect; must stay empty."""
        self._url = url
        self._posts = posts
        self._stop_posting = threading.Event()
        self._stop = threading.Event()
        self._people = [self._thread(self._person, number) for number in range(people)]
        self._others = [*(self._thread(self._bot, number) for number in range(bots)), self._thread(self._reader, 0)]

    def __enter__(self) -> Self:
        for thread in [*self._people, *self._others]:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop_posting.set()
        self._stop.set()
        _join([*self._people, *self._others])

    def stop_posting(self) -> None:
        """Return when each person's last post is acknowledged."""
        self._stop_posting.set()
        _join(self._people)

    def _thread(self, run_client: Callable[[httpx.Client, Random, int], None], number: int) -> threading.Thread:
        def run() -> None:
            try:
                with httpx.Client(base_url=self._url, timeout=DEADLINE_SECONDS, trust_env=False) as http:
                    run_client(http, Random(f"{run_client.__name__} {number}"), number)
            except BaseException as error:  # noqa: BLE001 - the test looks at it
                self.errors.append(error)

        return threading.Thread(target=run, name=f"{run_client.__name__}-{number}", daemon=True)

    def _person(self, http: httpx.Client, random: Random, number: int) -> None:
        for count in range(self._posts):
            if self._stop_posting.wait(PAUSE_SECONDS):
                return
            text = f"person {number}, message {count}" + (f", {HOPELESS}" if random.random() < 0.05 else "")
            body = a_post(text, botParams={"entity": random.choice(ENTITIES), "priority": random.randrange(5, 100)})
            answer = self._post(http, "/api/comments", body, {"Idempotency-Key": text})
            assert answer.status_code == 200, answer.text
            self.posted[text] = answer.json()
            if random.random() < 0.1:
                self._repeat_post(
                    http, random.choice([text for text in list(self.posted) if text.startswith(f"person {number},")])
                )

    def _repeat_post(self, http: httpx.Client, text: str) -> None:
        """Post again what was acknowledged, perhaps several crashes ago: the answer must be the first one."""
        query = {"since": self.posted[text]["timestamp"] - 1, "limit": 1, "order": "asc"}
        messages = {message["text"]: message for message in self._get(http, query).json()}
        assert text in messages, f"{text!r} was acknowledged, but in its place is {list(messages)}"
        message = messages[text]
        params = {name: message["botParams"][name] for name in ("entity", "priority")}
        again = self._post(http, "/api/comments", a_post(text, botParams=params), {"Idempotency-Key": text})
        assert again.json() == self.posted[text], again.text

    def _bot(self, http: httpx.Client, random: Random, number: int) -> None:
        worker = f"bot {number}"
        while not self._stop.is_set():
            body = {"workerId": worker, "entities": list(ENTITIES), "limit": random.randint(1, 5), "wait": 0.2}
            try:
                answer = http.post("/api/queue/claim", json=body)
            except httpx.TransportError:
                time.sleep(PAUSE_SECONDS)
                continue
            if answer.status_code == 503:
                continue
            assert answer.status_code == 200, answer.text
            for message in answer.json()["messages"]:
                self.claimed.append((message["id"], message["botParams"]["attempt"]))
                self._work(http, random, worker, message)

    def _work(self, http: httpx.Client, random: Random, worker: str, message: Json) -> None:
        attempt = message["botParams"]["attempt"]
        fence: dict[str, Any] = {"messageId": message["id"], "workerId": worker, "attempt": attempt}
        if HOPELESS in message["text"]:
            self._post(http, "/api/queue/fail", fence | {"error": "I can think of nothing"})
            return
        chance = random.random()
        if chance < 0.03:
            return  # abandon the message: its lease ends, and it is claimed again
        if chance < 0.06:
            self._post(http, "/api/queue/fail", fence | {"error": "not now"})
            return
        text = f"attempt {attempt} answers {message['id']}"
        if chance < 0.3:
            reply = a_post(text, messageType="AI", replyTo=message["id"], workerId=worker, attempt=attempt)
            if self._post(http, "/api/comments", reply).status_code != 200:
                return
        answer = self._post(http, "/api/queue/complete", fence | {"reply": {"text": text}})
        if answer.status_code == 200:
            self.completed.append(Completion(message["id"], attempt, answer.json()["id"]))
        else:
            assert answer.status_code == 409, answer.text

    def _reader(self, http: httpx.Client, random: Random, number: int) -> None:
        del random, number
        since = 0
        while not self._stop.is_set():
            page = self._get(http, {"since": since, "limit": 20, "order": "asc"})
            self.etags.append(Token(page.headers["etag"].strip('"')))
            self.paged += page.json()
            if page.json():
                since = page.json()[-1]["timestamp"]
            else:
                time.sleep(PAUSE_SECONDS)

    def _post(self, http: httpx.Client, path: str, body: Json, headers: dict[str, str] | None = None) -> httpx.Response:
        return self._until_answered(lambda: http.post(path, json=body, headers=headers))

    def _get(self, http: httpx.Client, query: dict[str, Any]) -> httpx.Response:
        return self._until_answered(lambda: http.get("/api/comments", params=query))

    def _until_answered(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        while True:
            try:
                answer = send()
            except httpx.TransportError:
                if self._stop.is_set():
                    raise
            else:
                if answer.status_code != 503:
                    return answer
            time.sleep(PAUSE_SECONDS)


def _join(threads: Iterable[threading.Thread]) -> None:
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
        assert not thread.is_alive(), f"{thread.name} hangs"
