"""A fake provider of models: a real HTTP server on loopback that misbehaves as the name of the model says.

Any other model is not found (404), as at a real provider.
"""

from collections.abc import Callable
from http import HTTPStatus

from scripted_server import Exchange, ScriptedServer

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


class Provider(ScriptedServer):
    """The server, while entered; it records its requests."""

    def __init__(self) -> None:
        super().__init__(BEHAVIOURS)


def _is_good(exchange: Exchange) -> None:
    exchange.begin()
    exchange.stream(*PIECES, finish="stop")
    exchange.end()


def _forgets_done(exchange: Exchange) -> None:
    """Leave out the last line, as some servers do; the answer itself is complete."""
    exchange.begin()
    exchange.stream(*PIECES, finish="stop")
    exchange.end("")


def _ends_without_delta(exchange: Exchange) -> None:
    """Leave the delta out of the last chunk, as some servers do."""
    exchange.begin()
    exchange.stream(*PIECES)
    exchange.send_json({"choices": [{"index": 0, "finish_reason": "stop"}]})
    exchange.end()


def _ends_with_null(exchange: Exchange) -> None:
    exchange.begin()
    exchange.stream(*PIECES)
    exchange.send_json({"choices": [{"index": 0, "delta": None, "finish_reason": "stop"}]})
    exchange.end()


def _cuts_an_emoji(exchange: Exchange) -> None:
    """Send the two halves (UTF-16) of an emoji apart, and halves of others alone."""
    exchange.begin()
    exchange.stream("Because\ud83d", " ", "\ud83c", "\udf11", ".\ud83d", finish="stop")
    exchange.end()


def _sends_controls(exchange: Exchange) -> None:
    """Send control characters in between, which the wall refuses."""
    exchange.begin()
    exchange.stream("\x00", *(piece + "\x1b" for piece in PIECES), "\x07\n", finish="stop")
    exchange.end()


def _hangs(exchange: Exchange) -> None:
    exchange.wait()


def _stalls(exchange: Exchange) -> None:
    exchange.begin()
    exchange.stream(*PIECES[:2])
    exchange.wait()


def _keeps_alive(exchange: Exchange) -> None:
    """Send comments, as proxies do while they wait for a model, and never a word."""
    exchange.begin()
    while not exchange.wait(DRIP_SECONDS):
        exchange.send(": still working\n\n")


def _drips(exchange: Exchange) -> None:
    """Send a word now and then, without end."""
    exchange.begin()
    while not exchange.wait(DRIP_SECONDS):
        exchange.stream(" and")


def _is_always_busy(exchange: Exchange) -> None:
    exchange.refuse(HTTPStatus.TOO_MANY_REQUESTS, "Rate limit reached.", Retry_After=str(RETRY_AFTER_SECONDS))


def _is_busy(exchange: Exchange) -> None:
    (_is_always_busy if exchange.times <= BUSY_TIMES else _is_good)(exchange)


def _is_broken(exchange: Exchange) -> None:
    exchange.refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "The server had an error while processing your request.")


def _cuts(exchange: Exchange) -> None:
    """Close the connection in the middle."""
    exchange.begin()
    exchange.stream(*PIECES[:2])
    exchange.close_connection = True


def _ends_early(exchange: Exchange) -> None:
    """End the answer early but correctly, as a proxy does whose own connection was cut."""
    exchange.begin()
    exchange.stream(*PIECES[:2])
    exchange.end("")


def _fails_midway(exchange: Exchange) -> None:
    exchange.begin()
    exchange.stream(*PIECES[:2])
    # It repeats what it was sent, which must not be shown anywhere.
    message = f"The model is overloaded. {exchange.authorization}"
    exchange.send_json({"error": {"message": message, "code": 503}})
    exchange.end()


def _rambles(exchange: Exchange) -> None:
    """Send an error so long that cutting it would cut the key that it repeats, with half an emoji in it."""
    exchange.begin()
    exchange.send_json({"error": {"message": f"overloaded \ud83d\n{'so ' * 55}{exchange.authorization}", "code": 503}})
    exchange.end()


def _inserts(chunk: object) -> Callable[[Exchange], None]:
    """Send this in the middle of an answer that is fine otherwise."""

    def behave(exchange: Exchange) -> None:
        exchange.begin()
        exchange.stream(*PIECES)
        exchange.send_json(chunk)
        exchange.stream(finish="stop")
        exchange.end()

    return behave


def _is_deep(exchange: Exchange) -> None:
    exchange.begin()
    exchange.send(f"data: {'[' * DEPTH}\n\n")
    exchange.end()


def _is_not_text(exchange: Exchange) -> None:
    exchange.begin()
    exchange.send_bytes(b"data: \xff\xfe\n\n")
    exchange.end()


def _is_empty(exchange: Exchange) -> None:
    exchange.begin()
    exchange.stream(finish="stop")
    exchange.end()


def _is_huge(exchange: Exchange) -> None:
    exchange.begin()
    exchange.stream(*["ha " * 1_000] * (HUGE // 3_000 + 1), finish="stop")
    exchange.end()


def _is_not_json(exchange: Exchange) -> None:
    exchange.begin()
    exchange.end(GARBAGE)


def _is_not_sse(exchange: Exchange) -> None:
    """Send a page, as a captive portal or a wrong URL does."""
    exchange.begin("text/html; charset=utf-8")
    exchange.end(PAGE)


def _refuses(exchange: Exchange) -> None:
    """Refuse the key, and repeat it, as careless proxies do."""
    key = exchange.authorization.removeprefix("Bearer ")
    exchange.refuse(HTTPStatus.UNAUTHORIZED, f"Incorrect API key provided: {key}.")


BEHAVIOURS: dict[str, Callable[[Exchange], None]] = {
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
