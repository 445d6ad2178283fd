"""From a table of operations to an app: each path has one endpoint, and the router finds it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from saywhatwant.errors import NoSuchPath
from saywhatwant.worker.auth import BotAuth
from saywhatwant.worker.endpoint import Action, Endpoint, Refuse
from saywhatwant.worker.metrics import Metrics, RouteMetrics
from saywhatwant.worker.operations import Access, Operation
from saywhatwant.worker.posts import MessageRules
from saywhatwant.worker.problems import problem


class Router:
    """Finds the app of a path."""

    def __init__(
        self,
        endpoints: Mapping[str, ASGIApp],
        sockets: Mapping[str, ASGIApp],
        elsewhere: RouteMetrics,
        *,
        refuse: Refuse = problem,
        others: Mapping[str, Callable[[], ASGIApp]] | None = None,
    ) -> None:
        """``others`` make the apps of all paths that begin with a prefix and have none of their own."""
        self._apps = {"http": endpoints, "websocket": sockets}
        self._elsewhere = elsewhere
        self._refuse = refuse
        self._others = others or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._apps[scope["type"]].get(scope["path"])
        if app is not None:
            await app(scope, receive, send)
            return
        for prefix, make_app in self._others.items():
            if scope["path"].startswith(prefix):
                await make_app()(scope, receive, send)
                return
        response = self._refuse(NoSuchPath())
        await response(scope, receive, send)
        self._elsewhere.count(response.status_code, 0)


def endpoints(
    api: object,
    operations: Sequence[Operation],
    *,
    rules: MessageRules,
    auth: BotAuth,
    metrics: Metrics,
    refuse: Refuse = problem,
) -> Iterator[tuple[str, ASGIApp]]:
    """The paths of ``operations``, which the methods of ``api`` handle, with their apps."""
    authorize: dict[Access, Callable[[Request], None] | None] = {
        "anyone": None,
        "own pages": auth.check_page,
        "bots": auth.check,
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
        yield path, Endpoint(actions, metrics.route(path), refuse=refuse)
