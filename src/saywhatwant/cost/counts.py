"""What was used, in the units that are billed (see ``durable_objects.meter``)."""

from collections import Counter
from typing import Self

from msgspec import Struct
from msgspec.structs import replace

from saywhatwant.usage import Usage

PAGES = "pages"
"""What pages ask for when they are opened, connected again, or used."""
CALLS = "calls"
"""The only kind of requests that a meter tells."""
MONTH_SECONDS = 30 * 24 * 3_600


class Counts(Struct, frozen=True, rename="camel"):
    """What was used in ``seconds``, for so many round trips: post, claim, reply and completion."""

    seconds: float
    round_trips: int
    requests: dict[str, int]
    """By who asked for what."""
    socket_messages: int
    alarm_calls: int
    rows_read: int
    rows_written: int
    """Without alarms."""
    alarms_set: int
    active_seconds: float
    """Time in which the object was awake: on a virtual clock, without that in which code ran."""
    wakes: int = 0
    """How often the object was made from its storage."""
    is_real: bool = False
    """Whether the clock was a real one."""

    @property
    def events(self) -> int:
        """How often the object was called."""
        return sum(self.requests.values()) + self.socket_messages + self.alarm_calls

    @classmethod
    def of(cls, usage: Usage, now_ms: int) -> Self:
        """What a server has counted until now."""
        return cls(
            seconds=max(now_ms - usage.since, 0) / 1_000,
            round_trips=usage.round_trips,
            requests={CALLS: usage.requests},
            socket_messages=usage.socket_messages,
            alarm_calls=usage.alarm_calls,
            rows_read=usage.rows_read,
            rows_written=usage.rows_written,
            alarms_set=usage.alarms_set,
            active_seconds=usage.active_ms / 1_000,
            is_real=True,
        )

    def since(self, before: "Counts") -> "Counts":
        """What was used after ``before``."""
        amounts = [name for name in self.__struct_fields__ if name not in {"requests", "is_real"}]
        values = {name: getattr(self, name) - getattr(before, name) for name in amounts}
        return replace(self, requests=dict(Counter(self.requests) - Counter(before.requests)), **values)
