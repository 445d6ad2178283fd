"""From an ASGI request to a handler and back: one operation of the HTTP interface."""

from collections.abc import Awaitable, Callable
from functools import lru_cache
from time import perf_counter
from typing import Generic, TypeVar
from urllib.parse import parse_qsl

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from saywhatwant.errors import BodyTooLarge, MalformedBody
from saywhatwant.worker.exchange import Exchange
from saywhatwant.worker.metrics import RouteFigures
from saywhatwant.worker.problems import invalid, problem

T = TypeVar("T")

Handler = Callable[[Request], Awaitable[Response]]

_encode = msgspec.json.Encoder().encode


class Endpoint:
    """One path as an ASGI app: runs its method's handler, turns refusals into problems, counts.

    The router only finds the path. What Starlette's own application would wrap around it (method tables, error pages) is done
    here once, in the terms of this interface.
    """

    def __init__(self, handlers: dict[str, tuple[Handler, RouteFigures]]) -> None:
        self._handlers = handlers
        if "GET" in handlers:
            handlers["HEAD"] = handlers["GET"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = perf_counter()
        try:
            handler, figures = self._handlers[scope["method"]]
        except KeyError:
            allow = {"Allow": ", ".join(self._handlers)}
            await problem(HTTPException(405, headers=allow))(scope, receive, send)
            return
        try:
            response = await handler(Request(scope, receive))
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets a problem
            response = problem(error)
        if not (isinstance(response, JSON) and response.sent_at_once(send)):
            await response(scope, receive, send)
        figures.count(response.status_code, perf_counter() - started)


def header(request: Request, name: bytes) -> bytes | None:
    """The first header of this lower-case name."""
    for key, value in request.scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return None


class JSON(Response):
    """A struct as JSON, with as little ado as a response can be made; its headers can not be changed.

    What is JSON already (``msgspec.Raw``) is not copied.
    """

    media_type = "application/json"

    def __init__(self, content: object, status_code: int = 200, etag: int | None = None) -> None:
        self.status_code = status_code
        self.background = None
        self.body = memoryview(content) if isinstance(content, msgspec.Raw) else _encode(content)
        self._head = b"content-type: application/json\r\ncontent-length: %d\r\n" % len(self.body)
        if etag is not None:
            self._head += b'etag: "%d"\r\n' % etag

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:  # type: ignore[override]
        """The same, for ASGI."""
        return [(name, value) for name, _, value in (line.partition(b": ") for line in self._head.splitlines())]

    def sent_at_once(self, send: Send) -> bool:
        """Send it in one plain call, where ``send`` is the server's own and can do that now."""
        exchange = getattr(send, "__self__", None)
        return isinstance(exchange, Exchange) and exchange.answer(self.status_code, self._head, self.body)


class BodyReader(Generic[T]):
    """Reads bodies of one type, of up to ``max_bytes``.

    Whatever the content type says, a body must be JSON: ``curl -d`` says it is a form.
    """

    def __init__(self, body: type[T], max_bytes: int) -> None:
        self._body = body
        self._decode = msgspec.json.Decoder(body).decode
        self._max_bytes = max_bytes

    async def read(self, request: Request) -> T:
        """The decoded body; raises ``BodyTooLarge``, ``MalformedBody`` or ``InvalidField``."""
        receive = request.receive
        message = await receive()
        body = message.get("body", b"")
        while message.get("more_body"):
            if len(body) > self._max_bytes:
                break
            message = await receive()
            body += message.get("body", b"")
        if message["type"] == "http.disconnect":
            raise MalformedBody("the client went away before its body was complete")
        if len(body) > self._max_bytes:
            raise BodyTooLarge(f"the body has more than {self._max_bytes} bytes")
        if not body:
            if header(request, b"upgrade") is not None:
                raise MalformedBody("the body of a request with the header Upgrade is not read; send it without that header")
            raise MalformedBody("the body is empty; send JSON")
        try:
            return self._decode(body)
        except msgspec.ValidationError as error:
            raise invalid(error, self._body, "body") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MalformedBody(f"the body is not JSON in UTF-8: {error}") from None
        except RecursionError:
            raise MalformedBody("the body is JSON nested too deep") from None


MAX_REMEMBERED = 256
"""Bytes of a query string that is worth remembering."""


class QueryReader(Generic[T]):
    """Reads query strings of one type. Readers poll with the same few, so the last ones are remembered."""

    def __init__(self, query: type[T]) -> None:
        self._query = query
        self._parse = lru_cache(maxsize=1_024)(self._parse_new)

    def read(self, request: HTTPConnection) -> T:
        """The parameters; raises ``InvalidField``."""
        query_string: bytes = request.scope["query_string"]
        return self._parse(query_string) if len(query_string) <= MAX_REMEMBERED else self._parse_new(query_string)

    def _parse_new(self, query_string: bytes) -> T:
        values = dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True))
        try:
            return msgspec.convert(values, self._query, strict=False)
        except msgspec.ValidationError as error:
            raise invalid(error, self._query, "query") from None
