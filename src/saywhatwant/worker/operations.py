"""The HTTP interface as a table: every call's route, what it takes and what it gives.

The app makes its routes from it and the OpenAPI document its paths; the structs named here decode, validate and describe.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from saywhatwant import schemas
from saywhatwant.limits import MAX_PAGE
from saywhatwant.message import Entity, Message

MAX_SINCE = 2**53 - 1
"""The largest integer that every JSON reader takes."""

_WORK = (400, 404, 409, 413, 422, 503)
"""How a call of the queue with a body may end beside 200 and 401."""

Since = Annotated[int, Meta(ge=0, le=MAX_SINCE, description="milliseconds since 1970: only messages younger than this")]
Before = Annotated[int, Meta(ge=0, le=MAX_SINCE, description="milliseconds since 1970: only messages older than this")]
Seq = Annotated[
    int, Meta(ge=0, le=MAX_SINCE, description="the seq of the last frame or ETag seen: only messages changed since")
]
Limit = Annotated[int, Meta(ge=1, le=MAX_PAGE, description="1 to 1,000 messages")]


class Read(Struct, frozen=True, rename="camel"):
    """Query of GET /api/comments. Without ``limit`` it gives everything younger than ``since``.

    With ``changedAfter``, and of the others at most ``limit``, it gives what ``GET /api/ws`` would begin with, up to the commit
    that the ``ETag`` names. With ``limit`` or more messages there may be more to come: go on from there. There are more than
    ``limit`` where one commit has changed more.
    """

    since: Since = 0
    before: Before | None = None
    limit: Limit | None = None
    order: Literal["asc", "desc"] = "desc"
    changed_after: Seq | None = None


class Live(Struct, frozen=True):
    """Query of GET /api/ws."""

    since: Seq = 0


class LiveEvent(Struct, frozen=True, rename="camel", omit_defaults=True):
    """A message that is new or has changed; or, by the id of what is answered, the reply so far, or a lease that ran out."""

    type: Literal["message", "progress", "leaseEnded"]
    message: Message | None = None
    id: str | None = None
    attempt: int | None = None
    text: str | None = None


class LiveFrame(Struct, frozen=True, omit_defaults=True):
    """One frame of GET /api/ws. ``seq`` is the token to come back with; ``more`` says that more of what was missed follows."""

    seq: int
    events: list[LiveEvent]
    more: bool = False


class Pending(Struct, frozen=True):
    """Query of GET /api/queue/pending."""

    limit: Limit = 10
    entity: Entity | None = None


class Listing(Struct, frozen=True):
    """Query of GET /api/queue/messages: ``waiting`` messages back off after a failure."""

    state: Literal["pending", "waiting", "held", "failed"] = "pending"
    limit: Limit = 100


class EntitySummary(Struct, frozen=True, rename="camel"):
    """An entity as visitors see it."""

    name: str
    display_name: str
    color: str


class WallSummary(Struct, frozen=True, rename="camel"):
    """What a page has to know before it can post."""

    entities: list[EntitySummary]
    max_text: int


class Health(Struct, frozen=True):
    """Answer of the probes."""

    status: Literal["alive", "ready"]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One call, handled by a method of ``routes.Api``; ``answers`` is what it may give, ``refusals`` how else it may end."""

    method: Literal["GET", "POST"]
    path: str
    handler: str
    summary: str
    answers: tuple[Any, ...]
    body: type | None = None
    query: type | None = None
    headers: tuple[tuple[str, str], ...] = ()
    token: bool = False
    upgrades: bool = False
    """Whether it is a WebSocket; ``answers`` are its frames then."""
    refusals: tuple[int, ...] = ()


OPERATIONS: tuple[Operation, ...] = (
    # Routes are tried in order: the busiest first, those of one path together.
    Operation(
        method="GET",
        path="/api/comments",
        handler="read",
        summary="Read the wall, newest first; with order=asc and limit, page by page",
        query=Read,
        answers=(list[Message],),
        headers=(("If-None-Match", "the ETag of an earlier answer to this URL: 304 when nothing has changed since"),),
        refusals=(304, 422),
    ),
    Operation(
        method="POST",
        path="/api/comments",
        handler="post",
        summary="Put a message on the wall; as AI with replyTo, answer one (needs the bot token)",
        body=schemas.PostRequest,
        answers=(schemas.PostResponse,),
        headers=(("Idempotency-Key", "1 to 255 printable ASCII characters: a repetition gets the first answer"),),
        refusals=(400, 401, 404, 409, 413, 422, 429, 503),
    ),
    Operation(
        method="GET",
        path="/api/ws",
        handler="live",
        summary="WebSocket: what was missed since a seq, then every change after its commit, as JSON frames",
        query=Live,
        answers=(LiveFrame,),
        upgrades=True,
        headers=(("Upgrade", "websocket"),),
        refusals=(403, 422, 426, 429),
    ),
    Operation(
        method="GET",
        path="/api/queue/pending",
        handler="pending",
        summary="List the claimable messages, most urgent first",
        query=Pending,
        answers=(list[Message],),
        token=True,
        refusals=(422,),
    ),
    Operation(
        method="POST",
        path="/api/queue/claim",
        handler="claim",
        summary="Hold a message by its id, or the most urgent ones, waiting for them if need be",
        body=schemas.ClaimRequest,
        answers=(schemas.ClaimResponse, schemas.ClaimNextResponse),
        token=True,
        refusals=_WORK,
    ),
    Operation(
        method="POST",
        path="/api/queue/complete",
        handler="complete",
        summary="Finish a message, together with its reply",
        body=schemas.CompleteRequest,
        answers=(schemas.CompleteResponse,),
        token=True,
        refusals=_WORK,
    ),
    Operation(
        method="POST",
        path="/api/queue/extend",
        handler="extend",
        summary="Give a sign of life: the lease begins anew",
        body=schemas.ExtendRequest,
        answers=(schemas.ExtendResponse,),
        token=True,
        refusals=_WORK,
    ),
    Operation(
        method="POST",
        path="/api/queue/fail",
        handler="fail",
        summary="Give a message up: pending again after a backoff, or failed",
        body=schemas.FailRequest,
        answers=(schemas.FailResponse,),
        token=True,
        refusals=_WORK,
    ),
    Operation(
        method="POST",
        path="/api/queue/progress",
        handler="progress",
        summary="Show a reply being written to those who watch; never stored",
        body=schemas.ProgressRequest,
        answers=(schemas.Ok,),
        token=True,
        refusals=_WORK,
    ),
    Operation(
        method="POST",
        path="/api/queue/retry",
        handler="retry",
        summary="Make a failed message pending again, with all its attempts",
        body=schemas.RetryRequest,
        answers=(schemas.Ok,),
        token=True,
        refusals=_WORK,
    ),
    Operation(
        method="POST",
        path="/api/queue/circuit",
        handler="circuit",
        summary="Tell that a provider has failed again and again and is left alone for a while",
        body=schemas.CircuitReport,
        answers=(schemas.Ok,),
        token=True,
        refusals=(400, 413, 422, 503),
    ),
    Operation(
        method="GET",
        path="/api/queue/messages",
        handler="listing",
        summary="List messages by where they stand: pending, waiting for a retry, held, failed",
        query=Listing,
        answers=(list[Message],),
        token=True,
        refusals=(422,),
    ),
    Operation(method="GET", path="/api/entities", handler="entities", summary="Who answers here", answers=(WallSummary,)),
    Operation(method="GET", path="/api/stats", handler="stats", summary="Figures of the queue", answers=(schemas.Stats,)),
    Operation(method="GET", path="/metrics", handler="metrics", summary="Figures for Prometheus", answers=(str,)),
    Operation(method="GET", path="/healthz", handler="healthz", summary="Is the process alive", answers=(Health,)),
    Operation(method="GET", path="/readyz", handler="readyz", summary="Can it do its work", answers=(Health,), refusals=(503,)),
)
