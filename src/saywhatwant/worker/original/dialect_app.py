"""The ASGI app of the dialect: its operations, with their own CORS and their own form of refusals."""

from functools import partial
from typing import Literal

import msgspec
from msgspec.structs import asdict
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from durable_objects import Meter
from saywhatwant.errors import InvalidField
from saywhatwant.schemas import CompleteResponse
from saywhatwant.topology import Wall
from saywhatwant.worker.auth import Auth
from saywhatwant.worker.bots import Bots
from saywhatwant.worker.cors import cross_origin
from saywhatwant.worker.decoders import Body, Query
from saywhatwant.worker.endpoint import Action, Endpoint
from saywhatwant.worker.metrics import OTHER, Metrics
from saywhatwant.worker.operations import IDEMPOTENCY_KEY, WORK, Operation
from saywhatwant.worker.original import dialect
from saywhatwant.worker.original.handlers import OriginalApi
from saywhatwant.worker.posts import MessageRules, Posts
from saywhatwant.worker.problems import Problem, problem
from saywhatwant.worker.queries import Health
from saywhatwant.worker.routing import Router, endpoints

WALL = "/original/api/comments"

_decode = msgspec.json.Decoder(Problem).decode


class OriginalProblem(Problem, frozen=True, kw_only=True):
    """The body of a refusal, with the members that the original's clients look for."""

    success: Literal[False]
    error: str


_operation = partial(Operation, tag="original", problem=OriginalProblem)

ORIGINAL_OPERATIONS: tuple[Operation, ...] = (
    _operation(
        method="GET",
        path=WALL,
        handler="read",
        summary="Read the wall as the original's pages do",
        query=Query(dialect.WallQuery),
        answers=(list[dialect.GivenMessage], dialect.WallPage),
        refusals=(503,),
    ),
    _operation(
        method="POST",
        path=WALL,
        handler="post",
        summary="Post as the original's pages and bots do; message-type AI needs a bot's token",
        body=Body(dialect.SentPost),
        answers=(dialect.Posted,),
        may_hold=True,
        headers=(IDEMPOTENCY_KEY,),
        refusals=(*WORK, 401, 403, 429),
    ),
    _operation(method="GET", path=f"{WALL}/health", handler="health", summary="Is the process alive", answers=(Health,)),
    _operation(
        method="GET",
        path="/original/api/queue/pending",
        handler="pending",
        summary="List claimable messages as the original's bots do",
        query=Query(dialect.WorkQuery),
        answers=(dialect.PendingAnswer,),
        access="bots",
        refusals=(503,),
    ),
    _operation(
        method="POST",
        path="/original/api/queue/claim",
        handler="claim",
        summary="Claim a message as the original's bots do",
        body=Body(dialect.ClaimOne),
        answers=(dialect.Claimed,),
        access="bots",
        refusals=WORK,
    ),
    _operation(
        method="POST",
        path="/original/api/queue/claim-next",
        handler="claim_next",
        summary="Claim the most urgent message as the original's bots do",
        body=Body(dialect.ClaimNext),
        answers=(dialect.ClaimedNext, dialect.NothingPending),
        access="bots",
        refusals=WORK,
    ),
    _operation(
        method="POST",
        path="/original/api/queue/complete",
        handler="complete",
        summary="Finish a message as the original's bots do, after the post of its reply",
        body=Body(dialect.Complete),
        answers=(CompleteResponse,),
        access="bots",
        refusals=WORK,
    ),
    _operation(
        method="GET",
        path="/original/api/stats",
        handler="stats",
        summary="How many messages there are",
        answers=(dialect.Figures,),
        refusals=(503,),
    ),
)


def original_app(
    wall: Wall,
    *,
    posts: Posts,
    rules: MessageRules,
    auth: Auth,
    metrics: Metrics,
    meter: Meter,
    bots: Bots,
) -> ASGIApp:
    """The app for the paths below ``/original``; pages of every site may call it."""
    api = OriginalApi(wall, posts, rules, meter, bots)
    apps = dict(endpoints(api, ORIGINAL_OPERATIONS, rules=rules, auth=auth, metrics=metrics, refuse=refusal))
    router = Router(apps, {}, metrics.route(OTHER), refuse=refusal)
    one = f"{WALL}/ID"
    score = Endpoint(
        {"PATCH": Action(handler=api.score, metrics=metrics.route(one, "PATCH"))}, metrics.route(one), refuse=refusal
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        is_score = scope.get("method") == "PATCH" and scope["path"].startswith(f"{WALL}/") and scope["path"] not in apps
        await (score if is_score else router)(scope, receive, send)

    preflights = metrics.route("/original preflight", "OPTIONS")
    return cross_origin(app, ["*"], preflights, methods=["*"], headers=["*"])


def refusal(error: Exception) -> Response:
    """The problem, with the members that the original's clients look for."""
    if isinstance(error, InvalidField) and error.field in dialect.REFUSED:
        error = InvalidField(error.field, dialect.REFUSED[error.field])
    response = problem(error)
    body = _decode(response.body)
    response.body = msgspec.json.encode(OriginalProblem(**asdict(body), success=False, error=body.detail))
    response.headers["Content-Length"] = str(len(response.body))
    return response
