"""What a queue is told by the settings."""

from msgspec import Struct


class QueueConfig(Struct, frozen=True):
    """The settings of a queue. Times in milliseconds."""

    lease_ms: int = 60_000
    """A lease ends this long after the last sign of life: the claim, or the last ``extend``."""
    max_hold_ms: int = 3_600_000
    """A lease ends this long after the claim, whatever signs of life there are."""
    max_attempts: int = 3
    backoff_ms: int = 1_000
    """Pause after the first failure; doubles with each further one."""
    max_backoff_ms: int = 300_000
    retention: int = 200
    """Finished messages kept."""
    backlog_limit: int = 10_000
    """Unfinished messages accepted."""
    entities: tuple[str, ...] = ()
    """Those that answer here: the figures name them first."""
