"""The ASGI app: the table of operations, bound to one queue object."""

import socket
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

from starlette.types import ASGIApp

from durable_objects import Runtime
from saywhatwant.entities import Entities
from saywhatwant.queue.config import QueueConfig
from saywhatwant.settings import Settings
from saywhatwant.topology import open_wall
from saywhatwant.worker import api_docs, assets
from saywhatwant.worker.auth import BotAuth, PostRateLimiter
from saywhatwant.worker.broadcaster import Broadcaster
from saywhatwant.worker.claim_waiters import ClaimWaiters
from saywhatwant.worker.endpoint import Action, Endpoint
from saywhatwant.worker.metrics import OTHER, Metrics
from saywhatwant.worker.operations import OPERATIONS
from saywhatwant.worker.posts import MessageRules, Posts
from saywhatwant.worker.queue_events import QueueEvents
from saywhatwant.worker.routes import Api
from saywhatwant.worker.routing import Router, endpoints

ORIGINAL = "/original/"
"""The paths of the original's dialect begin with this."""


class Worker(NamedTuple):
    """The ASGI app, and what else its server needs."""

    app: ASGIApp
    waiters: ClaimWaiters
    """Close them before the server stops, or waiting claims delay it for up to a minute."""
    events: QueueEvents
    """Close them after the server has stopped."""
    on_refused: Callable[[int], None]
    """Counts a refusal made before any route, by its status."""


def create_worker(
    runtime: Runtime,
    settings: Settings,
) -> Worker:
    """The worker in front of ``runtime``, which must not have started yet."""
    entities = Entities(settings.entities)
    config = queue_config(settings, tuple(entities.current))
    wall = open_wall(runtime, config, settings.topology)
    metrics = Metrics()
    queue_events = QueueEvents(wall)
    waiters = ClaimWaiters(wall, queue_events, gateway=_gateway(settings))
    auth = BotAuth(settings.token, frozenset(settings.cors_origins))
    broadcaster = Broadcaster(
        wall,
        queue_events,
        check_page=auth.check_page,
        per_client=settings.max_sockets_per_address,
        metrics=metrics,
    )
    rules = MessageRules(
        max_text=settings.max_text,
        entities=entities,
        open_entities=settings.takes_unknown_entities,
        most_urgent_priority=settings.most_urgent_priority,
        max_context_bytes=settings.max_context_bytes,
    )
    posts = Posts(wall, rules, auth, PostRateLimiter(settings.posts_per_minute))
    api = Api(
        wall,
        rules=rules,
        auth=auth,
        posts=posts,
        queue_events=queue_events,
        waiters=waiters,
        broadcaster=broadcaster,
        metrics=metrics,
        runtime=runtime,
    )

    @cache
    def original() -> ASGIApp:
        from saywhatwant.worker.original import original_app  # noqa: PLC0415 - most servers have no such clients

        return original_app(wall, posts=posts, rules=rules, auth=auth, metrics=metrics, meter=runtime.meter, bots=waiters.bots)

    apps = endpoints(api, OPERATIONS, rules=rules, auth=auth, metrics=metrics)
    router = Router(
        dict(apps) | dict(_files(settings, metrics)),
        {"/api/ws": broadcaster},
        metrics.route(OTHER),
        others={ORIGINAL: original},
    )
    return Worker(_with_cors(router, settings.cors_origins, metrics), waiters, queue_events, metrics.count_refused)


def _gateway(settings: Settings) -> str | None:
    """A name that only this server's successors have: the same machine and port. None for a port that is picked at random."""
    return f"{socket.gethostname()}:{settings.bind}" if settings.port else None


def _files(settings: Settings, metrics: Metrics) -> Iterator[tuple[str, ASGIApp]]:
    docs = api_docs.handlers(max_text=settings.max_text, needs_token=settings.token is not None)
    for label, files in (("/page", assets.handlers(settings.frame_ancestors)), ("/api/docs", docs)):
        get, others = metrics.route(label, "GET"), metrics.route(label)
        for path, handler in files.items():
            yield path, Endpoint({"GET": Action(handler=handler, metrics=get)}, others)


def queue_config(settings: Settings, entities: tuple[str, ...]) -> QueueConfig:
    """The queue's part of the settings."""
    return QueueConfig(
        lease_ms=round(settings.lease_seconds * 1_000),
        max_hold_ms=round(settings.max_hold_seconds * 1_000),
        max_attempts=settings.max_attempts,
        backoff_ms=round(settings.backoff_seconds * 1_000),
        max_wait_ms=round(settings.max_wait_seconds * 1_000),
        aging_ms=round(settings.priority_aging_seconds * 1_000),
        retention=settings.retention,
        talk_retention=settings.talk_retention,
        talk_ms=round(settings.talk_seconds * 1_000),
        max_kept=settings.max_kept,
        max_context_bytes=settings.max_context_bytes,
        backlog_limit=settings.backlog_limit,
        entities=entities,
    )


def _with_cors(app: ASGIApp, origins: list[str], metrics: Metrics) -> ASGIApp:
    if not origins:
        return app
    from saywhatwant.worker.cors import cross_origin  # noqa: PLC0415 - most servers do not need it

    return cross_origin(app, origins, metrics.route("preflight", "OPTIONS"), apart=ORIGINAL)
