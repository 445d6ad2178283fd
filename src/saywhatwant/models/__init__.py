"""Models that answer: chatbots that need no server, and models behind the OpenAI chat protocol."""

from saywhatwant.models.model import MAX_ANSWER, Model, ModelFailed, OpenCircuit, Turn
from saywhatwant.models.router import ModelRouter

__all__ = ["MAX_ANSWER", "Model", "ModelFailed", "ModelRouter", "OpenCircuit", "Turn"]
