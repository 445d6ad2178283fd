"""The figures of a minute or an hour, and the reports of gateways that they are made of."""

from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from saywhatwant.tally import Outcomes, Waiting, most_of, sum_of

Step = Literal["minute", "hour"]
STEP_MS: Final[dict[Step, int]] = {"minute": 60_000, "hour": 3_600_000}


class Counted(Struct, frozen=True, array_like=True):
    """What gateways have counted in a span of time. New fields come last, with a default."""

    posts: int = 0
    """Posts that were taken."""
    questions: int = 0
    """Those that ask for an answer."""
    requests: int = 0
    """Requests and WebSocket handshakes that were answered, without those of probes and of who watches."""
    errors: int = 0
    """Requests that were answered with a status of 500 and above."""
    socket_messages: int = 0
    """Frames from clients."""
    commits: int = 0
    commit_calls: int = 0
    """Calls that the commits carried."""
    commit_failures: int = 0
    rows_read: int = 0
    rows_written: int = 0
    active_ms: int = 0
    """Milliseconds in which at least one request was under way."""
    alarm_calls: int = 0
    alarms_set: int = 0


class Present(Struct, frozen=True, array_like=True):
    """Who is connected to one gateway or to all, or the most there were."""

    readers: int = 0
    """WebSockets of readers."""
    bots: int = 0
    """Bots, with a WebSocket or without."""


class Report(Struct, frozen=True):
    """What one gateway says of the time since its last report.

    ``outcomes`` are the wall's since the beginning, so that it does not matter how many gateways report them.
    """

    gateway: str
    """A name that no other life of a gateway has."""
    number: int
    """1 for its first report; a report that is sent again has the same number, and counts once."""
    counted: Counted
    present: Present
    outcomes: Outcomes
    waiting: Waiting
    covers_ms: int = 0
    """Milliseconds from the last report, or the gateway's start, to this one: it was there, though perhaps nobody came."""


class Figures(Struct, frozen=True, array_like=True):
    """The figures of one minute or hour, which begins at ``at`` (milliseconds since 1970)."""

    at: int
    counted: Counted = Counted()
    outcomes: Outcomes = field(default_factory=Outcomes)
    waiting: Waiting = Waiting()
    """The most there were."""
    present: Present = Present()
    """The most there were."""
    since: int = 0
    """A gateway was there all the time from then to the end of these figures; 0 if that is not known."""

    def plus(self, other: "Figures") -> "Figures":
        """Both together, as figures of one longer time that begins where this one does."""
        return Figures(
            self.at,
            sum_of(self.counted, other.counted),
            sum_of(self.outcomes, other.outcomes),
            most_of(self.waiting, other.waiting),
            most_of(self.present, other.present),
            min(self.since, other.since) or self.since or other.since,
        )


def together(figures: Iterable[Figures], ms: int) -> list[Figures]:
    """Figures of longer times: those that begin in the same ``ms`` milliseconds are one."""
    found: list[Figures] = []
    for one in figures:
        at = one.at - one.at % ms
        if found and found[-1].at == at:
            found[-1] = found[-1].plus(one)
        else:
            found.append(replace(one, at=at))
    return found
