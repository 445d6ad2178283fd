"""The bodies and answers of the HTTP interface, as structs: decoder, validator and schema in one."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from saywhatwant.limits import (
    MAX_BATCH,
    MAX_CIRCUIT_ENTITIES,
    MAX_CIRCUIT_REASON,
    MAX_CIRCUIT_SECONDS,
    MAX_CLAIM,
    MAX_CONTEXT_STRINGS,
    MAX_DETAIL,
    MAX_ENTITIES,
    MAX_ERROR,
    MAX_PROVIDER,
    MAX_TALK_TURNS,
    MAX_USERNAME,
    MAX_VERSION,
    MAX_WAIT_SECONDS,
)
from saywhatwant.message import (
    CONTEXT_PATTERN,
    MAYBE_TEXT_PATTERN,
    TEXT_PATTERN,
    USERNAME_PATTERN,
    Alias,
    Attempt,
    Color,
    Entity,
    Id,
    Message,
    MessageType,
    Priority,
    SessionId,
    Status,
    TailedColor,
    WorkerId,
)
from saywhatwant.usage import Usage

PersonaDigest = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}$(?!\n)", description="16 hexadecimal digits")]
EncodedMessage = Annotated[Raw, Meta(extra_json_schema={"$ref": "#/components/schemas/Message"})]
"""A message that is already encoded."""

# Checked by clean_context, whose refusal names the field and no entry of it.
ContextLine = Annotated[str, Meta(extra_json_schema={"pattern": CONTEXT_PATTERN})]
Context = Annotated[
    list[ContextLine],
    Meta(
        max_length=MAX_CONTEXT_STRINGS,
        description=f"up to {MAX_CONTEXT_STRINGS} strings, 120,000 bytes (setting) as JSON; "
        "no control characters but tab and line breaks",
    ),
]
"""What an entity remembers for one answer, instead of the talk."""

# These are checked by clean_text and clean_username, whose refusals name the setting.
Text = Annotated[
    str,
    Meta(
        description="1 to 5,000 characters (setting) after trimming; no control characters but tab and line breaks",
        extra_json_schema={"minLength": 1, "pattern": TEXT_PATTERN},
    ),
]
MaybeText = Annotated[
    str,
    Meta(
        description="up to 5,000 characters (setting) after trimming; no control characters but tab and line breaks",
        extra_json_schema={"pattern": MAYBE_TEXT_PATTERN},
    ),
]
Username = Annotated[
    str,
    Meta(
        description=f"1 to {MAX_USERNAME} characters after trimming, one line; no control characters",
        extra_json_schema={"minLength": 1, "pattern": USERNAME_PATTERN},
    ),
]


class PostParams(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The part of ``botParams`` that a post may set."""

    entity: Entity | None = None
    priority: Priority | None = None
    answer: Annotated[bool, Meta(description="false: no answer is wanted, so the message is never work")] = True
    ais: Alias | None = None
    session_id: SessionId | None = None


class PostRequest(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Body of POST /api/comments.

    Only a bot's reply (an AI message with ``replyTo``) may have ``workerId`` and ``attempt``, which then fence it. Without the
    bot token ``botParams.priority`` has a minimum, which is a setting.
    """

    text: Text
    username: Username
    color: Color
    message_type: MessageType = "human"
    reply_to: Id | None = None
    bot_params: PostParams = PostParams()
    worker_id: WorkerId | None = None
    attempt: Attempt | None = None
    id: Id | None = None
    context: Context | None = None


class PostResponse(Struct, frozen=True):
    """Answer to a post. ``held``, with status 202: it waits for review, and its message will have this id if it is approved."""

    id: str
    timestamp: int
    status: Literal["success", "held"] = "success"


class ClaimRequest(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Body of POST /api/queue/claim: claims the message ``messageId``, or without it the most urgent ones.

    ``limit`` and ``wait`` are for the most urgent ones, and are refused together with ``messageId``. A message that names no
    entity is assigned one of ``entities``: the one that its author talked with last, else the one whose turn it is.
    """

    worker_id: WorkerId
    message_id: Id | None = None
    entities: (
        Annotated[list[Entity], Meta(min_length=1, max_length=MAX_ENTITIES, description=f"1 to {MAX_ENTITIES} entities")] | None
    ) = None
    limit: Annotated[int, Meta(ge=1, le=MAX_CLAIM, description=f"1 to {MAX_CLAIM} messages")] = 1
    wait: Annotated[float, Meta(ge=0, le=MAX_WAIT_SECONDS, description=f"0 to {MAX_WAIT_SECONDS} seconds to wait for work")] = 0
    context: Annotated[
        int, Meta(ge=0, le=MAX_TALK_TURNS, description=f"0 to {MAX_TALK_TURNS} earlier messages of each message's talk")
    ] = 0
    personas: (
        Annotated[
            dict[Entity, PersonaDigest],
            Meta(
                max_length=MAX_ENTITIES,
                description="a digest of this bot's persona for each of its entities, so that bots with different files are "
                "noticed; a message to anyone is assigned the one of these, or of entities, that its author talked with last",
            ),
        ]
        | None
    ) = None
    version: Annotated[str, Meta(min_length=1, max_length=MAX_VERSION, description=f"1 to {MAX_VERSION} characters")] | None = (
        None
    )


class Talk(Struct, frozen=True, omit_defaults=True):
    """What an entity remembers for one answer: the earlier messages of the talk, or the strings that the post brought."""

    turns: list[EncodedMessage]
    context: list[str] | UnsetType = UNSET


class Conflict(Struct, frozen=True, rename="camel"):
    """Another bot serves this entity with a different persona."""

    entity: str
    worker_id: str


class ClaimResponse(Struct, frozen=True):
    """Answer to a claim of one message by its id."""

    message: EncodedMessage
    success: Literal[True] = True
    talks: dict[str, Talk] | UnsetType = UNSET
    """By the id of the message; only if the claim asks for ``context``."""


class ClaimNextResponse(Struct, frozen=True):
    """Answer to a claim of the most urgent messages; empty when none came in time."""

    messages: list[EncodedMessage]
    success: Literal[True] = True
    talks: dict[str, Talk] | UnsetType = UNSET
    """By the id of each message; only if the claim asks for ``context``."""
    conflicts: list[Conflict] | UnsetType = UNSET


class Reply(Struct, frozen=True, forbid_unknown_fields=True):
    """A bot's answer, written together with the completion."""

    text: Text
    username: Username | None = None
    color: TailedColor = "128128128"


class CompleteRequest(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Body of POST /api/queue/complete."""

    message_id: Id
    worker_id: WorkerId | None = None
    attempt: Attempt | None = None
    reply: Reply | None = None


class CompleteResponse(Struct, frozen=True, omit_defaults=True):
    """Answer to complete; with a reply, that reply's id and timestamp."""

    success: Literal[True]
    id: str | None = None
    timestamp: int | None = None


class ExtendRequest(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Body of POST /api/queue/extend."""

    message_id: Id
    worker_id: WorkerId
    attempt: Attempt


class ExtendResponse(Struct, frozen=True, rename="camel"):
    """Answer to extend."""

    lease_expires_at: int
    success: Literal[True] = True


ListState = Literal["pending", "waiting", "held", "failed"]
"""``waiting`` messages back off after a failure, ``held`` ones are being processed."""


class ListedMessage(Message, frozen=True, kw_only=True, gc=False, rename="camel"):
    """A message as operators see it."""

    detail: Annotated[str, Meta(description="what the provider answered at the last failure")] | UnsetType = UNSET


class FailRequest(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Body of POST /api/queue/fail. With ``retry`` false the message fails for good, even if attempts are left."""

    message_id: Id
    worker_id: WorkerId
    attempt: Attempt
    error: Annotated[str, Meta(description=f"the reason, shown on the wall; cut to {MAX_ERROR} characters")]
    retry: bool = True
    detail: Annotated[str, Meta(description=f"for operators only, never on the wall; cut to {MAX_DETAIL} characters")] = ""


class FailResponse(Struct, frozen=True, rename="camel"):
    """Answer to fail and release: the message's state now, and when it may be claimed again."""

    status: Status
    retry_at: int | None
    success: Literal[True] = True


ProgressState = Literal["waking", "thinking", "writing"]
"""What a bot does for a message it holds: its model loads, its model reasons, its reply is being written."""


class ProgressRequest(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Body of POST /api/queue/progress: the whole reply as written so far. While ``writing`` the text must not be empty."""

    message_id: Id
    worker_id: WorkerId
    attempt: Attempt
    text: MaybeText = ""
    state: ProgressState = "writing"


class ReleaseRequest(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Body of POST /api/queue/release: give a message back unanswered; the attempt does not count."""

    message_id: Id
    worker_id: WorkerId
    attempt: Attempt


class BatchRequest(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Body of POST /api/queue/batch: changes what exactly one of ``messageIds``, ``entity`` and ``all`` names."""

    action: Literal["retry", "fail", "discard"]
    message_ids: Annotated[list[Id], Meta(min_length=1, max_length=MAX_BATCH, description=f"1 to {MAX_BATCH} ids")] | None = (
        None
    )
    entity: Entity | None = None
    all: Literal[True] | None = None
    reason: (
        Annotated[
            str,
            Meta(
                max_length=MAX_ERROR,
                pattern=CONTEXT_PATTERN,
                description=f"up to {MAX_ERROR} characters, shown on the wall; no control characters but tab and line breaks",
            ),
        ]
        | None
    ) = None


class BatchResponse(Struct, frozen=True):
    """Answer to batch: the ids that changed, and whether there are more to change."""

    changed: list[str]
    more: bool = False
    success: Literal[True] = True


class BotSummary(Struct, frozen=True, rename="camel"):
    """A bot that this server has seen within the last hour. Times are milliseconds since 1970."""

    worker_id: str
    version: str | None
    entities: list[str] | None
    """The entities that it claims for; None claims for any."""
    personas: dict[str, str]
    """The digest of its persona for each of them, if it sends them."""
    last_seen: int
    here: bool
    """Whether it was seen lately and has not closed its connection."""
    conflicts: list[Conflict]
    """The bots that serve the same entities with other personas."""


class RetryRequest(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Body of POST /api/queue/retry."""

    message_id: Id


class CircuitReport(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Body of POST /api/queue/circuit: this worker does not call a provider for a while, nor claim for its entities."""

    worker_id: WorkerId
    provider: Annotated[str, Meta(min_length=1, max_length=MAX_PROVIDER, description=f"1 to {MAX_PROVIDER} characters")]
    entities: Annotated[
        list[Entity], Meta(max_length=MAX_CIRCUIT_ENTITIES, description=f"up to {MAX_CIRCUIT_ENTITIES} entities")
    ]
    seconds: Annotated[
        float, Meta(ge=0, le=MAX_CIRCUIT_SECONDS, description=f"0 to {MAX_CIRCUIT_SECONDS} seconds; 0 closes the circuit")
    ]
    reason: Annotated[str, Meta(max_length=MAX_CIRCUIT_REASON, description=f"up to {MAX_CIRCUIT_REASON} characters")]


class ReportedCircuit(Struct, frozen=True, rename="camel"):
    """A provider that a worker does not call until ``openUntil``, after repeated failures."""

    worker_id: str
    provider: str
    entities: list[str]
    open_until: int
    reason: str


class Ok(Struct, frozen=True):
    """Answer to retry, progress and circuit."""

    success: Literal[True] = True


class Depth(Struct, frozen=True):
    """The messages of one entity, by status."""

    pending: int = 0
    processing: int = 0
    complete: int = 0
    failed: int = 0


class Stats(Struct, frozen=True, rename="camel"):
    """Figures of the queue. ``entities`` has some entities, first those that answer here; ``""`` is for no entity."""

    seq: int
    messages: int
    backlog: int
    backlog_limit: int
    retention: int
    backing_off: int
    depth: Depth
    entities: dict[str, Depth]
    lease_expiries: int
    """Leases that ran out, since the beginning."""
    waited_for: list[str]
    """The entities that answer here and for which a claim waits now, at any gateway."""
    answers: int = 0
    """Questions that were answered, since the beginning."""
    failures: int = 0
    """Messages that have failed, since the beginning; one that is retried and fails again counts twice."""
    answer_ms: int = 0
    """Milliseconds from questions to their answers, the sum of all."""
    answer_times: list[int] = []
    """Answers by the time since their questions: the counts of the buckets that docs/operate.md lists."""
    next_since: dict[str, int] = {}
    """For each entity with claimable messages, the timestamp of the one that is next."""
    circuits: list[ReportedCircuit] | UnsetType = UNSET
    """Omitted for callers without the bot token, because circuits name providers."""
    usage: Usage | UnsetType = UNSET
    """What the server that answers has counted."""
