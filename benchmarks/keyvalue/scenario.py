"""Who takes part, what a system is, and what is counted."""

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from benchmarks.keyvalue.simulation import Process

POST_SECONDS = 10.0
"""Between two posts of one person, on average (exponentially distributed)."""
POLL_SECONDS = 5.0
"""Between two polls of a reader or a bot."""
THINK_SECONDS = 1.0
"""How long a bot takes for an answer."""
READERS = 8


@dataclass
class Outcome:
    """The result of a simulation."""

    posted: set[str] = field(default_factory=set)
    seen: Counter[str] = field(default_factory=Counter)
    """By how many readers."""
    answers: Counter[str] = field(default_factory=Counter)
    operations: int = 0

    @property
    def reached(self) -> float:
        """The share of messages that a reader gets, on average."""
        return self.seen.total() / len(self.posted) / READERS

    @property
    def operations_each(self) -> float:
        """Store operations for each message."""
        return self.operations / len(self.posted)

    @property
    def answered_again(self) -> float:
        """The share of messages with more than one answer."""
        return sum(number > 1 for number in self.answers.values()) / len(self.posted)


@dataclass(frozen=True)
class Scenario:
    """Who takes part."""

    posters: int
    locations: int
    messages: int
    seed: int

    def pauses(self, poster: int) -> list[float]:
        """Seconds before each post of one person; the same for both systems."""
        random = Random(f"{self.seed} {poster}")  # noqa: S311 - repeatable on purpose
        return [random.expovariate(1 / POST_SECONDS) for _ in range(poster, self.messages, self.posters)]

    def first_poll(self, who: str) -> float:
        """Seconds until a reader or a bot polls for the first time."""
        return Random(f"{self.seed} {who}").uniform(0, POLL_SECONDS)  # noqa: S311 - repeatable on purpose

    def location(self, number: int) -> str:
        """The location of a participant."""
        return f"location {number % self.locations}"


class Wall(Protocol):
    """A system, and what people and bots do on it."""

    outcome: Outcome

    def poster(self, number: int) -> Process:
        """A person who posts."""

    def reader(self, number: int) -> Process:
        """A reader that polls for what is newer than the newest message it has."""

    def bot(self, number: int) -> Process:
        """A bot that polls for messages and answers each in a process of its own."""

    def operations(self) -> int:
        """Store operations for all messages so far."""
