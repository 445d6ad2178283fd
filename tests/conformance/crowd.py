"""A crowd for a server that dies again and again: people, bots and a reader, who write down all they were told."""

import threading
import time
from collections.abc import Callable
from random import Random
from types import TracebackType
from typing import Any, Self

import httpx
from calls import Json, a_post

ENTITIES = ("zen", "rude", "eliza")
HOPELESS = "hopeless"
"""A message with this word is never answered: its attempts fail until they are used up."""
PATIENCE_SECONDS = 30.0

Told = dict[str, Json]


class Crowd:
    """Threads that talk to ``url``. A context manager; leaving it sends everybody home.

    After a lost answer people repeat their post with its key, and bots their completion; nobody repeats a claim.
    """

    def __init__(self, url: str, *, people: int = 3, bots: int = 3, posts: int = 250) -> None:
        self.posted: Told = {}
        """What was acknowledged to people, by text."""
        self.claimed: list[tuple[str, int]] = []
        """Every hold that a bot was told it has: message and attempt."""
        self.completed: list[tuple[str, int, str]] = []
        """Every completion that was acknowledged: message, attempt and the id of its reply."""
        self.paged: list[Json] = []
        """What the reader saw, paging by ``since``."""
        self.etags: list[int] = []
        """The commits that the reader saw them at."""
        self.broken: list[BaseException] = []
        """What went wrong in here; nothing should."""
        self._url = url
        self._posts = posts
        self._enough = threading.Event()
        self._home = threading.Event()
        self._people = [self._thread(self._person, number) for number in range(people)]
        self._others = [self._thread(self._bot, number) for number in range(bots)] + [self._thread(self._reader, 0)]

    def __enter__(self) -> Self:
        for thread in [*self._people, *self._others]:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._enough.set()
        self._home.set()
        for thread in [*self._people, *self._others]:
            thread.join(PATIENCE_SECONDS)

    def stop_posting(self) -> None:
        """Return once every person has been told of their last post."""
        self._enough.set()
        for thread in self._people:
            thread.join(PATIENCE_SECONDS)

    def _thread(self, role: Callable[[httpx.Client, Random, int], None], number: int) -> threading.Thread:
        def run() -> None:
            try:
                with httpx.Client(base_url=self._url, timeout=5, trust_env=False) as http:
                    role(http, Random(f"{role.__name__} {number}"), number)
            except BaseException as error:  # noqa: BLE001 - the test asks for it
                self.broken.append(error)

        return threading.Thread(target=run, name=f"{role.__name__}-{number}", daemon=True)

    def _person(self, http: httpx.Client, random: Random, number: int) -> None:
        for count in range(self._posts):
            if self._enough.wait(0.01):
                return
            text = f"person {number}, message {count}" + (f", {HOPELESS}" if random.random() < 0.05 else "")
            body = a_post(text, botParams={"entity": random.choice(ENTITIES), "priority": random.randrange(100)})
            answer = self._insist(http, "/api/comments", body, {"Idempotency-Key": text})
            assert answer.status_code == 200, answer.text
            self.posted[text] = answer.json()
            if random.random() < 0.1:
                text = random.choice([text for text in list(self.posted) if text.startswith(f"person {number},")])
                # Some of these were first posted several crashes ago; the body must be the same, so it is looked up.
                self._check_repetition(http, text)

    def _check_repetition(self, http: httpx.Client, text: str) -> None:
        page = self._insist_get(http, {"since": self.posted[text]["timestamp"] - 1, "limit": 1, "order": "asc"}).json()
        message = page[0]
        assert message["text"] == text, f"{text!r} was acknowledged, but in its place is {message['text']!r}"
        params = {name: message["botParams"][name] for name in ("entity", "priority")}
        again = self._insist(http, "/api/comments", a_post(text, botParams=params), {"Idempotency-Key": text})
        assert again.json() == self.posted[text], again.text

    def _bot(self, http: httpx.Client, random: Random, number: int) -> None:
        worker = f"bot {number}"
        while not self._home.is_set():
            body = {"workerId": worker, "entities": list(ENTITIES), "limit": random.randint(1, 5), "wait": 0.2}
            try:
                answer = http.post("/api/queue/claim", json=body)
            except httpx.TransportError:
                time.sleep(0.02)
                continue
            if answer.status_code == 503:
                continue
            assert answer.status_code == 200, answer.text
            for message in answer.json()["messages"]:
                self.claimed.append((message["id"], message["botParams"]["attempt"]))
                self._work(http, random, worker, message)

    def _work(self, http: httpx.Client, random: Random, worker: str, message: Json) -> None:
        attempt = message["botParams"]["attempt"]
        hold: dict[str, Any] = {"messageId": message["id"], "workerId": worker, "attempt": attempt}
        if HOPELESS in message["text"]:
            self._insist(http, "/api/queue/fail", hold | {"error": "I can think of nothing"})
            return
        chance = random.random()
        if chance < 0.03:
            return  # it forgets the message; the lease brings it back
        if chance < 0.06:
            self._insist(http, "/api/queue/fail", hold | {"error": "not now"})
            return
        text = f"attempt {attempt} answers {message['id']}"
        if chance < 0.3:
            reply = a_post(text, messageType="AI", replyTo=message["id"], workerId=worker, attempt=attempt)
            if self._insist(http, "/api/comments", reply).status_code != 200:
                return
        done = self._insist(http, "/api/queue/complete", hold | {"reply": {"text": text}})
        if done.status_code == 200:
            self.completed.append((message["id"], attempt, done.json()["id"]))
        else:
            assert done.status_code == 409, done.text

    def _reader(self, http: httpx.Client, random: Random, number: int) -> None:
        del random, number
        since = 0
        while not self._home.is_set():
            page = self._insist_get(http, {"since": since, "limit": 20, "order": "asc"})
            self.etags.append(int(page.headers["etag"].strip('"')))
            self.paged += page.json()
            if page.json():
                since = page.json()[-1]["timestamp"]
            else:
                time.sleep(0.005)

    def _insist(self, http: httpx.Client, path: str, body: Json, headers: dict[str, str] | None = None) -> httpx.Response:
        return _until_answered(lambda: http.post(path, json=body, headers=headers))

    def _insist_get(self, http: httpx.Client, query: dict[str, Any]) -> httpx.Response:
        return _until_answered(lambda: http.get("/api/comments", params=query))


def _until_answered(ask: Callable[[], httpx.Response]) -> httpx.Response:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            answer = ask()
        except httpx.TransportError:
            time.sleep(0.02)
            continue
        if answer.status_code != 503:
            return answer
        time.sleep(0.02)
    raise TimeoutError("the server did not come back")
