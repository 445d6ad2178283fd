"""A provider of models that behaves as badly as the model it is asked for: a real HTTP server on loopback.

Every behaviour is the name of a model. A model that is none of them is not there (404), as at a real provider.
"""

import json
import threading
import time
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
"""How often one that is busy says so before it answers."""
RETRY_AFTER_SECONDS = 1
DRIP_SECONDS = 0.1

DEPTH = 200_000
"""Lists in each other, more than any decoder follows."""

GARBAGE = 'data: {"id": "chatcmpl-1", "choices": [{"del\n\ndata: <<<>>>\n\ndata: [DONE]\n\n'
PAGE = "<!doctype html><title>Welcome</title><p>Please sign in to this network.</p>"


class Provider:
    """The server, while entered; it remembers what it was asked."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        """How often each model was asked for."""
        self.authorizations: set[str] = set()
        """The Authorization headers that came."""
        self.gates: dict[str, threading.Event] = {}
        """ModelRouter that answer with their name once their event is set."""
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._http = _Server(("127.0.0.1", 0), _Exchange)
        self._http.provider = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    def count(self, model: str, authorization: str) -> int:
        """Note a request; how many there have been for this model, this one counted."""
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
    daemon_threads = True  # one whose caller keeps its connection open has nothing to wait for
    provider: Provider


class _Exchange(BaseHTTPRequestHandler):
    """One connection, and the requests on it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server
    times: int
    """How often this model was asked for, this request counted."""

    def handle(self) -> None:
        with suppress(ConnectionError):  # the caller has had enough, or is no more
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
            self.say(model, finish="stop")
            self.end()
        else:
            BEHAVIOURS.get(model, _is_not_there)(self)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Nothing: tests read what the bot logs."""

    @property
    def authorization(self) -> str:
        return str(self.headers.get("Authorization", ""))

    def refuse(self, status: int, message: str, **headers: str) -> None:
        """An answer as OpenAI refuses."""
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

    def say(self, *pieces: str, finish: str | None = None) -> None:
        """The events of these pieces, and the one that says that this was all."""
        for piece in pieces:
            self.send(_event({"content": piece}))
        if finish is not None:
            self.send(_event({}, finish))

    def show(self, chunk: object) -> None:
        """An event with whatever this is where a chunk belongs."""
        self.send(f"data: {json.dumps(chunk)}\n\n")

    def end(self, last: str = "data: [DONE]\n\n") -> None:
        if last:
            self.send(last)
        self.wfile.write(b"0\r\n\r\n")

    def wait(self, seconds: float | None = None) -> bool:
        """Do nothing for so long, or until the provider ends; whether it ended."""
        return self.server.provider.closing.wait(seconds)


def _event(delta: dict[str, str], finish: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": int(time.time()), "model": "test"}
    return f"data: {json.dumps({**chunk, 'choices': [choice]})}\n\n"


def _is_good(exchange: _Exchange) -> None:
    exchange.begin()
    exchange.say(*PIECES, finish="stop")
    exchange.end()


def _forgets_done(exchange: _Exchange) -> None:
    """As some servers do, the answer itself is complete."""
    exchange.begin()
    exchange.say(*PIECES, finish="stop")
    exchange.end("")


def _ends_without_delta(exchange: _Exchange) -> None:
    """As some servers do, where there is no more to say."""
    exchange.begin()
    exchange.say(*PIECES)
    exchange.show({"choices": [{"index": 0, "finish_reason": "stop"}]})
    exchange.end()


def _ends_with_null(exchange: _Exchange) -> None:
    exchange.begin()
    exchange.say(*PIECES)
    exchange.show({"choices": [{"index": 0, "delta": None, "finish_reason": "stop"}]})
    exchange.end()


def _cuts_an_emoji(exchange: _Exchange) -> None:
    """In two, as UTF-16 has it; and there are halves of others that stay alone."""
    exchange.begin()
    exchange.say("Because\ud83d", " ", "\ud83c", "\udf11", ".\ud83d", finish="stop")
    exchange.end()


def _says_controls(exchange: _Exchange) -> None:
    """With characters in between that no wall takes."""
    exchange.begin()
    exchange.say("\x00", *(piece + "\x1b" for piece in PIECES), "\x07\n", finish="stop")
    exchange.end()


def _hangs(exchange: _Exchange) -> None:
    exchange.wait()


def _stalls(exchange: _Exchange) -> None:
    exchange.begin()
    exchange.say(*PIECES[:2])
    exchange.wait()


def _keeps_alive(exchange: _Exchange) -> None:
    """A comment now and then, as proxies send while they wait for a model; it is never silent, and never says a thing."""
    exchange.begin()
    while not exchange.wait(DRIP_SECONDS):
        exchange.send(": still working\n\n")


def _drips(exchange: _Exchange) -> None:
    """A word now and then, and no end."""
    exchange.begin()
    while not exchange.wait(DRIP_SECONDS):
        exchange.say(" and")


def _is_always_busy(exchange: _Exchange) -> None:
    exchange.refuse(HTTPStatus.TOO_MANY_REQUESTS, "Rate limit reached.", Retry_After=str(RETRY_AFTER_SECONDS))


def _is_busy(exchange: _Exchange) -> None:
    (_is_always_busy if exchange.times <= BUSY_TIMES else _is_good)(exchange)


def _is_broken(exchange: _Exchange) -> None:
    exchange.refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "The server had an error while processing your request.")


def _cuts(exchange: _Exchange) -> None:
    """The connection closes in the middle."""
    exchange.begin()
    exchange.say(*PIECES[:2])
    exchange.close_connection = True


def _ends_early(exchange: _Exchange) -> None:
    """As it looks from behind a proxy whose own connection was cut: to HTTP, all is well."""
    exchange.begin()
    exchange.say(*PIECES[:2])
    exchange.end("")


def _fails_midway(exchange: _Exchange) -> None:
    exchange.begin()
    exchange.say(*PIECES[:2])
    # And repeats what it was sent, which must not come out on the wall.
    told = f"The model is overloaded. {exchange.authorization}"
    exchange.show({"error": {"message": told, "code": 503}})
    exchange.end()


def _rambles(exchange: _Exchange) -> None:
    """So long that a reader who cuts it cuts the key that it repeats, and with half an emoji in it."""
    exchange.begin()
    exchange.show({"error": {"message": f"overloaded \ud83d\n{'so ' * 55}{exchange.authorization}", "code": 503}})
    exchange.end()


def _shows(chunk: object) -> Callable[["_Exchange"], None]:
    """Shows this in the middle of an answer that is fine otherwise."""

    def behave(exchange: _Exchange) -> None:
        exchange.begin()
        exchange.say(*PIECES)
        exchange.show(chunk)
        exchange.say(finish="stop")
        exchange.end()

    return behave


def _is_deep(exchange: _Exchange) -> None:
    exchange.begin()
    exchange.send(f"data: {'[' * DEPTH}\n\n")
    exchange.end()


def _is_not_text(exchange: _Exchange) -> None:
    exchange.begin()
    exchange.send_bytes(b"data: \xff\xfe\n\n")
    exchange.end()


def _is_empty(exchange: _Exchange) -> None:
    exchange.begin()
    exchange.say(finish="stop")
    exchange.end()


def _is_huge(exchange: _Exchange) -> None:
    exchange.begin()
    exchange.say(*["ha " * 1_000] * (HUGE // 3_000 + 1), finish="stop")
    exchange.end()


def _is_not_json(exchange: _Exchange) -> None:
    exchange.begin()
    exchange.end(GARBAGE)


def _is_not_sse(exchange: _Exchange) -> None:
    """A page, as a captive portal or a wrong URL gives."""
    exchange.begin("text/html; charset=utf-8")
    exchange.end(PAGE)


def _refuses(exchange: _Exchange) -> None:
    """And repeats the key that it does not like, as careless proxies do."""
    key = exchange.authorization.removeprefix("Bearer ")
    exchange.refuse(HTTPStatus.UNAUTHORIZED, f"Incorrect API key provided: {key}.")


def _is_not_there(exchange: _Exchange) -> None:
    exchange.refuse(HTTPStatus.NOT_FOUND, "The model does not exist or you do not have access to it.")


BEHAVIOURS: dict[str, Callable[[_Exchange], None]] = {
    "good": _is_good,
    "forgets-done": _forgets_done,
    "ends-without-delta": _ends_without_delta,
    "ends-with-null": _ends_with_null,
    "cuts-an-emoji": _cuts_an_emoji,
    "controls": _says_controls,
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
    "null-chunk": _shows(None),
    "list-chunk": _shows([]),
    "number-chunk": _shows({"choices": [{"index": 0, "delta": {"content": 5}, "finish_reason": None}]}),
    "surrogate-chunk": _shows({"choices": "\ud83d"}),
    "deep": _is_deep,
    "not-text": _is_not_text,
    "empty": _is_empty,
    "huge": _is_huge,
    "not-json": _is_not_json,
    "not-sse": _is_not_sse,
    "refuses": _refuses,
}
"""What each model does."""
