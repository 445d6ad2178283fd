"""From counts to dollars: one line for each cause."""

from collections.abc import Iterator
from typing import Literal, Self

from msgspec import Struct

from saywhatwant.cost.counts import CALLS, MONTH_SECONDS, PAGES, Counts
from saywhatwant.cost.prices import MILLION, Prices

Part = Literal["round trips", "reading", "Worker"]
LEAST_SECONDS = 30.0
"""What took less time says nothing of a month."""


class Line(Struct, frozen=True, rename="camel"):
    """What one cause costs."""

    cause: str
    count: float
    unit: str
    dollars: float
    part: Part = "round trips"
    """What it is for: messages and their answers, pages that ask for something, or the Worker in front of the objects."""


class Bill(Struct, frozen=True, rename="camel"):
    """What some counts cost."""

    lines: list[Line]
    round_trips: int
    seconds: float

    @classmethod
    def of(cls, counts: Counts, prices: Prices) -> Self:
        """The bill for ``counts``."""
        return cls([*_lines(counts, prices)], counts.round_trips, counts.seconds)

    @property
    def objects(self) -> float:
        """Dollars for what the objects do for round trips."""
        return sum(line.dollars for line in self.lines if line.part == "round trips")

    @property
    def total(self) -> float:
        """Dollars for everything."""
        return sum(line.dollars for line in self.lines)

    def per_million(self, dollars: float) -> float | None:
        """What ``dollars`` of this bill are for a million round trips; None when there was none."""
        return dollars / self.round_trips * MILLION if self.round_trips else None

    def per_month(self, dollars: float) -> float | None:
        """What ``dollars`` of this bill are for thirty days; None when hardly any time has passed."""
        return dollars / self.seconds * MONTH_SECONDS if self.seconds >= LEAST_SECONDS else None


def _lines(counts: Counts, prices: Prices) -> Iterator[Line]:
    def line(cause: str, count: float, unit: str, price: float, part: Part = "round trips") -> Line:
        return Line(cause, count, unit, count / MILLION * price, part)

    per_request = prices.object_requests
    yield line("commits", counts.rows_written, "rows written", prices.rows_written)
    yield line("alarms set", counts.alarms_set, "rows written", prices.rows_written)
    yield line("reads and wakes", counts.rows_read, "rows read", prices.rows_read)
    for cause, requests in sorted(counts.requests.items()):
        part: Part = "reading" if cause == PAGES else "round trips"
        yield line("requests" if cause == CALLS else f"requests: {cause}", requests, "requests", per_request, part)
    yield line("alarms", counts.alarm_calls, "requests", per_request)
    messages = counts.socket_messages / prices.socket_messages_per_request
    yield line("socket messages", messages, "requests", per_request)
    yield line("waiting", counts.active_seconds * prices.object_gb, "GB-s", prices.duration_gb_s)
    running = 0.0 if counts.is_real else (counts.events * prices.event_ms + counts.wakes * prices.wake_ms) / 1_000
    yield line("running", running * prices.object_gb, "GB-s", prices.duration_gb_s)
    yield line("Worker", sum(counts.requests.values()), "requests", prices.worker_requests, "Worker")
