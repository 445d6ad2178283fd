"""The contract between the answer loop of a bot and a model."""

from collections.abc import AsyncIterator
from typing import Any, Literal, NamedTuple, Protocol

from msgspec import Struct

from saywhatwant.entities import Entity
from saywhatwant.message import without_controls

MAX_ANSWER = 4_000
"""Characters of an answer on the wall; a longer one ends there."""
MAX_WRITTEN = 64_000
"""Characters that a model may write for one answer, what it thinks between tags included; more is not read."""


class Turn(NamedTuple):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Request(Struct, frozen=True):
    """What a model is asked. Everything else (temperature, stop, ...) comes from the entity."""

    turns: list[Turn]
    max_tokens: int | None = None
    """Tokens of the answer, at least 1; None takes the entity's. A model may lower it to fit its window."""


class Answer(Struct, frozen=True):
    """A piece of the answer."""

    text: str


class Reasoning(Struct, frozen=True):
    """A piece of what the model thinks before it answers; never part of the answer."""

    text: str


class Waking(Struct, frozen=True):
    """The model is being loaded. At most once per stream, before any other piece."""


class Finished(Struct, frozen=True):
    """The last piece of a complete answer: it ended by itself, or at ``max_tokens`` or another bound on its length."""

    reason: Literal["stop", "length"]


Piece = Answer | Reasoning | Waking | Finished


class OpenCircuit(NamedTuple):
    """A model that has failed several times in a row at every address of its entity, and is not called for ``seconds``."""

    provider: str
    """The model and its address, for operators."""
    seconds: float
    reason: str


EMPTY = "the model's answer was empty"
STILL_THINKING = "the model was still thinking when it reached its limit of tokens"
"""Public reasons."""


class ModelFailed(Exception):
    """The model gave no answer.

    The message is the public reason: one line that names no address, path or model. ``detail`` is for operators: it names
    them, and has the provider's own words, without keys.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(in_one_line(reason))
        self.detail = in_one_line(detail or reason)


class WindowExceeded(ModelFailed):
    """The turns do not fit the model's window; raised before any piece of the answer.

    Ask again with less, in the same attempt. ``limit_tokens`` is the window (prompt and answer together) and ``prompt_tokens``
    what these turns have by the server's own count; each is None where the server does not name it.
    """

    def __init__(self, limit_tokens: int | None, prompt_tokens: int | None, detail: str = "") -> None:
        super().__init__("the message does not fit the model's window", detail)
        self.limit_tokens = limit_tokens
        self.prompt_tokens = prompt_tokens


class Model(Protocol):
    """Answers for entities."""

    def warm_up(self, entity: Entity) -> None:
        """Prepare for the first answer (imports, clients). May take a moment. Never raises ``ModelFailed``: ``stream`` does."""

    async def wake(self, entity: Entity) -> None:
        """Ask the model for one token, so that its server loads it; returns when it has answered or failed. Never raises."""

    async def window(self, entity: Entity) -> int | None:
        """The tokens that prompt and answer may have together; None while unknown.

        The entity's ``context_tokens``, else what the server tells or a refusal has named. May ask the server, for a few
        seconds at most. Never raises.
        """

    def stream(self, entity: Entity, request: Request) -> AsyncIterator[Piece]:
        """The answer, piece by piece as it arrives; a complete one ends with ``Finished``.

        Raises ``WindowExceeded`` when the turns do not fit, and ``ModelFailed`` for any other reason, also midway. A model that
        has not answered lately gets its entity's ``loading_seconds`` for the first piece.
        """

    def preview(self, entity: Entity, request: Request) -> dict[str, Any]:
        """The body of the request that ``stream`` would send, ready for JSON. Raises ``ModelFailed``."""

    def open_circuit(self, entity: Entity) -> OpenCircuit | None:
        """The open circuit of this entity's model; None when it may be called."""

    async def aclose(self) -> None:
        """Close all connections."""


def in_one_line(text: str) -> str:
    """``text`` without line breaks and without characters that the wall refuses."""
    return " ".join(without_controls(text).split())
