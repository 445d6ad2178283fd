"""A fake provider of models: a real HTTP server on loopback that misbehaves as the name of the model says.

Any other model is not found (404), as at a real provider.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

PIECES = ("Because", " it", " is", " dark", ".")
TEXT = "".join(PIECES)
EMOJI = "Because \U0001f311."
HUGE = 1_000_000
"""Characters of a huge answer."""
BUSY_TIMES = 2
"""How often a busy one refuses before it answers."""
RETRY_AFTER_SECONDS = 0.01
DRIP_SECONDS = 0.01

DEPTH = 200_000
"""Nested lists, more than any decoder follows."""

GARBAGE = 'data: {"id": "chatcmpl-1", "choices": [{"del\n\ndata: <<<>>>\n\ndata: [DONE]\n\n'
PAGE = "<!doctype html><title>Welcome</title><p>Please sign in to this network.</p>"


class Provider:
    """The server, while entered; it records its requests."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        """Requests for each model."""
        self.authorizations: set[str] = set()
        """The Authorization headers it received."""
        self.gates: dict[str, threading.Event] = {}
        """Models that answer with their name once their event is set."""
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.provider = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    def count(self, model: str, authorization: str) -> int:
        """Record a request; returns how many there were for this model, including it."""
        with self._lock:
            self.authorizations.add(authorization)
            self.requests[model] += 1
            return self.requests[model]

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
    provider: Provider


class _Handler(BaseHTTPRequestHandler):
    """The requests of one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server
    times: int
    """Requests for this model, including this one."""

    def handle(self) -> None:
        with suppress(ConnectionError):  # the caller closed it
            super().handle()

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v1/chat/completions" or request.get("stream") is not True:
            self.refuse(HTTPStatus.BAD_REQUEST, f"this test provider streams chat completions; not {self.path}")
            return
        model = request["model"]
        self.times = self.server.provider.count(model, self.authorization)
        if gate := self.server.provider.gates.get(model):
            gate.wait()
            self.begin()
            self.stream(model, finish="stop")
            self.end()
        else:
            BEHAVIOURS.get(model, _is_not_found)(self)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Log nothing: tests read the bot's log."""

    @property
    def authorization(self) -> str:
        return str(self.headers.get("Authorization", ""))

    def refuse(self, status: int, message: str, **headers: str) -> None:
        """Refuse as OpenAI does."""
        error = {"message": message, "type": "test_error", "param": None, "code": None}
        body = json.dumps({"error": error}).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
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
            self.send(_event({"content": piece}))
        if finish is not None:
            self.send(_event({}, finish))

    def send_json(self, chunk: object) -> None:
        """Send an event with this instead of a chunk."""
        self.send(f"data: {json.dumps(chunk)}\n\n")

    def end(self, last: str = "data: [DONE]\n\n") -> None:
        if last:
            self.send(last)
        self.wfile.write(b"0\r\n\r\n")

    def wait(self, seconds: float | None = None) -> bool:
        """Wait that long, or until the provider closes; returns whether it closed."""
        return self.server.provider.closing.wait(seconds)


def _event(delta: dict[str, str], finish: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_762_025_642, "model": "test"}
    return f"data: {json.dumps({**chunk, 'choices': [choice]})}\n\n"


def _is_good(handler: _Handler) -> None:
    handler.begin()
    handler.stream(*PIECES, finish="stop")
    handler.end()


def _forgets_done(handler: _Handler) -> None:
    """Leave out the last line, as some servers do; the answer itself is complete."""
    handler.begin()
    handler.stream(*PIECES, finish="stop")
    handler.end("")


def _ends_without_delta(handler: _Handler) -> None:
    """Leave the delta out of the last chunk, as some servers do."""
    handler.begin()
    handler.stream(*PIECES)
    handler.send_json({"choices": [{"index": 0, "finish_reason": "stop"}]})
    handler.end()


def _ends_with_null(handler: _Handler) -> None:
    handler.begin()
    handler.stream(*PIECES)
    handler.send_json({"choices": [{"index": 0, "delta": None, "finish_reason": "stop"}]})
    handler.end()


def _cuts_an_emoji(handler: _Handler) -> None:
    """Send the two halves (UTF-16) of an emoji apart, and halves of others alone."""
    handler.begin()
    handler.stream("Because\ud83d", " ", "\ud83c", "\udf11", ".\ud83d", finish="stop")
    handler.end()


def _sends_controls(handler: _Handler) -> None:
    """Send control characters in between, which the wall refuses."""
    handler.begin()
    handler.stream("\x00", *(piece + "\x1b" for piece in PIECES), "\x07\n", finish="stop")
    handler.end()


def _hangs(handler: _Handler) -> None:
    handler.wait()


def _stalls(handler: _Handler) -> None:
    handler.begin()
    handler.stream(*PIECES[:2])
    handler.wait()


def _keeps_alive(handler: _Handler) -> None:
    """Send comments, as proxies do while they wait for a model, and never a word."""
    handler.begin()
    while not handler.wait(DRIP_SECONDS):
        handler.send(": still working\n\n")


def _drips(handler: _Handler) -> None:
    """Send a word now and then, without end."""
    handler.begin()
    while not handler.wait(DRIP_SECONDS):
        handler.stream(" and")


def _is_always_busy(handler: _Handler) -> None:
    handler.refuse(HTTPStatus.TOO_MANY_REQUESTS, "Rate limit reached.", Retry_After=str(RETRY_AFTER_SECONDS))


def _is_busy(handler: _Handler) -> None:
    (_is_always_busy if handler.times <= BUSY_TIMES else _is_good)(handler)


def _is_broken(handler: _Handler) -> None:
    handler.refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "The server had an error while processing your request.")


def _cuts(handler: _Handler) -> None:
    """Close the connection in the middle."""
    handler.begin()
    handler.stream(*PIECES[:2])
    handler.close_connection = True


def _ends_early(handler: _Handler) -> None:
    """End the answer early but correctly, as a proxy does whose own connection was cut."""
    handler.begin()
    handler.stream(*PIECES[:2])
    handler.end("")


def _fails_midway(handler: _Handler) -> None:
    handler.begin()
    handler.stream(*PIECES[:2])
    # It repeats what it was sent, which must not be shown anywhere.
    message = f"The model is overloaded. {handler.authorization}"
    handler.send_json({"error": {"message": message, "code": 503}})
    handler.end()


def _rambles(handler: _Handler) -> None:
    """Send an error so long that cutting it would cut the key that it repeats, with half an emoji in it."""
    handler.begin()
    handler.send_json({"error": {"message": f"overloaded \ud83d\n{'so ' * 55}{handler.authorization}", "code": 503}})
    handler.end()


def _inserts(chunk: object) -> Callable[["_Handler"], None]:
    """Send this in the middle of an answer that is fine otherwise."""

    def behave(handler: _Handler) -> None:
        handler.begin()
        handler.stream(*PIECES)
        handler.send_json(chunk)
        handler.stream(finish="stop")
        handler.end()

    return behave


def _is_deep(handler: _Handler) -> None:
    handler.begin()
    handler.send(f"data: {'[' * DEPTH}\n\n")
    handler.end()


def _is_not_text(handler: _Handler) -> None:
    handler.begin()
    handler.send_bytes(b"data: \xff\xfe\n\n")
    handler.end()


def _is_empty(handler: _Handler) -> None:
    handler.begin()
    handler.stream(finish="stop")
    handler.end()


def _is_huge(handler: _Handler) -> None:
    handler.begin()
    handler.stream(*["ha " * 1_000] * (HUGE // 3_000 + 1), finish="stop")
    handler.end()


def _is_not_json(handler: _Handler) -> None:
    handler.begin()
    handler.end(GARBAGE)


def _is_not_sse(handler: _Handler) -> None:
    """Send a page, as a captive portal or a wrong URL does."""
    handler.begin("text/html; charset=utf-8")
    handler.end(PAGE)


def _refuses(handler: _Handler) -> None:
    """Refuse the key, and repeat it, as careless proxies do."""
    key = handler.authorization.removeprefix("Bearer ")
    handler.refuse(HTTPStatus.UNAUTHORIZED, f"Incorrect API key provided: {key}.")


def _is_not_found(handler: _Handler) -> None:
    handler.refuse(HTTPStatus.NOT_FOUND, "The model does not exist or you do not have access to it.")


BEHAVIOURS: dict[str, Callable[[_Handler], None]] = {
    "good": _is_good,
    "forgets-done": _forgets_done,
    "ends-without-delta": _ends_without_delta,
    "ends-with-null": _ends_with_null,
    "cuts-an-emoji": _cuts_an_emoji,
    "controls": _sends_controls,
    "hangs": _hangs,
    "stalls": _stalls,
    "keeps-alive": _keeps_alive,
    "drips": _drips,
    "busy": _is_busy,
    "always-busy": _is_always_busy,
    "broken": _is_broken,
    "cuts": _cuts,
    "ends-early": _ends_early,
    "fails-midway": _fails_midway,
    "rambles": _rambles,
    "null-chunk": _inserts(None),
    "list-chunk": _inserts([]),
    "number-chunk": _inserts({"choices": [{"index": 0, "delta": {"content": 5}, "finish_reason": None}]}),
    "surrogate-chunk": _inserts({"choices": "\ud83d"}),
    "deep": _is_deep,
    "not-text": _is_not_text,
    "empty": _is_empty,
    "huge": _is_huge,
    "not-json": _is_not_json,
    "not-sse": _is_not_sse,
    "refuses": _refuses,
}
"""What each model does."""
