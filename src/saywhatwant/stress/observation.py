"""The data of a report: what was posted, and what each tab read."""

from msgspec import Struct

from saywhatwant.message import Message


class Probe(Struct, kw_only=True):
    """A message that one tab posts. No two have the same text."""

    number: int
    tab: int
    """The tab that posts it, counted from 0."""
    text: str
    begun: float | None = None
    """Time of the first attempt to post it, by the monotonic clock, in seconds."""
    begun_ms: int | None = None
    """The same moment in milliseconds since 1970."""
    id: str | None = None
    """Set once the server has accepted it."""
    error: str | None = None
    """Why the last attempt to post it failed, if it did."""


class Observation(Struct, frozen=True):
    """A message as a tab read it; a message read twice makes two observations."""

    at: float
    """By the monotonic clock, in seconds."""
    message: Message
