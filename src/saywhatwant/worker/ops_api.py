"""What only operators call: they sign in with a browser, and look at the wall."""

from functools import partial
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct
from starlette.responses import Response

from durable_objects import Stub
from saywhatwant.errors import UpgradeRequired
from saywhatwant.history import History
from saywhatwant.history.points import Points
from saywhatwant.limits import MAX_HISTORY_POINTS
from saywhatwant.message import Id
from saywhatwant.overview import DecodedStory
from saywhatwant.schemas import Ok
from saywhatwant.tokens import Scope
from saywhatwant.topology import Wall
from saywhatwant.worker.auth import Auth, check_origin
from saywhatwant.worker.decoders import Body, NoParameters, Query
from saywhatwant.worker.endpoint import JSON
from saywhatwant.worker.operations import BODY, Operation
from saywhatwant.worker.ops_figures import Dollars, Figures, OpsFigures
from saywhatwant.worker.queries import HistoryQuery
from saywhatwant.worker.reporter import usage_of
from saywhatwant.worker.request import Request
from saywhatwant.worker.sessions import Sessions


class SignInRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A token, for a cookie."""

    token: Annotated[str, Meta(min_length=1, max_length=500)]


class SignOutRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing but the end of a session."""


class SignedIn(Struct, frozen=True, rename="camel"):
    """Who calls."""

    name: str
    scopes: list[Scope]
    may_change: bool
    """Whether a page may change anything: not where no token is set, and nobody has signed in."""


class StoryQuery(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Query of GET /api/ops/message."""

    message_id: Id


OPS_SOCKET = "/api/ops/ws"

_operation = partial(Operation, tag="ops")

OPS_OPERATIONS: tuple[Operation, ...] = (
    _operation(
        method="GET",
        path="/api/ops/session",
        handler="session",
        summary="Who calls, and what they may do",
        answers=(SignedIn,),
        access="operators",
    ),
    _operation(
        method="POST",
        path="/api/ops/sign-in",
        handler="sign_in",
        summary="Give an operator's token, and get a cookie that lasts twelve hours, or as long as the token",
        body=Body(SignInRequest),
        answers=(Ok,),
        refusals=(*BODY, 401, 403, 429, 503),
    ),
    _operation(
        method="POST",
        path="/api/ops/sign-out",
        handler="sign_out",
        summary="Remove the cookie",
        body=Body(SignOutRequest),
        answers=(Ok,),
        refusals=(*BODY, 403),
    ),
    _operation(
        method="GET",
        path="/api/ops/history",
        handler="history",
        summary="Figures of each minute of a week, or of each hour of a year, oldest first",
        query=Query(HistoryQuery),
        answers=(Points,),
        access="operators",
        refusals=(503,),
    ),
    _operation(
        method="GET",
        path="/api/ops/figures",
        handler="figures",
        summary="The figures of the server and the queue at this moment",
        answers=(Figures,),
        access="operators",
        refusals=(503,),
    ),
    _operation(
        method="GET",
        path=OPS_SOCKET,
        handler="socket",
        summary="WebSocket: the figures, once a second",
        answers=(Figures,),
        access="operators",
        upgrades=True,
        refusals=(426, 429),
    ),
    _operation(
        method="GET",
        path="/api/ops/message",
        handler="story",
        summary="All that is known of one message: its state, its answer, and each attempt that ended without one",
        query=Query(StoryQuery),
        answers=(DecodedStory,),
        access="operators",
        refusals=(404, 503),
    ),
)


class OpsApi:
    """The handlers of ``OPS_OPERATIONS``."""

    def __init__(
        self,
        wall: Wall,
        *,
        auth: Auth,
        sessions: Sessions,
        history: Stub[History],
        figures: OpsFigures,
        dollars: Dollars | None,
    ) -> None:
        self._wall = wall
        self._figures = figures
        self._auth = auth
        self._sessions = sessions
        self._history = history
        self._price = None if dollars is None else lambda counted: dollars(usage_of(counted))

    async def session(self, request: Request, _: NoParameters) -> Response:
        """GET /api/ops/session."""
        caller = self._auth.operator(request)
        return JSON(SignedIn(caller.name, sorted(caller.scopes), bool(caller.digest)))

    async def sign_in(self, request: Request, body: SignInRequest) -> Response:
        """POST /api/ops/sign-in, for pages of this server only: another could sign its visitors in as somebody else."""
        check_origin(request, frozenset())
        return _with_cookie(self._sessions.sign_in(request, body.token))

    async def sign_out(self, request: Request, _: SignOutRequest) -> Response:
        """POST /api/ops/sign-out."""
        check_origin(request, frozenset())
        return _with_cookie(self._sessions.sign_out(request))

    async def history(self, _: Request, query: HistoryQuery) -> Response:
        """GET /api/ops/history."""
        since = None if query.since is UNSET else query.since
        limit = min(query.limit, MAX_HISTORY_POINTS // query.every)
        found = await self._history.call(History.figures, query.step, since, limit, query.every)
        return JSON(Points.of(query.step, found, every=query.every, price=self._price))

    async def figures(self, _: Request, __: NoParameters) -> Response:
        """GET /api/ops/figures."""
        return JSON(await self._figures.look())

    async def socket(self, _: Request, __: NoParameters) -> Response:
        """GET /api/ops/ws without a handshake; ``ops_sockets.OpsSockets`` handles handshakes."""
        raise UpgradeRequired("this is a WebSocket; clients without WebSockets poll GET /api/ops/figures")

    async def story(self, _: Request, query: StoryQuery) -> Response:
        """GET /api/ops/message."""
        return JSON(await self._wall.story(query.message_id))


def _with_cookie(cookie: str) -> Response:
    return Response(msgspec.json.encode(Ok()), headers={"set-cookie": cookie}, media_type="application/json")
