"""The data of a talk: the fact that a visitor tells, what else is said, and the answers."""

from collections.abc import Iterator
from random import Random

from msgspec import Struct, field

from saywhatwant.message import Message

TELL = "My lucky word is {}."
ASK = "What is my lucky word?"
BETWEEN = (
    "How are you today?",
    "Tell me something about the sea.",
    "What do you think of rain?",
    "Is it better to walk or to ride?",
    "I had soup for lunch.",
    "What would you plant in a garden?",
    "Do you like music?",
    "It is late here.",
)
"""What visitors say in between."""
SYLLABLES = 4
VISITORS_OF_ONE_NAME = 2
"""Visitors who share a name; only their colors differ."""


class Exchange(Struct):
    """A message of a talk and what came back."""

    text: str
    id: str | None = None
    """Set once the server has accepted it."""
    begun: float | None = None
    """Time of the first attempt to post it, by the monotonic clock, in seconds."""
    seconds: float | None = None
    """From then until its answer was read."""
    answers: list[Message] = field(default_factory=list)
    """One, if all is well."""
    error: str | None = None
    """Why it has no answer, if that is known."""


class Talk(Struct):
    """The talk of one visitor with an entity."""

    number: int
    username: str
    color: str
    word: str
    """The fact. No two talks have the same."""
    exchanges: list[Exchange]


def make_talks(number: int, between: int, random: Random) -> list[Talk]:
    """``number`` talks of ``between`` messages and two more: the first tells the fact, the last asks for it."""
    words = _words(random)
    return [
        Talk(
            talk,
            f"Visitor {talk // VISITORS_OF_ONE_NAME + 1}",
            f"{100 + talk % VISITORS_OF_ONE_NAME:03d}{talk // 200 % 200:03d}{talk % 200:03d}",
            word,
            [Exchange(text) for text in (TELL.format(word), *(BETWEEN[turn % len(BETWEEN)] for turn in range(between)), ASK)],
        )
        for talk, word in zip(range(number), words, strict=False)
    ]


def _words(random: Random) -> Iterator[str]:
    """Words that mean nothing in any language, each once."""
    known: set[str] = set()
    while True:
        word = "".join(random.choice("bdfgklmnprstvz") + random.choice("aeiou") for _ in range(SYLLABLES))
        if word not in known:
            known.add(word)
            yield word
