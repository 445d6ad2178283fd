"""The rules that operators make, as they are stored, sent to gateways, and shown."""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

FilterAction = Literal["refuse", "hold"]
"""What becomes of a post with the phrase: it is refused, or it waits for review."""


class Subject(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Who is banned: a person by name and color, or a network."""

    username: str | UnsetType = UNSET
    color: str | UnsetType = UNSET
    color_tail: str | UnsetType = UNSET
    """Without it, everybody with this name and color."""
    address: str | UnsetType = UNSET
    """A prefix, such as ``192.0.2.0/24``."""


class Ban(Subject, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Somebody who may not post until a time, in milliseconds since 1970."""

    id: str
    until: int
    at: int
    """When it was made."""
    by: str
    """The operator who made it."""
    reason: str = ""

    @property
    def subject(self) -> Subject:
        """Whom it is for."""
        return Subject(username=self.username, color=self.color, color_tail=self.color_tail, address=self.address)


class Filter(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A word or phrase, and what becomes of posts that have it."""

    phrase: str
    """As the operator wrote it."""
    action: FilterAction
    at: int
    by: str
    reason: str = ""


class Rules(Struct, frozen=True, kw_only=True, rename="camel"):
    """All rules in force at a commit of their object."""

    seq: int = 0
    bans: list[Ban] = []
    filters: list[Filter] = []
    slow_seconds: int = 0
    """Seconds between two posts from one address; 0 is no slow mode."""
