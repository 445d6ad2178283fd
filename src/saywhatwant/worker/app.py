"""The ASGI app: the table of operations, bound to one queue object."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, Router, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from durable_objects import Meter, Runtime
from saywhatwant.entities import Entities
from saywhatwant.queue import MessageQueue
from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.events import is_lease_ended
from saywhatwant.settings import Settings
from saywhatwant.worker import assets, openapi
from saywhatwant.worker.auth import BotAuth, PostRateLimiter
from saywhatwant.worker.broadcaster import Broadcaster
from saywhatwant.worker.claim_waiters import ClaimWaiters
from saywhatwant.worker.endpoint import Endpoint, Handler
from saywhatwant.worker.metrics import Metrics, RouteFigures
from saywhatwant.worker.operations import OPERATIONS
from saywhatwant.worker.problems import Kind, problem, problem_response
from saywhatwant.worker.routes import Api, Rules

QUEUE_NAME = "global-queue"
"""The one object of the topology ``single``."""

_NO_PREFLIGHT = Kind(400, "cross-site", "ReadCache of this site may not do this")


class Worker(NamedTuple):
    """The ASGI app, and the room of waiting claims: close it before the server stops, or they keep it for up to a minute."""

    app: ASGIApp
    room: ClaimWaiters


def create_worker(
    runtime: Runtime,
    settings: Settings,
    *,
    meter: Meter | None = None,
    trouble: Callable[[], str | None] = lambda: None,
) -> Worker:
    """The worker in front of ``runtime``, which must not have started yet.

    ``meter`` is the runtime's, where it has one; ``trouble`` tells the readiness probe what is wrong, if anything.
    """
    entities = Entities(settings.entities)
    policy = queue_config(settings, tuple(entities.current))
    queue = runtime.namespace("MessageQueue", partial(MessageQueue, policy=policy)).get(QUEUE_NAME)
    metrics = Metrics(meter or Meter())
    room = ClaimWaiters(queue)
    origins = frozenset(settings.cors_origins)
    live = Broadcaster(queue, allowed_origins=origins, per_address=settings.max_sockets_per_address)
    api = Api(
        queue,
        rules=Rules(max_text=settings.max_text, entities=entities, open_entities=settings.takes_unknown_entities),
        access=BotAuth(settings.token, origins),
        rate=PostRateLimiter(settings.posts_per_minute),
        room=room,
        live=live,
        metrics=metrics,
        trouble=trouble,
    )

    def count_expiries(event: bytes) -> None:
        if is_lease_ended(event):
            metrics.lease_expiries.inc()

    queue.subscribe(count_expiries)
    router = Paths([WebSocketRoute("/api/ws", live), *_routes(api, metrics), openapi.assets()])
    return Worker(_with_cors(router, settings.cors_origins), room)


class Paths(Router):
    """Starlette's router tries one route after the other; here a path without parameters is found at once."""

    def __init__(self, routes: list[BaseRoute]) -> None:
        super().__init__(routes, redirect_slashes=False, default=_nowhere)
        self._apps = {route.path: route.app for route in routes if isinstance(route, Route)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand over to what stands at the path."""
        app = self._apps.get(scope["path"]) if scope["type"] == "http" else None
        await (app or super().__call__)(scope, receive, send)


def _routes(api: Api, metrics: Metrics) -> Iterator[BaseRoute]:
    for path, operations in groupby(OPERATIONS, key=attrgetter("path")):
        handlers: dict[str, tuple[Handler, RouteFigures]] = {
            operation.method: (getattr(api, operation.handler), metrics.requests.route(path, operation.method))
            for operation in operations
        }
        yield Route(path, Endpoint(handlers))
    for label, files in (("/page", assets.handlers()), ("/api/docs", openapi.handlers())):
        figures = metrics.requests.route(label, "GET")
        for path, handler in files.items():
            yield Route(path, Endpoint({"GET": (handler, figures)}))


def queue_config(settings: Settings, entities: tuple[str, ...]) -> QueueConfig:
    """The queue's part of the settings."""
    return QueueConfig(
        lease_ms=round(settings.lease_seconds * 1_000),
        max_hold_ms=round(settings.max_hold_seconds * 1_000),
        max_attempts=settings.max_attempts,
        backoff_ms=round(settings.backoff_seconds * 1_000),
        retention=settings.retention,
        backlog_limit=settings.backlog_limit,
        entities=entities,
    )


def _with_cors(app: ASGIApp, origins: list[str]) -> ASGIApp:
    if not origins:
        return app
    return _CORS(
        app,
        allow_origins=origins,
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "If-None-Match"],
        expose_headers=["ETag", "Retry-After"],
    )


class _CORS(CORSMiddleware):
    """Starlette's, with its refusals as problems too."""

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        if response.status_code < 400:  # noqa: PLR2004 - as HTTP counts
            return response
        return problem_response(_NO_PREFLIGHT, bytes(response.body).decode())


async def _nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    await problem(HTTPException(404))(scope, receive, send)
