"""The ASGI app: the table of operations, bound to one queue object."""

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import NamedTuple, Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from durable_objects import Meter, Runtime
from saywhatwant.entities import Entities
from saywhatwant.frames import PATH
from saywhatwant.history import open_history
from saywhatwant.last_backup import LastBackup
from saywhatwant.queue.config import QueueConfig
from saywhatwant.settings import Settings
from saywhatwant.tokens import Tokens
from saywhatwant.topology import Wall, moderation_of, open_wall
from saywhatwant.worker import api_docs, assets
from saywhatwant.worker.admission import Admission
from saywhatwant.worker.auth import Auth
from saywhatwant.worker.bot_calls import BotCalls
from saywhatwant.worker.bot_desk import BotDesk
from saywhatwant.worker.bot_sockets import BotSockets
from saywhatwant.worker.broadcaster import Broadcaster
from saywhatwant.worker.claim_waiters import ClaimWaiters
from saywhatwant.worker.endpoint import Action, Endpoint
from saywhatwant.worker.limits import MAX_REPORTS_PER_MINUTE
from saywhatwant.worker.metrics import OTHER, Metrics
from saywhatwant.worker.moderation import MODERATION_OPERATIONS, ModerationApi
from saywhatwant.worker.moderator import Moderator
from saywhatwant.worker.operations import OPERATIONS
from saywhatwant.worker.ops_api import OPS_OPERATIONS, OPS_SOCKET, OpsApi
from saywhatwant.worker.ops_figures import Dollars, OpsFigures
from saywhatwant.worker.ops_sockets import OpsSockets
from saywhatwant.worker.posts import MessageRules, Posts
from saywhatwant.worker.queue_events import QueueEvents
from saywhatwant.worker.rate_limit import PostRateLimiter
from saywhatwant.worker.reporter import Reporter
from saywhatwant.worker.routes import Api
from saywhatwant.worker.routing import Router, endpoints
from saywhatwant.worker.rules_api import RULES_OPERATIONS, RulesApi
from saywhatwant.worker.sessions import Sessions, key_of

ORIGINAL = "/original/"
"""The paths of the original's dialect begin with this."""


class Readers(Protocol):
    """An ASGI app that serves GET /api/ws; its length is how many sockets are open."""

    def __len__(self) -> int: ...
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


MakeReaders = Callable[[Wall, QueueEvents, Admission], Readers]


class MakeBotSockets(Protocol):
    """Makes the app of the bots' WebSockets; see ``BotSockets``."""

    def __call__(
        self,
        desk: BotDesk,
        *,
        auth: Auth,
        max_frame_bytes: int,
        metrics: Metrics,
        meter: Meter,
    ) -> ASGIApp: ...


class Worker(NamedTuple):
    """The ASGI app, and what else its server needs."""

    app: ASGIApp
    waiters: ClaimWaiters
    """Close them before the server stops, or waiting claims delay it for up to a minute."""
    events: QueueEvents
    """Close them after the server has stopped."""
    on_refused: Callable[[int], None]
    """Counts a refusal made before any route, by its status."""
    desk: BotDesk
    """The sessions of bots' sockets."""
    moderator: Moderator
    """Close it after the server has stopped, too."""
    reporter: Reporter
    """Start it with the server."""


def create_worker(
    runtime: Runtime,
    settings: Settings,
    *,
    gateway: str | None = None,
    sessions: Sessions | None = None,
    last_backup: Callable[[], LastBackup | None] = lambda: None,
    disk: Callable[[], tuple[int, int] | None] = lambda: None,
    make_readers: MakeReaders = Broadcaster,
    make_bot_sockets: MakeBotSockets = BotSockets,
    dollars: Dollars | None = None,
) -> Worker:
    """The worker in front of ``runtime``, which must not have started yet.

    Args:
        runtime: has the objects.
        settings: what the server's settings say.
        sessions: of operators, and the tokens that are good; by default only that of the settings is.
        last_backup: see ``Metrics``.
        disk: see ``Metrics``.
        gateway: a name that only its successors have, by which objects know which of its waiting claims are gone.
        make_readers: makes what serves those who read over WebSockets.
        make_bot_sockets: makes what serves bots over WebSockets; another one than the default has sockets that outlive this.
        dollars: what a usage would cost in a cloud, if operators are to see it.
    """
    entities = Entities(settings.entities)
    config = queue_config(settings, tuple(entities.current))
    wall = open_wall(runtime, config, settings.topology)
    history = open_history(runtime)
    metrics = Metrics(last_backup, disk)
    queue_events = QueueEvents(wall)
    waiters = ClaimWaiters(wall, queue_events, gateway=gateway)
    sessions = sessions or Sessions(Tokens(settings.token), key_of(settings.token or ""))
    auth = Auth(sessions.tokens, frozenset(settings.cors_origins), sessions)
    admission = Admission(check_page=auth.check_page, per_client=settings.max_sockets_per_address, metrics=metrics)
    readers = make_readers(wall, queue_events, admission)
    reporter = Reporter(wall, history, metrics=metrics, meter=runtime.meter, readers=readers, bots=waiters.bots)
    desk = BotDesk(
        wall,
        BotCalls(wall, queue_events, waiters.bots, settings.max_text),
        waiters,
        queue_events,
        hands_over=settings.has_one_gateway,
        sockets_last=make_bot_sockets is not BotSockets,
    )
    rules = MessageRules(
        max_text=settings.max_text,
        entities=entities,
        open_entities=settings.takes_unknown_entities,
        most_urgent_priority=settings.most_urgent_priority,
        max_context_bytes=settings.max_context_bytes,
    )
    moderator = Moderator(wall, moderation_of(runtime), follows=not settings.has_one_gateway)
    posts = Posts(wall, rules, auth, PostRateLimiter(settings.posts_per_minute), runtime.meter, moderator)
    api = Api(
        wall,
        rules=rules,
        auth=auth,
        posts=posts,
        desk=desk,
        readers=readers,
        metrics=metrics,
        runtime=runtime,
    )

    @cache
    def original() -> ASGIApp:
        from saywhatwant.worker.original import original_app  # noqa: PLC0415 - most servers have no such clients

        return original_app(wall, posts=posts, rules=rules, auth=auth, metrics=metrics, meter=runtime.meter, bots=waiters.bots)

    bot_sockets = make_bot_sockets(desk, auth=auth, max_frame_bytes=rules.max_body_bytes, metrics=metrics, meter=runtime.meter)
    of_operations = partial(endpoints, rules=rules, auth=auth, metrics=metrics, meter=runtime.meter)
    figures = OpsFigures(wall, desk, entities, runtime.meter, metrics=metrics, readers=readers, dollars=dollars)
    ops_api = OpsApi(wall, auth=auth, sessions=sessions, history=history, figures=figures, dollars=dollars)
    sockets: dict[str, ASGIApp] = {"/api/ws": readers, PATH: bot_sockets}
    if make_readers is Broadcaster:  # else sockets outlive the timer that would send the figures, and operators poll
        sockets[OPS_SOCKET] = OpsSockets(figures, auth=auth, metrics=metrics)
    rules_api = RulesApi(wall, moderator, auth, reports_per_minute=MAX_REPORTS_PER_MINUTE if settings.posts_per_minute else 0)
    tables = (
        (api, OPERATIONS),
        (ModerationApi(wall, runtime, auth, last_backup), MODERATION_OPERATIONS),
        (rules_api, RULES_OPERATIONS),
        (ops_api, OPS_OPERATIONS),
    )
    router = Router(
        {
            **dict(_files(settings, metrics, needs_token=sessions.tokens.are_needed())),
            **{path: app for handlers, table in tables for path, app in of_operations(handlers, table)},
        },
        sockets,
        metrics.route(OTHER),
        others={ORIGINAL: original},
        meter=runtime.meter,
    )
    return Worker(
        _with_cors(router, settings.cors_origins, metrics),
        waiters,
        queue_events,
        metrics.count_refused,
        desk,
        moderator,
        reporter,
    )


def _files(settings: Settings, metrics: Metrics, *, needs_token: bool) -> Iterator[tuple[str, ASGIApp]]:
    """What a platform serves as static files, so that it bills nothing for them."""
    docs = api_docs.pages(max_text=settings.max_text, needs_token=needs_token)
    for label, files in (("/page", assets.page(settings.frame_ancestors)), ("/api/docs", docs)):
        get, others = metrics.route(label, "GET"), metrics.route(label)
        for path, handler in assets.handlers(files).items():
            yield path, Endpoint({"GET": Action(handler=handler, metrics=get)}, others)


def queue_config(settings: Settings, entities: tuple[str, ...]) -> QueueConfig:
    """The queue's part of the settings."""
    return QueueConfig(
        lease_ms=round(settings.lease_seconds * 1_000),
        socket_lease_ms=round(settings.socket_lease_seconds * 1_000),
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
