"""What operators see of the queue beside its figures: structs."""

from msgspec import UNSET, Struct, UnsetType

from saywhatwant.message import Message
from saywhatwant.schemas import EncodedMessage, ListedMessage, Stats


class EndedAttempt(Struct, frozen=True, rename="camel"):
    """An attempt that has ended without an answer. Times are milliseconds since 1970."""

    number: int
    """Counts all of them in one object; with the message's id it is unique."""
    message_id: str
    entity: str | None
    attempt: int
    worker_id: str | None
    claimed_at: int | None
    ended_at: int
    reason: str | None
    """None if the bot gave the message back, which does not count as an attempt."""


class Overview(Struct, frozen=True, rename="camel"):
    """The queue at one moment."""

    stats: Stats
    oldest: dict[str, int]
    """The timestamp of the oldest unfinished message of each entity; the empty name is for those that name none."""
    ended: int
    """How many attempts have ended without an answer, since the beginning."""
    latest: list[EndedAttempt]
    """The latest of those, the newest first."""


class Story(Struct, frozen=True, rename="camel"):
    """All that is known of one message."""

    message: EncodedMessage
    attempts: list[EndedAttempt]
    """Those of the latest ended attempts that were at this message, oldest first."""
    answer: EncodedMessage | UnsetType = UNSET


class DecodedStory(Struct, frozen=True, rename="camel"):
    """A ``Story`` as clients read it."""

    message: ListedMessage
    attempts: list[EndedAttempt]
    answer: Message | None = None
