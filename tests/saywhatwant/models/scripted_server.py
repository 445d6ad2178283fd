"""A model server for tests: real HTTP on loopback, where each model does what its script does.

A script gets the exchange of one request and answers, refuses, keeps silent or hangs up. ``scripted_models`` has scripts that
behave as models do, ``server_words`` the refusals of real servers, and ``server_streams`` the ways in which they stream.
"""

import json
import select
import socket
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self

LOOK_SECONDS = 0.01
"""Between two looks at a connection whose client may hang up."""
TURN_TOKENS = 4
"""What a template adds to each turn."""


def tokens_in(text: str) -> int:
    """The tokens of a text, as this server counts them: four bytes each."""
    return -(-len(text.encode(errors="surrogatepass")) // 4)


class Refusal(NamedTuple):
    """An answer that is an error."""

    status: int
    body: object
    headers: Mapping[str, str] = {}
    in_stream: bool = False
    """Whether it comes as an event of a stream that began with 200."""


class Asked(NamedTuple):
    """One request for a chat completion, as it arrived."""

    model: str
    turns: list[tuple[str, str]]
    """Role and content of each message."""
    parameters: dict[str, Any]
    """All other members of the body."""
    authorization: str
    times: int
    """How many requests for this model have come, including this one."""

    @property
    def roles(self) -> list[str]:
        return [role for role, _ in self.turns]

    @property
    def said(self) -> list[str]:
        """The contents of the user's turns."""
        return [content for role, content in self.turns if role == "user"]

    @property
    def tokens(self) -> int:
        return sum(tokens_in(content) + TURN_TOKENS for _, content in self.turns)

    @property
    def max_tokens(self) -> int | None:
        limit: int | None = self.parameters.get("max_tokens") or self.parameters.get("max_completion_tokens")
        return limit


Script = Callable[["Exchange"], None]
"""What a model does with a request."""


class ScriptedServer:
    """The server, while entered; it records its requests. A model without a script is not found, as at a real server."""

    def __init__(self, scripts: Mapping[str, Script] | None = None) -> None:
        self.scripts: dict[str, Script] = dict(scripts or {})
        self.documents: dict[str, object] = {}
        """The JSON answers to GET requests, by path; others get 404."""
        self.asked: list[Asked] = []
        """The requests for chat completions, in the order in which they came."""
        self.requests: Counter[str] = Counter()
        """How many there were for each model."""
        self.authorizations: set[str] = set()
        """The Authorization headers they had."""
        self.gates: dict[str, threading.Event] = {}
        """Models that answer with their name once their event is set."""
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._http = _Server(("127.0.0.1", 0), Exchange)
        self._http.scripted = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    def of(self, model: str) -> list[Asked]:
        """The requests for this model."""
        return [asked for asked in list(self.asked) if asked.model == model]

    def record(self, body: dict[str, Any], authorization: str) -> Asked:
        turns = [(turn["role"], turn["content"]) for turn in body["messages"]]
        others = {name: value for name, value in body.items() if name not in {"model", "messages"}}
        with self._lock:
            self.authorizations.add(authorization)
            self.requests[body["model"]] += 1
            asked = Asked(body["model"], turns, others, authorization, self.requests[body["model"]])
            self.asked.append(asked)
        return asked

    def script_of(self, model: str) -> Script:
        if gate := self.gates.get(model):
            return _answers_at(gate)
        return self.scripts.get(model, _is_not_found)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.closing.set()
        for gate in self.gates.values():
            gate.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True  # do not wait for connections that callers keep open
    request_queue_size = 128
    scripted: ScriptedServer


class Exchange(BaseHTTPRequestHandler):
    """A request and the means to answer it. One for each connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server
    connection: socket.socket
    asked: Asked

    def handle(self) -> None:
        with suppress(ConnectionError):  # the caller closed it
            super().handle()

    def do_GET(self) -> None:
        if self.path in self.server.scripted.documents:
            self.send_document(HTTPStatus.OK, self.server.scripted.documents[self.path])
        else:
            self.send_document(
                HTTPStatus.NOT_FOUND, {"error": {"message": "File Not Found", "type": "not_found_error", "code": 404}}
            )

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v1/chat/completions" or body.get("stream") is not True:
            self.refuse(HTTPStatus.BAD_REQUEST, f"this test server streams chat completions; not {self.path}")
            return
        self.asked = self.server.scripted.record(body, self.authorization)
        self.server.scripted.script_of(self.asked.model)(self)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Log nothing: tests read the bot's log."""

    @property
    def authorization(self) -> str:
        return str(self.headers.get("Authorization", ""))

    @property
    def times(self) -> int:
        """Requests for this model, including this one."""
        return self.asked.times

    def refuse(self, status: int, message: str, **headers: str) -> None:
        """Refuse as OpenAI does."""
        error = {"message": message, "type": "test_error", "param": None, "code": None}
        self.send_document(status, {"error": error}, {name.replace("_", "-"): value for name, value in headers.items()})

    def send_refusal(self, refusal: Refusal) -> None:
        if refusal.in_stream:
            self.begin()
            self.send(f"event: error\ndata: {json.dumps(refusal.body)}\n\n")
            self.end("")
        else:
            self.send_document(refusal.status, refusal.body, refusal.headers)

    def send_document(self, status: int, document: object, headers: Mapping[str, str] = {}) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def begin(self, content_type: str = "text/event-stream") -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def send(self, text: str) -> None:
        self.send_bytes(text.encode())

    def send_bytes(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def stream(self, *pieces: str, finish: str | None = None) -> None:
        """Send the events of these pieces, and with ``finish`` the last one."""
        for piece in pieces:
            self.send(event({"content": piece}))
        if finish is not None:
            self.send(event({}, finish))

    def send_json(self, chunk: object) -> None:
        """Send an event with this instead of a chunk."""
        self.send(f"data: {json.dumps(chunk)}\n\n")

    def end(self, last: str = "data: [DONE]\n\n") -> None:
        if last:
            self.send(last)
        self.wfile.write(b"0\r\n\r\n")

    def wait(self, seconds: float | None = None) -> bool:
        """Wait that long, or until the server closes; returns whether it closed."""
        return self.server.scripted.closing.wait(seconds)

    def wait_for(self, done: threading.Event) -> bool:
        """Wait until ``done`` is set; returns False when the client hung up, or the server closes, before that."""
        while not done.wait(LOOK_SECONDS):
            if self.has_hung_up() or self.server.scripted.closing.is_set():
                return False
        return True

    def has_hung_up(self) -> bool:
        """Whether the client has closed the connection."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        try:
            return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)
        except ConnectionError:
            return True


def chunk(delta: Mapping[str, object] | None, finish: str | None = None) -> dict[str, Any]:
    """A chunk of a chat completion; without a delta, one whose choice has none."""
    choice: dict[str, Any] = {"index": 0, "finish_reason": finish}
    if delta is not None:
        choice["delta"] = delta
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_762_025_642, "model": "test"}
    return {**head, "choices": [choice]}


def event(delta: Mapping[str, object] | None, finish: str | None = None) -> str:
    """The event of a chunk."""
    return f"data: {json.dumps(chunk(delta, finish))}\n\n"


def _answers_at(gate: threading.Event) -> Script:
    def answer(exchange: Exchange) -> None:
        gate.wait()
        exchange.begin()
        exchange.stream(exchange.asked.model, finish="stop")
        exchange.end()

    return answer


def _is_not_found(exchange: Exchange) -> None:
    exchange.refuse(HTTPStatus.NOT_FOUND, "The model does not exist or you do not have access to it.")
