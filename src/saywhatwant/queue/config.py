"""The settings of a queue object."""

from msgspec import Struct


class QueueConfig(Struct, frozen=True):
    """The settings of a queue. Times are milliseconds."""

    lease_ms: int = 60_000
    """A lease ends this long after the claim or the last ``extend``."""
    socket_lease_ms: int = 600_000
    """The same for a message that was handed to a bot on a socket, whose end gives its messages back at once."""
    max_hold_ms: int = 3_600_000
    """A lease ends this long after the claim at the latest."""
    max_attempts: int = 3
    """Claims after which a message fails for good."""
    backoff_ms: int = 1_000
    """Pause after the first failure; doubles with each further one."""
    max_backoff_ms: int = 300_000
    """The longest pause."""
    max_wait_ms: int = 86_400_000
    """A message that no bot claims within this time fails."""
    aging_ms: int = 10_000
    """Waiting this long counts as much as one step of priority."""
    retention: int = 200
    """Finished messages kept."""
    talk_retention: int = 400
    """Finished messages kept of each living talk."""
    talk_ms: int = 604_800_000
    """A talk lives this long after its last message."""
    max_kept: int = 50_000
    """Finished messages kept in all, of which long ones count as several; no fewer than ``retention``."""
    max_context_bytes: int = 120_000
    """Bytes of the encoded ``context`` of a post."""
    backlog_limit: int = 10_000
    """Unfinished messages accepted."""
    entities: tuple[str, ...] = ()
    """The entities that answer here: each has its own share of the backlog; all other names together have one."""
