"""What the original's clients send and expect, as structs; ``docs/original.md`` explains it.

The structs cover two dates: the page and bot of November 1, 2025, and those of December 25, 2025, the last ones known.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from saywhatwant.errors import InvalidField
from saywhatwant.limits import MAX_ORIGINAL_FIELD
from saywhatwant.message import (
    CONTEXT_PATTERN,
    Alias,
    Attempt,
    BotParams,
    Entity,
    Id,
    Message,
    MessageType,
    Priority,
    SessionId,
    TailedColor,
    WorkerId,
)
from saywhatwant.schemas import Context, Text, Username
from saywhatwant.worker.limits import MAX_SINCE
from saywhatwant.worker.queries import Since

MAX_LIMIT = 1_000_000
"""The largest ``limit``, ``offset`` and ``nom`` that is understood; the original's clients ask for up to 999,999."""

REFUSED = {
    "eqScore": "is not kept here: messages have no score",
    "uss": "is not supported: read the wall and choose the messages in the page",
}
"""The fields and parameters of the original that are refused, and why: "unknown field" would not explain it."""

Kept = Annotated[
    str,
    Meta(
        max_length=MAX_ORIGINAL_FIELD,
        pattern=CONTEXT_PATTERN,
        description=f"kept and given back; up to {MAX_ORIGINAL_FIELD} characters",
    ),
]
Unused = Annotated[str, Meta(max_length=MAX_ORIGINAL_FIELD, description="understood, and without effect")]
Limit = Annotated[int, Meta(ge=0, le=MAX_LIMIT, description=f"0 to {MAX_LIMIT}; an answer has at most 1,000 messages")]


class SentParams(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The part of ``botParams`` that a post may have."""

    entity: Entity | None = None
    priority: Annotated[Priority, Meta(description="0 (the same as 5) to 99")] | None = None
    ais: Alias | None = None
    session_id: SessionId | None = None
    model: Kept | None = None
    nom: Kept | Annotated[int, Meta(ge=0, le=MAX_LIMIT, description=f"0 to {MAX_LIMIT}, kept as text")] | None = None
    human_username: Kept | None = None
    human_color: Kept | None = None


class SentPost(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Body of POST /original/api/comments. The server's clock counts, not ``timestamp``.

    ``workerId`` and ``attempt`` belong to an AI message with ``replyTo``, as in POST /api/comments.
    """

    text: Text
    username: Username
    color: TailedColor
    id: Id | None = None
    timestamp: Annotated[int, Meta(ge=0, le=MAX_SINCE, description="understood, and without effect")] | None = None
    hyphenated_type: MessageType | UnsetType = field(name="message-type", default=UNSET)
    message_type: MessageType | UnsetType = UNSET
    reply_to: Id | None = None
    worker_id: WorkerId | None = None
    attempt: Attempt | None = None
    domain: Kept | None = None
    language: Kept | None = None
    misc: Kept | None = None
    context: Context | None = None
    bot_params: SentParams | None = None

    def __post_init__(self) -> None:
        if UNSET not in {self.hyphenated_type, self.message_type} and self.hyphenated_type != self.message_type:
            raise InvalidField("message-type", "must be the same as messageType")


class Posted(Struct, frozen=True):
    """Answer to a post; ``duplicate`` when the same message was posted before, ``held`` when it waits for review (202)."""

    id: str
    timestamp: int
    status: Literal["success", "duplicate", "held"]


class WallQuery(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Query of GET /original/api/comments: the newest ``limit`` messages after ``after``, without the first ``offset``.

    With ``offset`` or ``t`` the answer is a ``WallPage``, else a bare list. ``since`` is another name of ``after``.
    """

    after: Since | UnsetType = UNSET
    since: Since | UnsetType = UNSET
    limit: Limit | UnsetType = UNSET
    offset: Limit | UnsetType = UNSET
    type: Annotated[MessageType, Meta(description="only messages of this type")] | UnsetType = UNSET
    t: Unused | UnsetType = UNSET
    include_god_mode: Unused | UnsetType = UNSET


class GivenParams(BotParams, frozen=True, kw_only=True, gc=False, rename="camel"):
    """``botParams`` with the fields that only the original's clients send."""

    model: str | UnsetType = UNSET
    nom: str | UnsetType = UNSET
    human_username: str | UnsetType = UNSET
    human_color: str | UnsetType = UNSET


class GivenMessage(Message, frozen=True, kw_only=True, gc=False, rename="camel"):
    """A message as the original's clients read it: ``color`` has its tail again, and ``message-type`` its hyphen."""

    hyphenated_type: MessageType | UnsetType = field(name="message-type", default=UNSET)
    """The same as ``messageType``; always there."""
    bot_params: GivenParams
    domain: str | UnsetType = UNSET
    language: str | UnsetType = UNSET
    misc: str | UnsetType = UNSET
    context: list[str] | UnsetType = UNSET
    """What the entity remembers for this answer; only in the answer to a claim."""


EncodedOriginal = Annotated[Raw, Meta(extra_json_schema={"$ref": "#/components/schemas/GivenMessage"})]
"""A ``GivenMessage`` that is already encoded."""


class WallPage(Struct, frozen=True, rename="camel"):
    """Answer to a read with ``offset`` or ``t``; ``total`` counts all messages kept."""

    comments: list[EncodedOriginal]
    total: int
    has_more: bool


class WorkQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Query of GET /original/api/queue/pending."""

    limit: Limit = 10
    entity: Entity | UnsetType = UNSET


class StorageFigures(Struct, frozen=True):
    """Storage entries read and written since the server's start."""

    reads: int
    writes: int


class PendingAnswer(Struct, frozen=True, rename="camel"):
    """Answer of GET /original/api/queue/pending."""

    pending: list[EncodedOriginal]
    kv_stats: StorageFigures


class ClaimOne(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Body of POST /original/api/queue/claim."""

    message_id: Id
    worker_id: WorkerId


class ClaimNext(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Body of POST /original/api/queue/claim-next."""

    worker_id: WorkerId


class Complete(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Body of POST /original/api/queue/complete; ``attempt`` is needed once a client that names its own has had the message."""

    message_id: Id
    worker_id: WorkerId | None = None
    attempt: Attempt | None = None


class Claimed(Struct, frozen=True):
    """Answer to a claim of one message."""

    message: GivenMessage
    success: Literal[True] = True


class ClaimedNext(Struct, frozen=True, rename="camel"):
    """Answer to a claim of the most urgent message."""

    message: GivenMessage
    total_pending: int
    remaining_pending: int
    success: Literal[True] = True


class NothingPending(Struct, frozen=True, rename="camel"):
    """Answer to a claim of the most urgent message when there is none."""

    success: Literal[False] = False
    message: None = None
    reason: Literal["no_pending_messages"] = "no_pending_messages"
    total_pending: Literal[0] = 0
    remaining_pending: Literal[0] = 0


class Figures(Struct, frozen=True, rename="camel"):
    """Answer of GET /original/api/stats: the messages kept."""

    total_messages: int
