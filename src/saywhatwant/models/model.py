"""What a bot asks for an answer."""

from collections.abc import AsyncIterator
from typing import Literal, NamedTuple, Protocol

from saywhatwant.entities import Entity
from saywhatwant.message import without_controls

MAX_ANSWER = 4_000
"""Characters of an answer; a model that goes on is cut off there."""


class Turn(NamedTuple):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class OpenCircuit(NamedTuple):
    """A provider that has failed several times in a row and is not asked for this many seconds."""

    provider: str
    seconds: float
    reason: str


class ModelFailed(Exception):
    """There is no answer.

    The text is the reason that everybody may read: one line that names no address, path or model. ``detail`` is for the log,
    and names them.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(in_one_line(reason))
        self.detail = in_one_line(detail or reason)


class Model(Protocol):
    """Something that answers for entities."""

    def warm_up(self, entity: Entity) -> None:
        """Do now what the first answer would have to wait for. May take a moment; never raises, since the answer will."""

    def stream(self, entity: Entity, turns: list[Turn]) -> AsyncIterator[str]:
        """The answer, piece by piece as it comes; raises ``ModelFailed``."""

    def open_circuit(self, entity: Entity) -> OpenCircuit | None:
        """Why this entity should not be asked at the moment; None when it may be."""

    async def aclose(self) -> None:
        """Close its connections."""


def in_one_line(text: str) -> str:
    """``text`` without line breaks and without characters that the wall refuses."""
    return " ".join(without_controls(text).split())
