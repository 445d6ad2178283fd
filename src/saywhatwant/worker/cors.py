"""CORS: answers for pages of other sites."""

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from saywhatwant.worker.metrics import RouteMetrics
from saywhatwant.worker.problems import Kind, problem_response

_NO_PREFLIGHT = Kind(400, "cross-site", "Pages of this site may not do this")


_METHODS = ("GET", "POST")
_HEADERS = ("Authorization", "Content-Type", "Idempotency-Key", "If-None-Match")


def cross_origin(
    app: ASGIApp,
    origins: Sequence[str],
    preflights: RouteMetrics,
    *,
    methods: Sequence[str] = _METHODS,
    headers: Sequence[str] = _HEADERS,
    apart: str | None = None,
) -> ASGIApp:
    """``app`` with the headers that let pages of ``origins`` send these methods and headers, and read its answers.

    Paths that begin with ``apart`` have headers of their own.
    """
    middleware = _Middleware(app, origins, preflights, methods, headers)
    if apart is None:
        return middleware

    async def by_path(scope: Scope, receive: Receive, send: Send) -> None:
        await (app if scope["path"].startswith(apart) else middleware)(scope, receive, send)

    return by_path


class _Middleware(CORSMiddleware):
    """Starlette's middleware, with its refusals as problems."""

    def __init__(
        self, app: ASGIApp, origins: Sequence[str], preflights: RouteMetrics, methods: Sequence[str], headers: Sequence[str]
    ) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=methods,
            allow_headers=headers,
            expose_headers=["ETag", "Link", "Retry-After", "SWW-Reset"],
        )
        self._preflights = preflights

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        if response.status_code >= 400:  # noqa: PLR2004 - as HTTP counts
            response = problem_response(_NO_PREFLIGHT, bytes(response.body).decode())
        self._preflights.count(response.status_code, 0)
        return response
