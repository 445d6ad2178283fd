"""What is killed in a siege: a process that can be started again on what it has stored."""

from typing import Protocol

from msgspec import Struct


class Target(Protocol):
    """One process of a cluster.

    Attributes:
        name: unique, for people.
        kind: what it has in common with those that do its work meanwhile.
        rest_seconds: how long they need once it is back, before one more of them may be killed.
    """

    name: str
    kind: str
    rest_seconds: float

    async def kill(self) -> None:
        """Send SIGKILL, and wait for its end."""

    async def start(self) -> None:
        """Start it again and return once it is ready; raises ``ServerUnavailable`` when it does not become so."""


class Kill(Struct, frozen=True, kw_only=True):
    """One SIGKILL; times are those of the monotonic clock, in seconds."""

    name: str
    at: float
    ready_at: float
    """When the process was ready again."""
    posts: int
    """Posts that were under way."""
    unanswered: int
    """Accepted messages that no reader had got the answer of yet."""
