"""What a wall has counted: outcomes since its beginning, and what waits now. Also how such figures are added and compared."""

from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct, field
from msgspec.structs import astuple

from saywhatwant.answer_times import no_answers

StructT = TypeVar("StructT", bound=Struct)


class Outcomes(Struct, array_like=True):
    """What became of messages, since the beginning or in a span of time. New fields come last, with a default."""

    answers: int = 0
    failures: int = 0
    """Messages that have failed; one that is retried and fails again counts twice."""
    lease_expiries: int = 0
    answer_ms: int = 0
    """The sum of the times from questions to their answers."""
    answer_times: list[int] = field(default_factory=no_answers)
    """Answers by how long they took; see ``answer_times``."""


class Waiting(Struct, frozen=True, array_like=True):
    """The messages at one time, or the most there were of each kind."""

    pending: int = 0
    held: int = 0
    failed: int = 0
    backlog: int = 0


class Tally(Struct, frozen=True):
    """Both, at one time."""

    outcomes: Outcomes = field(default_factory=Outcomes)
    waiting: Waiting = Waiting()


def sum_of(one: StructT, other: StructT) -> StructT:
    """The sum of each field; lists are added up entry by entry."""
    return _merged(one, other, lambda mine, others: mine + others)


def difference(later: StructT, earlier: StructT) -> StructT:
    """What each field has grown by; 0 where it has not."""
    return _merged(later, earlier, lambda mine, others: max(mine - others, 0))


def most_of(one: StructT, other: StructT) -> StructT:
    """The larger value of each field."""
    return _merged(one, other, max)


def is_less(one: Struct, other: Struct) -> bool:
    """Whether a field of ``one`` is less than that of ``other``."""
    return most_of(one, other) != one


def _merged(one: StructT, other: StructT, merge: Callable[[int, int], int]) -> StructT:
    values = (
        [merge(*pair) for pair in zip(mine, others, strict=True)] if isinstance(mine, list) else merge(mine, others)
        for mine, others in zip(astuple(one), astuple(other), strict=True)
    )
    return type(one)(*values)
