"""Visitors, a bot and readers of a server that is restarted: none of them repeats a call, and each records what it got."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import httpx
from bot_sockets import BotSocket, hold_of
from calls import Json, a_post
from readers import ReconnectingReader
from websockets.exceptions import ConnectionClosed

from servers import DEADLINE_SECONDS, Server

ENTITY = "crowd"
PAUSE_SECONDS = 0.1


def lasting_client(url: str, **headers: str) -> httpx.Client:
    """A client that ends no connection by itself, however long it is not used."""
    limits = httpx.Limits(keepalive_expiry=None)
    return httpx.Client(base_url=url, timeout=DEADLINE_SECONDS, trust_env=False, limits=limits, headers=headers)


def connections_of(client: httpx.Client) -> list[object]:
    """The connections that a client has."""
    return list(client._transport._pool.connections)  # type: ignore[attr-defined]


class Visitors:
    """``people``, each with a connection that it keeps, post all the time; a bot on a WebSocket answers each tenth post.

    A context manager that ends them.
    """

    def __init__(self, server: Server, *, people: int, with_bot: bool = True) -> None:
        self.posted: list[str] = []
        """The ids of accepted posts."""
        self.asked: list[str] = []
        """Those that want an answer."""
        self.errors: list[BaseException] = []
        """What must not be: a failed request."""
        self.close_codes: list[int | None] = []
        """Those of the bot's sockets."""
        self.readers = [ReconnectingReader(server.url, number) for number in range(2)]
        self._server = server
        self._stop_posting, self._stop = threading.Event(), threading.Event()
        self._people = [self._thread(lambda number=number: self._post(number)) for number in range(people)]  # type: ignore[misc]
        self._bots = [self._thread(self._answer)] if with_bot else []

    def __enter__(self) -> Self:
        for thread in (*self._people, *self._bots, *self.readers):
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop_posting()
        self._stop.set()
        for thread in (*self._bots, *self.readers):
            thread.join(DEADLINE_SECONDS)

    def stop_posting(self) -> None:
        """Return when each person has the answer to its last request."""
        self._stop_posting.set()
        for thread in self._people:
            thread.join(DEADLINE_SECONDS)

    def _thread(self, run: Callable[[], None]) -> threading.Thread:
        def recorded() -> None:
            try:
                run()
            except BaseException as error:  # noqa: BLE001 - the test looks at it
                self.errors.append(error)

        return threading.Thread(target=recorded, daemon=True)

    def _post(self, person: int) -> None:
        with lasting_client(self._server.url) as http:
            number = 0
            while not self._stop_posting.wait(PAUSE_SECONDS):
                wants_answer = bool(self._bots) and number % 10 == 0
                params: Json = {"entity": ENTITY} if wants_answer else {"answer": False}
                answer = http.post("/api/comments", json=a_post(f"{person}: {number}", botParams=params))
                assert answer.status_code == 200, answer.text
                self.posted.append(answer.json()["id"])
                if wants_answer:
                    self.asked.append(answer.json()["id"])
                number += 1

    def _answer(self) -> None:
        resumes: Json = {}
        while not self._stop.is_set():
            held: dict[str, Json] = {}
            try:
                with BotSocket(self._server, hands=3, entities={ENTITY: 3}, **resumes) as bot:
                    resumes = {"resumes": bot.name, "holds": []}
                    self._work(bot, held)
            except ConnectionClosed as closed:
                self.close_codes.append(closed.rcvd.code if closed.rcvd else None)
                resumes["holds"] = [hold_of(message) for message in held.values()]

    def _work(self, bot: BotSocket, held: dict[str, Json]) -> None:
        while not self._stop.is_set():
            try:
                frames = bot.take(0.2)
            except TimeoutError:
                continue
            for message in [frame["message"] for frame in frames if frame["type"] == "message"]:
                held[message["id"]] = message
                bot.say("complete", **hold_of(message), reply={"text": "On a socket."})
