"""From an ASGI request to a handler and back: one path of the HTTP interface."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from durable_objects import Meter
from saywhatwant.errors import MethodNotAllowed
from saywhatwant.worker.decoders import Body, Query
from saywhatwant.worker.extensions import WHOLE, SendWhole
from saywhatwant.worker.metrics import RouteMetrics
from saywhatwant.worker.problems import problem
from saywhatwant.worker.request import Request

Handler = Callable[[Request, Any], Awaitable[Response]]
"""Called with the request and its decoded body, or the decoded query if the operation has no body."""

Refuse = Callable[[Exception], Response]
"""Makes the response to a request that an error has ended."""

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """One method of one path: who may call it, what it decodes, and its handler."""

    handler: Handler
    metrics: RouteMetrics
    authorize: Callable[[Request], object] | None = None
    query: Query[Any] | None = None
    """None ignores the query: shared links to the page may have added parameters."""
    body: Body[Any] | None = None
    max_body_bytes: int = 0


class Endpoint:
    """One path as an ASGI app: runs the method's action, turns refusals into problems, and counts.

    The router only finds the path. This class replaces the method tables and error pages of Starlette's own application.

    Args:
        actions: by method; HEAD is that of GET.
        others: counts requests of other methods.
        refuse: makes the answers to refused requests.
        meter: counts what a platform would bill; None where it would bill nothing.
    """

    def __init__(
        self,
        actions: Mapping[str, Action],
        others: RouteMetrics,
        *,
        refuse: Refuse = problem,
        meter: Meter | None = None,
    ) -> None:
        self._actions = dict(actions)
        self._other = Action(handler=self._refuse_method, metrics=others)
        self._refuse = refuse
        self._meter = Meter() if meter is None else meter
        if "GET" in actions:
            self._actions["HEAD"] = actions["GET"]
        self._allow = ", ".join(self._actions)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        action = self._actions.get(scope["method"], self._other)
        meter = self._meter
        meter.requests += 1
        began = meter.begin()
        try:
            try:
                request = Request(scope, receive)
                if action.authorize is not None:
                    action.authorize(request)
                decoded = None if action.query is None else action.query.read(request)
                if action.body is not None:
                    decoded = await action.body.read(request, action.max_body_bytes)
                response = await action.handler(request, decoded)
            except Exception as error:  # noqa: BLE001 - after any error, the client gets a problem
                response = self._refuse(error)
            if not (isinstance(response, JSON) and response.sent_at_once(scope, send)):
                await response(scope, receive, send)
        finally:
            ended = meter.end()
        action.metrics.count(response.status_code, ended - began)

    async def _refuse_method(self, _: Request, __: None) -> Response:
        raise MethodNotAllowed(self._allow)


class JSON(Response):
    """A struct as a JSON response, made with as little work as possible; its headers are fixed.

    Encoded JSON (``msgspec.Raw``) is not copied.
    """

    media_type = "application/json"

    def __init__(
        self,
        content: object,
        status_code: int = 200,
        *,
        etag: bytes | None = None,
        link: str | None = None,
        reset: bool = False,
    ) -> None:
        self.status_code = status_code
        self.background = None
        self.body = memoryview(content) if isinstance(content, msgspec.Raw) else _encode(content)
        self._head = b"content-type: application/json\r\ncontent-length: %d\r\n" % len(self.body)
        if etag is not None:
            self._head += b"etag: %b\r\n" % etag
        if link is not None:
            self._head += b"link: %b\r\n" % link.encode("ascii")
        if reset:
            self._head += b"sww-reset: true\r\n"

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:  # type: ignore[override]
        """The headers, for ASGI."""
        return [(name, value) for name, _, value in (line.partition(b": ") for line in self._head.splitlines())]

    def sent_at_once(self, scope: Scope, send: Send) -> bool:
        """Send the response in one plain call, if the server has one for that and can do it now."""
        extensions = scope.get("extensions")
        if extensions is None or WHOLE not in extensions:
            return False
        send_whole: SendWhole = extensions[WHOLE]
        return send_whole(send, self.status_code, self._head, self.body)
