"""The bodies and answers of the calls for moderation."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from saywhatwant.limits import (
    MAX_AUDIT_PAGE,
    MAX_BAN_SECONDS,
    MAX_PHRASE,
    MAX_REASON,
    MAX_REPORT_REASON,
    MAX_SLOW_SECONDS,
)
from saywhatwant.message import CONTEXT_PATTERN, Id, TailedColor
from saywhatwant.moderation.audit import AuditEntry
from saywhatwant.moderation.rules import Ban, Filter, FilterAction
from saywhatwant.schemas import EncodedMessage, Username

_CLEAN = "no control characters but tab and line breaks"
Reason = Annotated[
    str,
    Meta(
        max_length=MAX_REASON,
        pattern=CONTEXT_PATTERN,
        description=f"why, for the audit log; up to {MAX_REASON} characters, {_CLEAN}",
    ),
]
ReportReason = Annotated[
    str,
    Meta(
        max_length=MAX_REPORT_REASON,
        pattern=CONTEXT_PATTERN,
        description=f"what is wrong with it; up to {MAX_REPORT_REASON} characters, {_CLEAN}",
    ),
]
Phrase = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_PHRASE,
        pattern=CONTEXT_PATTERN,
        description=f"a word or phrase with at least one letter or digit; 1 to {MAX_PHRASE} characters, {_CLEAN}",
    ),
]
Address = Annotated[
    str, Meta(max_length=64, description="an IPv4 or IPv6 address, or a prefix of them such as 192.0.2.0/24 or 2001:db8::/48")
]
BanSeconds = Annotated[
    int, Meta(ge=1, le=MAX_BAN_SECONDS, description=f"how long, from now on: 1 to {MAX_BAN_SECONDS} seconds")
]
SlowSeconds = Annotated[
    int,
    Meta(
        ge=0, le=MAX_SLOW_SECONDS, description=f"0 to {MAX_SLOW_SECONDS} seconds between two posts from one address; 0 ends it"
    ),
]


class BanRequest(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Body of POST /api/moderation/ban: either ``username`` and ``color``, or ``address``.

    A color without its tail means everybody with this name and color.
    """

    seconds: BanSeconds
    username: Username | None = None
    color: TailedColor | None = None
    address: Address | None = None
    reason: Reason = ""


class UnbanRequest(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Body of POST /api/moderation/unban."""

    ban_id: Id
    reason: Reason = ""


class FilterRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of POST /api/moderation/filter: posts with the phrase are refused, or held for review."""

    phrase: Phrase
    action: FilterAction
    reason: Reason = ""


class UnfilterRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of POST /api/moderation/unfilter."""

    phrase: Phrase
    reason: Reason = ""


class SlowRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of POST /api/moderation/slow."""

    seconds: SlowSeconds
    reason: Reason = ""


class ReviewRequest(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Body of POST /api/moderation/approve, /reject and /dismiss."""

    message_id: Id
    reason: Reason = ""


class ReportRequest(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Body of POST /api/report."""

    message_id: Id
    reason: ReportReason = ""


class AuditQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Query of GET /api/moderation/audit."""

    limit: Annotated[int, Meta(ge=1, le=MAX_AUDIT_PAGE, description=f"1 to {MAX_AUDIT_PAGE} entries")] = 50
    before: Annotated[int, Meta(ge=1, le=2**53 - 1, description="only entries with a lower number")] = 2**53 - 1


class BanResponse(Struct, frozen=True):
    """Answer to ban."""

    ban: Ban
    success: Literal[True] = True


class FilterResponse(Struct, frozen=True):
    """Answer to filter."""

    filter: Filter
    success: Literal[True] = True


class HeldSummary(Struct, frozen=True, kw_only=True, rename="camel"):
    """A post that waits for review. Times are milliseconds since 1970."""

    id: str
    at: int
    phrase: str
    """What it is held for."""
    text: str
    username: str
    color: str
    """With its tail, if it has one."""
    entity: str | None


class ReportSummary(Struct, frozen=True, kw_only=True, rename="camel"):
    """What visitors say of a message."""

    message_id: str
    first_at: int
    last_at: int
    count: int
    reasons: list[str]
    message: EncodedMessage | None
    """As it is now; null if the wall has removed it."""


class ModerationState(Struct, frozen=True, kw_only=True, rename="camel"):
    """Answer of GET /api/moderation: the rules in force, and what there is to look at, that of longest ago first."""

    bans: list[Ban]
    filters: list[Filter]
    slow_seconds: int
    review: list[HeldSummary]
    """Up to 100."""
    review_count: int
    reports: list[ReportSummary]
    """Of up to 100 messages."""
    report_count: int
    """How many messages have reports."""


class AuditPage(Struct, frozen=True):
    """Answer of GET /api/moderation/audit: newest first."""

    entries: list[AuditEntry]


class HideRequest(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Body of POST /api/moderation/hide: the text, and with ``name`` who wrote it, are for operators only from now on."""

    message_id: Id
    reason: Reason = ""
    name: bool = False


class RestoreRequest(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Body of POST /api/moderation/restore: a hidden message is shown again."""

    message_id: Id
    reason: Reason = ""


class EraseRequest(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Body of POST /api/moderation/erase: the text, and with ``name`` who wrote it, are gone for good."""

    message_id: Id
    reason: Reason = ""
    name: bool = False


class ModerationResponse(Struct, frozen=True):
    """Answer to hide and restore: the message as everybody sees it now."""

    message: EncodedMessage
    success: Literal[True] = True


class EraseResponse(Struct, frozen=True):
    """Answer to erase: the message as everybody sees it now, and what else may still have its text, if anything."""

    message: EncodedMessage
    left: str | None = None
    success: Literal[True] = True


class HiddenQuery(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Query of GET /api/moderation/hidden."""

    message_id: Id


class HiddenMessage(Struct, frozen=True, rename="camel"):
    """A hidden message, as operators see it; ``hiddenAt`` is milliseconds since 1970."""

    message: EncodedMessage
    text: str
    username: str
    reason: str
    hidden_at: int
