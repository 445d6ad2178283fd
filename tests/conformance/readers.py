"""Readers of the WebSocket feed: one socket, the wall as its frames show it, and readers that disconnect and reconnect."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from types import TracebackType
from typing import Self

import httpx
from calls import Json, metric
from tokens import Token
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect

from servers import DEADLINE_SECONDS, Server

MAX_MISSED = 100
"""Messages in one frame of what was missed."""
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


class WallView:
    """The wall as a reader puts it together from frames, and the token to reconnect with.

    Fails on a token that goes back, on anything from before the token, and on anything sent twice on one socket. A call may
    change a message twice (a lease ends, and the next begins): both states are of one commit, in one frame, the last one last.
    """

    def __init__(self) -> None:
        self.token = Token(0)
        self.messages: dict[str, Json] = {}
        self.received: dict[tuple[str, int], Json] = {}
        """Every state that was ever received, by message and commit: the last one that the commit left."""
        self.tokens: list[Token] = []
        """Those of this socket, in order."""
        self._since = self.token
        self._once: set[tuple[str, int]] = set()

    def reconnect(self) -> None:
        """The frames that follow are another socket's."""
        self._since, self._once, self.tokens = self.token, set(), []

    def take(self, frame: Json) -> None:
        token = Token(frame["seq"])
        assert token >= self.token, f"the token went from {self.token} back to {token}"
        self.token = token
        self.tokens.append(self.token)
        changes = [event["message"] for event in frame["events"] if event["type"] == "message"]
        if "more" in frame:  # a page ends with the commit that fills it, and a commit is never divided
            before = [message for message in changes if message["seq"] != changes[-1]["seq"]]
            assert frame["more"] is True
            assert changes
            assert len(before) < MAX_MISSED
        last = {(message["id"], message["seq"]): message for message in changes}
        for key, message in last.items():
            assert token.adds(message["seq"], self._since), f"{key} came between the tokens {self._since} and {token}"
            assert key not in self._once, f"{key} came twice"
            self._once.add(key)
            assert self.received.setdefault(key, message) == message, f"{key} was different before"
            assert message["seq"] >= self.messages.get(message["id"], message)["seq"], f"{key} is older than what came before"
            self.messages[message["id"]] = message


class Feed:
    """One socket. A context manager; it reads only when asked to."""

    def __init__(self, server: Server, since: Token | int | None = None) -> None:
        self.view = WallView()
        self.events: list[Json] = []
        self.frames: list[Json] = []
        if since:
            self.view.token = since if isinstance(since, Token) else Token(since)
        self.view.reconnect()
        self._connection = connect_to(server.url, since)

    def __enter__(self) -> Self:
        self.socket = self._connection.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.__exit__(kind, error, trace)

    def frame(self) -> Json:
        """The next one."""
        frame: Json = json.loads(self.socket.recv(DEADLINE_SECONDS))
        self.view.take(frame)
        self.frames.append(frame)
        self.events += frame["events"]
        return frame

    def missed(self) -> list[Json]:
        """The messages of all frames up to the last one of what was missed."""
        messages: list[Json] = []
        while True:
            frame = self.frame()
            messages += [event["message"] for event in frame["events"] if event["type"] == "message"]
            if "more" not in frame:
                return messages

    def until(self, found: Callable[[Json], bool]) -> Json:
        """The first event, from now on, that ``found`` holds for."""
        while True:
            for event in self.frame()["events"]:
                if found(event):
                    found_event: Json = event
                    return found_event

    def until_message(self, message_id: str, **params: object) -> Json:
        """The first state of a message from now on that has these ``botParams``."""

        def found(event: Json) -> bool:
            message = event.get("message")
            return message is not None and message["id"] == message_id and params.items() <= message["botParams"].items()

        message: Json = self.until(found)["message"]
        return message

    def until_token(self, token: Token) -> None:
        """Return once everything up to this commit has come."""
        while not self.view.token >= token:
            self.frame()

    def close_code(self) -> int | None:
        """Read on until the server closes."""
        try:
            while True:
                self.frame()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None


class ReconnectingReader(threading.Thread):
    """Reads, disconnects at random, and reconnects with its token; also when the server is killed and restarted.

    A context manager; ``until_token`` ends it once it has everything up to there.
    """

    def __init__(self, url: str, number: int) -> None:
        super().__init__(name=f"reader-{number}", daemon=True)
        self.view = WallView()
        self.sockets = 0
        self.error: BaseException | None = None
        self._url = url
        self._random = Random(number)
        self._last: Token | None = None
        self._stopping = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stopping.set()
        self.join(DEADLINE_SECONDS)

    def until_token(self, token: Token) -> None:
        """Return once it has everything up to this commit; raises what went wrong in it."""
        self._last = token
        self.join(DEADLINE_SECONDS)
        if self.error is not None:
            raise self.error
        assert not self.is_alive(), f"{self.name} has everything up to {self.view.token}, not to {token}"

    def run(self) -> None:
        try:
            while not (self._stopping.is_set() or self._done()):
                self._read_for_a_while()
        except BaseException as error:  # noqa: BLE001 - until_token raises it
            self.error = error

    def _done(self) -> bool:
        return self._last is not None and self.view.token >= self._last

    def _read_for_a_while(self) -> None:
        try:
            with connect_to(self._url, self.view.token) as feed:
                self.sockets += 1
                self.view.reconnect()
                # What was missed always comes, on a busy machine late; what follows may not.
                self.view.take(json.loads(feed.recv(DEADLINE_SECONDS)))
                for _ in range(self._random.choice([0, 1, 2, 19])):
                    self.view.take(json.loads(feed.recv(0.2)))
        except (OSError, TimeoutError, ConnectionClosed, InvalidHandshake):
            # Nothing new for a while, or the server was killed; it restarts on the same port.
            self._stopping.wait(0.01)


@contextmanager
def connect_to(url: str, since: Token | int | None = None) -> Iterator[ClientConnection]:
    """A socket whose handshake is done."""
    query = "" if since is None else f"?since={since}"
    with connect(f"ws{url.removeprefix('http')}/api/ws{query}", proxy=None, compression=None, max_size=None) as connection:
        yield connection


def shake_hands(server: Server, query: str = "", **headers: str) -> httpx.Response:
    """The answer to a handshake; a socket that was opened is closed again when this returns."""
    with server.http.stream("GET", f"/api/ws{query}", headers=HANDSHAKE | headers) as response:
        if response.status_code != 101:
            response.read()
        return response


class StalledReader:
    """A socket that sends its handshake and then never reads, nor closes. A context manager."""

    def __init__(self, server: Server) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        url = server.http.base_url
        self._socket.connect((url.host, url.port))
        headers = "".join(f"{name}: {value}\r\n" for name, value in HANDSHAKE.items())
        self._socket.sendall(f"GET /api/ws HTTP/1.1\r\nHost: {url.host}:{url.port}\r\n{headers}\r\n".encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._socket.close()


def open_sockets(server: Server) -> float:
    """How many sockets are open."""
    return metric(server, "sww_live_readers")


def by_change(messages: list[Json]) -> list[Json]:
    return sorted(messages, key=lambda message: (message["seq"], message["timestamp"]))
