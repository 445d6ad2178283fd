"""The contract of a model that a bot calls for an answer."""

from collections.abc import AsyncIterator
from typing import Literal, NamedTuple, Protocol

from saywhatwant.entities import Entity
from saywhatwant.message import without_controls

MAX_ANSWER = 4_000
"""Characters of an answer; a longer one is cut."""


class Turn(NamedTuple):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class OpenCircuit(NamedTuple):
    """A provider that has failed several times in a row and is not called for ``seconds``."""

    provider: str
    seconds: float
    reason: str


class ModelFailed(Exception):
    """The model gave no answer.

    The message is the public reason: one line that names no address, path or model. ``detail`` is for the log and names them.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(in_one_line(reason))
        self.detail = in_one_line(detail or reason)


class Model(Protocol):
    """Answers for entities."""

    def warm_up(self, entity: Entity) -> None:
        """Prepare for the first answer (imports, clients). May take a moment. Never raises ``ModelFailed``: ``stream`` does."""

    def stream(self, entity: Entity, turns: list[Turn]) -> AsyncIterator[str]:
        """The answer, piece by piece as it arrives; raises ``ModelFailed``."""

    def open_circuit(self, entity: Entity) -> OpenCircuit | None:
        """The open circuit of this entity's provider; None when the provider may be called."""

    async def aclose(self) -> None:
        """Close all connections."""


def in_one_line(text: str) -> str:
    """``text`` without line breaks and without characters that the wall refuses."""
    return " ".join(without_controls(text).split())
