"""The HTTP interface as a table: every operation with its route, input and answers.

The app's routes, the decoders of endpoints and the OpenAPI document are made from it.
"""

from dataclasses import dataclass
from typing import Any, Literal

from saywhatwant import frames, schemas
from saywhatwant.message import Message
from saywhatwant.worker.decoders import NO_PARAMETERS, Body, Query
from saywhatwant.worker.problems import Problem
from saywhatwant.worker.queries import (
    Health,
    ListingQuery,
    PendingQuery,
    ReadQuery,
    SocketFrame,
    SocketQuery,
    WallSummary,
)

Access = Literal["anyone", "own pages", "bots", "operators", "bots and operators"]
"""Who may call: anyone; everyone except pages of other sites; or holders of a token with this scope."""

BODY = (400, 413, 503)
"""Statuses that refuse a call with a body, in addition to 422 and those of its access."""
WORK = (*BODY, 404, 409)
"""Those that refuse a call about a message."""

Header = tuple[str, str, dict[str, Any]]
"""Name, description and JSON Schema of a request header."""

IDEMPOTENCY_KEY: Header = (
    "Idempotency-Key",
    "1 to 255 printable ASCII characters: a repeated post gets the first answer",
    {"minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One call, handled by a method of that name; ``answers`` are its types of answers, ``refusals`` other statuses."""

    method: Literal["GET", "POST"]
    path: str
    handler: str
    summary: str
    answers: tuple[Any, ...]
    may_hold: bool = False
    """Whether one of these may come with status 202, because what was sent waits for review."""
    body: Body[Any] | None = None
    query: Query[Any] = NO_PARAMETERS
    access: Access = "anyone"
    headers: tuple[Header, ...] = ()
    upgrades: bool = False
    """Whether it is a WebSocket; ``answers`` are then its frames."""
    sends: Any = None
    """The frames that its client sends, if it is a WebSocket."""
    refusals: tuple[int, ...] = ()
    tag: str = ""
    """The section of the OpenAPI document that it belongs to; empty for the main one."""
    problem: type[Problem] = Problem
    """The body of its refusals."""


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="GET",
        path="/api/comments",
        handler="read",
        summary="Read the wall, newest first; with order=asc and limit, page by page",
        query=Query(ReadQuery),
        answers=(list[Message],),
        headers=(("If-None-Match", "the ETag of an earlier answer to this URL: 304 when nothing has changed since", {}),),
        refusals=(304, 503),
    ),
    Operation(
        method="POST",
        path="/api/comments",
        handler="post",
        summary="Post a message; an AI message with replyTo answers one (needs a bot's token)",
        body=Body(schemas.PostRequest),
        answers=(schemas.PostResponse,),
        may_hold=True,
        access="own pages",
        headers=(IDEMPOTENCY_KEY,),
        refusals=(*WORK, 401, 429),
    ),
    Operation(
        method="GET",
        path="/api/ws",
        handler="websocket",
        summary="WebSocket: what was missed, then every change after its commit",
        query=Query(SocketQuery),
        answers=(SocketFrame,),
        upgrades=True,
        refusals=(403, 426, 429),
    ),
    Operation(
        method="GET",
        path=frames.PATH,
        handler="bots_socket",
        summary="WebSocket of a bot: it says hello, and gets each message that is for it",
        answers=(frames.Welcome, frames.Work, frames.Lost, frames.Done, frames.Refused),
        sends=frames.BotFrame,
        access="bots",
        upgrades=True,
        refusals=(426, 503),
    ),
    Operation(
        method="GET",
        path="/api/queue/pending",
        handler="pending",
        summary="List claimable messages, most urgent first",
        query=Query(PendingQuery),
        answers=(list[Message],),
        access="bots and operators",
        refusals=(503,),
    ),
    Operation(
        method="POST",
        path="/api/queue/claim",
        handler="claim",
        summary="Claim a message by its id, or the most urgent ones, waiting for them if needed",
        body=Body(schemas.ClaimRequest),
        answers=(schemas.ClaimResponse, schemas.ClaimNextResponse),
        access="bots",
        refusals=WORK,
    ),
    Operation(
        method="POST",
        path="/api/queue/complete",
        handler="complete",
        summary="Finish a message, together with its reply",
        body=Body(schemas.CompleteRequest),
        answers=(schemas.CompleteResponse,),
        access="bots",
        refusals=WORK,
    ),
    Operation(
        method="POST",
        path="/api/queue/extend",
        handler="extend",
        summary="Heartbeat: renew the lease of a message that is being answered",
        body=Body(schemas.ExtendRequest),
        answers=(schemas.ExtendResponse,),
        access="bots",
        refusals=WORK,
    ),
    Operation(
        method="POST",
        path="/api/queue/fail",
        handler="fail",
        summary="Give a message back: pending again after a backoff, or failed",
        body=Body(schemas.FailRequest),
        answers=(schemas.FailResponse,),
        access="bots",
        refusals=WORK,
    ),
    Operation(
        method="POST",
        path="/api/queue/release",
        handler="release",
        summary="Give a message back unanswered, pending at once: the attempt does not count",
        body=Body(schemas.ReleaseRequest),
        answers=(schemas.FailResponse,),
        access="bots",
        refusals=WORK,
    ),
    Operation(
        method="POST",
        path="/api/queue/progress",
        handler="progress",
        summary="Show subscribers that a model wakes up or thinks, or the reply being written; never stored",
        body=Body(schemas.ProgressRequest),
        answers=(schemas.Ok,),
        access="bots",
        refusals=WORK,
    ),
    Operation(
        method="POST",
        path="/api/queue/retry",
        handler="retry",
        summary="Make a failed message pending again, with all its attempts",
        body=Body(schemas.RetryRequest),
        answers=(schemas.Ok,),
        access="operators",
        refusals=WORK,
    ),
    Operation(
        method="POST",
        path="/api/queue/batch",
        handler="batch",
        summary="Retry, fail or discard messages: by id, by entity, or all",
        body=Body(schemas.BatchRequest),
        answers=(schemas.BatchResponse,),
        access="operators",
        refusals=WORK,
    ),
    Operation(
        method="POST",
        path="/api/queue/circuit",
        handler="circuit",
        summary="Report that a provider failed repeatedly and is not called for a while",
        body=Body(schemas.CircuitReport),
        answers=(schemas.Ok,),
        access="bots",
        refusals=BODY,
    ),
    Operation(
        method="GET",
        path="/api/queue/messages",
        handler="listing",
        summary="List messages by state: pending, waiting for a retry, held, failed",
        query=Query(ListingQuery),
        answers=(list[schemas.ListedMessage],),
        access="bots and operators",
        refusals=(503,),
    ),
    Operation(
        method="GET",
        path="/api/queue/bots",
        handler="bots",
        summary="List the bots that were seen within the last hour, with their entities, personas and conflicts",
        answers=(list[schemas.BotSummary],),
        access="operators",
    ),
    Operation(
        method="GET",
        path="/api/entities",
        handler="entities",
        summary="List the entities, and whether anybody answers for them at the moment",
        answers=(WallSummary,),
    ),
    Operation(
        method="GET",
        path="/api/stats",
        handler="stats",
        summary="Figures of the queue; the circuits among them need an operator's token",
        answers=(schemas.Stats,),
        refusals=(503,),
    ),
    Operation(
        method="GET",
        path="/metrics",
        handler="metrics",
        summary="Figures for Prometheus",
        answers=(str,),
        access="operators",
        refusals=(503,),
    ),
    Operation(method="GET", path="/healthz", handler="healthz", summary="Is the process alive", answers=(Health,)),
    Operation(method="GET", path="/readyz", handler="readyz", summary="Can it do its work", answers=(Health,), refusals=(503,)),
)
