"""Models that answer: chatbots that need no server, and models behind the OpenAI chat protocol."""

from saywhatwant.models.model import (
    MAX_ANSWER,
    Answer,
    Finished,
    Model,
    ModelFailed,
    OpenCircuit,
    Piece,
    Reasoning,
    Request,
    Turn,
    Waking,
    WindowExceeded,
)
from saywhatwant.models.router import ModelRouter

__all__ = [
    "MAX_ANSWER",
    "Answer",
    "Finished",
    "Model",
    "ModelFailed",
    "ModelRouter",
    "OpenCircuit",
    "Piece",
    "Reasoning",
    "Request",
    "Turn",
    "Waking",
    "WindowExceeded",
]
