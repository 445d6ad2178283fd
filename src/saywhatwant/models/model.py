"""What a bot asks for an answer."""

from collections.abc import AsyncIterator
from typing import Literal, NamedTuple, Protocol

from saywhatwant.entities import Entity

MAX_ANSWER = 4_000
"""Characters of an answer; a model that goes on is cut off there."""


class Turn(NamedTuple):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class OpenCircuit(NamedTuple):
    """A provider that has failed again and again, and is left alone for so many seconds more."""

    provider: str
    seconds: float
    reason: str


class ModelFailed(Exception):
    """There is no answer; the text says why, for people."""


class Model(Protocol):
    """Something that answers for entities."""

    def warm_up(self, entity: Entity) -> None:
        """Do now what the first answer would have to wait for. May take a moment."""

    def stream(self, entity: Entity, turns: list[Turn]) -> AsyncIterator[str]:
        """The answer, piece by piece as it comes; raises ``ModelFailed``."""

    def open_circuit(self, entity: Entity) -> OpenCircuit | None:
        """Why this entity should not be asked at the moment; None when it may be."""
