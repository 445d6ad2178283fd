"""The queries of the HTTP interface, and the answers that do not come from the queue."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from saywhatwant.errors import InvalidField
from saywhatwant.history import Step
from saywhatwant.limits import MAX_HISTORY_POINTS, MAX_PAGE, MAX_STEPS_TOGETHER
from saywhatwant.message import POSITION, Conversation, Entity, Message, PositionText
from saywhatwant.schemas import ListState, ProgressState
from saywhatwant.worker.limits import MAX_SINCE

Since = Annotated[int, Meta(ge=0, le=MAX_SINCE, description="milliseconds since 1970: only messages newer than this")]
Before = Annotated[int, Meta(ge=0, le=MAX_SINCE, description="milliseconds since 1970: only messages older than this")]
ChangedAfter = Annotated[
    PositionText,
    Meta(description=f"{POSITION}: only messages changed since; not with since, before, order or conversation"),
]
SocketSince = Annotated[PositionText, Meta(description=f"{POSITION}: only messages changed since")]
Order = Annotated[Literal["asc", "desc"], Meta(description="asc: oldest first; desc, the default: newest first")]
Limit = Annotated[int, Meta(ge=1, le=MAX_PAGE, description="1 to 1,000 messages")]


class ReadQuery(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Query of GET /api/comments. Without ``limit`` it returns everything newer than ``since``.

    With ``conversation`` it returns the messages of one talk. A message that names no entity joins its talk when an entity
    claims it, in the place of its timestamp.

    With ``changedAfter`` it returns the same changes as the start of ``GET /api/ws``, up to the commit in the ``ETag``: at most
    ``limit`` messages, unless one commit has changed more. If there are ``limit`` or more messages, or a ``Link``, continue
    from that commit.
    """

    since: Since | UnsetType = UNSET
    before: Before | UnsetType = UNSET
    limit: Limit | UnsetType = UNSET
    order: Order | UnsetType = UNSET
    conversation: Conversation | UnsetType = UNSET
    changed_after: ChangedAfter | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.changed_after is not UNSET and not self.since is self.before is self.order is self.conversation is UNSET:
            raise InvalidField("changedAfter", "must not be combined with since, before, order or conversation")


class SocketQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Query of GET /api/ws."""

    since: SocketSince = "0"


class PendingQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Query of GET /api/queue/pending."""

    limit: Limit = 10
    entity: Entity | UnsetType = UNSET


class ListingQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Query of GET /api/queue/messages: ``waiting`` messages back off after a failure, ``held`` ones are being processed."""

    state: ListState = "pending"
    limit: Limit = 100


class HistoryQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Query of GET /api/ops/history. Without ``since`` it returns the latest minutes or hours.

    ``every`` puts several of them in one point.
    To read all, begin with ``since=0`` and continue with the ``at`` of the last one, until none comes.
    """

    step: Step = "minute"
    since: (
        Annotated[int, Meta(ge=0, le=MAX_SINCE, description="milliseconds since 1970: only what begins after this")] | UnsetType
    ) = UNSET
    limit: Annotated[
        int, Meta(ge=1, le=MAX_HISTORY_POINTS, description="1 to 1,500 points, of up to 1,500 minutes or hours")
    ] = MAX_HISTORY_POINTS
    every: Annotated[int, Meta(ge=1, le=MAX_STEPS_TOGETHER, description="1 to 60 minutes or hours in a point")] = 1


class SocketEvent(Struct, frozen=True, rename="camel", omit_defaults=True):
    """A message that is new or has changed, or a reply on its way, with what its bot does.

    A reader assembles a reply by ``offset``, in Unicode code points: 0 replaces its text; any other offset appends ``text`` to
    a text of exactly that length, and is ignored by a reader whose text has another length.
    """

    type: Literal["message", "progress"]
    message: Message | None = None
    id: str | None = None
    attempt: int | None = None
    offset: int | None = None
    text: str | None = None
    state: ProgressState = "writing"


class SocketFrame(Struct, frozen=True, omit_defaults=True):
    """One frame of GET /api/ws. ``seq`` is the token to reconnect with; ``more`` announces more missed changes."""

    seq: int | str
    events: list[SocketEvent]
    more: bool = False


class EntitySummary(Struct, frozen=True, rename="camel"):
    """An entity as visitors see it."""

    name: str
    display_name: str
    color: str
    about: str
    """What it is, in a line; may be empty."""
    openers: list[str]
    """First questions."""
    alias: bool
    """Whether a post may choose the name and color that it answers under."""
    served: bool
    """Whether a bot answers for it at the moment, at any gateway."""
    reason: str | None = None
    """Why there may be no answer at the moment."""


class WallSummary(Struct, frozen=True, rename="camel"):
    """The information that a page needs before it can post."""

    entities: list[EntitySummary]
    max_text: int
    page: str
    """The version of the page: an open one with another version is outdated."""


class Health(Struct, frozen=True):
    """Answer of the probes."""

    status: Literal["alive", "ready"]
