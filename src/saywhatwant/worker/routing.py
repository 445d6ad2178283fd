"""From a table of operations to an app: each path has one endpoint, and the router finds it."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from durable_objects import Meter
from saywhatwant.errors import NoSuchPath
from saywhatwant.worker.auth import Auth
from saywhatwant.worker.endpoint import Action, Endpoint, Refuse
from saywhatwant.worker.metrics import Metrics, RouteMetrics
from saywhatwant.worker.operations import Access, Operation
from saywhatwant.worker.posts import MessageRules
from saywhatwant.worker.problems import problem
from saywhatwant.worker.request import Request


class Router:
    """Finds the app of a path.

    Args:
        endpoints: the apps of the paths.
        sockets: the apps of WebSockets.
        elsewhere: counts what has no app.
        refuse: makes the answer to that.
        others: make the apps of all paths that begin with a prefix and have none of their own.
        meter: counts what a platform would bill, except for what ``endpoints`` serve, which count by themselves.
    """

    def __init__(
        self,
        endpoints: Mapping[str, ASGIApp],
        sockets: Mapping[str, ASGIApp],
        elsewhere: RouteMetrics,
        *,
        refuse: Refuse = problem,
        others: Mapping[str, Callable[[], ASGIApp]] | None = None,
        meter: Meter | None = None,
    ) -> None:
        self._meter = Meter() if meter is None else meter
        counted = {path: _counted(app, self._meter) for path, app in sockets.items()}
        self._apps: dict[str, Mapping[str, ASGIApp]] = {"http": endpoints, "websocket": counted}
        self._elsewhere = elsewhere
        self._refuse = refuse
        self._others = others or {}

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        app = self._apps[scope["type"]].get(scope["path"])
        return self._elsewhere_app(scope, receive, send) if app is None else app(scope, receive, send)

    async def _elsewhere_app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._meter.requests += 1
        self._meter.begin()
        try:
            await self._serve_elsewhere(scope, receive, send)
        finally:
            self._meter.end()

    async def _serve_elsewhere(self, scope: Scope, receive: Receive, send: Send) -> None:
        for prefix, make_app in self._others.items():
            if scope["path"].startswith(prefix):
                await make_app()(scope, receive, send)
                return
        response = self._refuse(NoSuchPath())
        await response(scope, receive, send)
        self._elsewhere.count(response.status_code, 0)


def _counted(app: ASGIApp, meter: Meter) -> ASGIApp:
    """The app of a WebSocket, whose handshake and frames are counted."""

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        async def received() -> Message:
            message = await receive()
            meter.socket_frames += message["type"] == "websocket.receive"
            return message

        meter.requests += 1
        await app(scope, received, send)

    return counted


def endpoints(
    api: object,
    operations: Sequence[Operation],
    *,
    rules: MessageRules,
    auth: Auth,
    metrics: Metrics,
    refuse: Refuse = problem,
    meter: Meter | None = None,
) -> Iterator[tuple[str, ASGIApp]]:
    """The paths of ``operations``, which the methods of ``api`` handle, with their apps; ``meter`` as for ``Endpoint``."""
    authorize: dict[Access, Callable[[Request], object] | None] = {
        "anyone": None,
        "own pages": auth.check_page,
        "bots": auth.bot,
        "operators": auth.operator,
        "bots and operators": auth.anyone,
    }
    for path, of_path in groupby(operations, key=attrgetter("path")):
        actions: dict[str, Action] = {
            operation.method: Action(
                handler=getattr(api, operation.handler),
                metrics=metrics.route(path, operation.method),
                authorize=authorize[operation.access],
                query=operation.query,
                body=operation.body,
                max_body_bytes=rules.max_post_bytes if operation.handler == "post" else rules.max_body_bytes,
            )
            for operation in of_path
        }
        yield path, Endpoint(actions, metrics.route(path), refuse=refuse, meter=meter)
