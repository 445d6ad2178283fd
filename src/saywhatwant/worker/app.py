"""The ASGI app: the table of operations, bound to one queue object."""

from collections.abc import Callable
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from durable_objects import Meter, Runtime
from saywhatwant.entities import ENTITIES
from saywhatwant.events import is_lease_ended
from saywhatwant.queue import MessageQueue, Policy
from saywhatwant.settings import Settings
from saywhatwant.worker import openapi
from saywhatwant.worker.access import BotAccess, PostRate
from saywhatwant.worker.endpoint import Endpoint
from saywhatwant.worker.metrics import Metrics
from saywhatwant.worker.operations import OPERATIONS
from saywhatwant.worker.problems import problem
from saywhatwant.worker.routes import Api, Rules
from saywhatwant.worker.waiting import WaitingRoom

QUEUE_NAME = "global-queue"
"""The one object of the topology ``single``."""


def create_app(
    runtime: Runtime,
    settings: Settings,
    *,
    meter: Meter | None = None,
    trouble: Callable[[], str | None] = lambda: None,
) -> Starlette:
    """The worker in front of ``runtime``, which must not have started yet.

    ``meter`` is the runtime's, where it has one; ``trouble`` tells the readiness probe what is wrong. ``app.state.room`` is
    the room of waiting claims: close it before the server stops, or they keep it up to a minute.
    """
    queue = runtime.namespace("MessageQueue", partial(MessageQueue, policy=policy_of(settings))).get(QUEUE_NAME)
    metrics = Metrics(meter or Meter())
    room = WaitingRoom(queue)
    api = Api(
        queue,
        rules=Rules(max_text=settings.max_text, entities=frozenset(ENTITIES), open_entities=settings.open_entities),
        access=BotAccess(settings.token, frozenset(settings.cors_origins)),
        rate=PostRate(settings.posts_per_minute),
        room=room,
        metrics=metrics,
        trouble=trouble,
    )

    def count_expiries(event: bytes) -> None:
        if is_lease_ended(event):
            metrics.lease_expiries.inc()

    queue.subscribe(count_expiries)
    routes: list[BaseRoute] = [
        Route(
            operation.path,
            Endpoint(getattr(api, operation.handler), metrics.requests.route(operation.path, operation.method)),
            methods=[operation.method],
        )
        for operation in OPERATIONS
    ]
    app = Starlette(
        routes=[*routes, *openapi.routes(), Route("/", _home)],
        middleware=_cors(settings.cors_origins),
        exception_handlers={HTTPException: _problem, Exception: _problem},
    )
    app.state.room = room
    return app


def policy_of(settings: Settings) -> Policy:
    """The queue's part of the settings."""
    return Policy(
        lease_ms=round(settings.lease_seconds * 1_000),
        max_hold_ms=round(settings.max_hold_seconds * 1_000),
        max_attempts=settings.max_attempts,
        backoff_ms=round(settings.backoff_seconds * 1_000),
        retention=settings.retention,
        backlog_limit=settings.backlog_limit,
    )


def _cors(origins: list[str]) -> list[Middleware]:
    if not origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "If-None-Match"],
            expose_headers=["ETag", "Retry-After"],
        )
    ]


async def _problem(_: Request, error: Exception) -> Response:
    return problem(error)


async def _home(_: Request) -> Response:
    return RedirectResponse("/api/docs")
