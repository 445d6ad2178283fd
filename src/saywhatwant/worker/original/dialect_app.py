"""The ASGI app of the dialect: its operations, with their own CORS and their own form of refusals."""

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from durable_objects import Meter, Stub
from saywhatwant.errors import InvalidField
from saywhatwant.queue import MessageQueue
from saywhatwant.schemas import CompleteResponse
from saywhatwant.worker.auth import BotAuth
from saywhatwant.worker.cors import cross_origin
from saywhatwant.worker.decoders import Body, Query
from saywhatwant.worker.endpoint import Action, Endpoint
from saywhatwant.worker.metrics import OTHER, Metrics
from saywhatwant.worker.operations import IDEMPOTENCY_KEY, WORK, Operation
from saywhatwant.worker.original import dialect
from saywhatwant.worker.original.handlers import OriginalApi
from saywhatwant.worker.posts import MessageRules, Posts
from saywhatwant.worker.problems import problem
from saywhatwant.worker.queries import Health
from saywhatwant.worker.routing import Router, endpoints

WALL = "/original/api/comments"

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="GET",
        path=WALL,
        handler="read",
        summary="Read the wall as the original's pages do",
        query=Query(dialect.WallQuery),
        answers=(list[dialect.GivenMessage], dialect.WallPage),
        refusals=(503,),
    ),
    Operation(
        method="POST",
        path=WALL,
        handler="post",
        summary="Post as the original's pages and bots do; message-type AI needs the bot token",
        body=Body(dialect.SentPost),
        answers=(dialect.Posted,),
        headers=(IDEMPOTENCY_KEY,),
        refusals=(*WORK, 401, 403, 429),
    ),
    Operation(method="GET", path=f"{WALL}/health", handler="health", summary="Is the process alive", answers=(Health,)),
    Operation(
        method="GET",
        path="/original/api/queue/pending",
        handler="pending",
        summary="List claimable messages as the original's bots do",
        query=Query(dialect.PendingQuery),
        answers=(dialect.PendingAnswer,),
        access="bots",
        refusals=(503,),
    ),
    Operation(
        method="POST",
        path="/original/api/queue/claim",
        handler="claim",
        summary="Claim a message as the original's bots do",
        body=Body(dialect.ClaimOne),
        answers=(dialect.Claimed,),
        access="bots",
        refusals=WORK,
    ),
    Operation(
        method="POST",
        path="/original/api/queue/claim-next",
        handler="claim_next",
        summary="Claim the most urgent message as the original's bots do",
        body=Body(dialect.ClaimNext),
        answers=(dialect.ClaimedNext, dialect.NothingPending),
        access="bots",
        refusals=WORK,
    ),
    Operation(
        method="POST",
        path="/original/api/queue/complete",
        handler="complete",
        summary="Finish a message as the original's bots do, after the post of its reply",
        body=Body(dialect.Complete),
        answers=(CompleteResponse,),
        access="bots",
        refusals=WORK,
    ),
    Operation(
        method="GET",
        path="/original/api/stats",
        handler="stats",
        summary="How many messages there are",
        answers=(dialect.Figures,),
        refusals=(503,),
    ),
)

RULES = {
    "eqScore": "is not kept here: messages have no score",
    "uss": "is not served here: read the wall and choose the messages in the page",
}
"""Why a field or parameter of the original is refused, where that it is unknown would not help."""


def original_app(
    queue: Stub[MessageQueue], *, posts: Posts, rules: MessageRules, auth: BotAuth, metrics: Metrics, meter: Meter
) -> ASGIApp:
    """The app for the paths below ``/original``; pages of every site may call it."""
    api = OriginalApi(queue, posts, rules, meter)
    apps = endpoints(api, OPERATIONS, rules=rules, auth=auth, metrics=metrics, refuse=refusal)
    router = Router(dict(apps), {}, metrics.route(OTHER), refuse=refusal)
    one = f"{WALL}/ID"
    score = Endpoint(
        {"PATCH": Action(handler=api.score, metrics=metrics.route(one, "PATCH"))}, metrics.route(one), refuse=refusal
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        is_one = scope.get("method") == "PATCH" and scope["path"].startswith(f"{WALL}/")
        await (score if is_one else router)(scope, receive, send)

    preflights = metrics.route("/original preflight", "OPTIONS")
    return cross_origin(app, ["*"], preflights, methods=["*"], headers=["*"])


def refusal(error: Exception) -> Response:
    """The problem, with the members that the original's clients look for."""
    if isinstance(error, InvalidField) and error.field in RULES:
        error = InvalidField(error.field, RULES[error.field])
    response = problem(error)
    body = msgspec.json.decode(response.body)
    response.body = msgspec.json.encode(body | {"success": False, "error": body["detail"]})
    response.headers["Content-Length"] = str(len(response.body))
    return response
