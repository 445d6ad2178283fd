"""What thinks of an answer: chatbots that need nothing, and models behind the OpenAI chat protocol."""

from saywhatwant.models.choice import Models
from saywhatwant.models.model import MAX_ANSWER, Model, ModelFailed, OpenCircuit, Turn

__all__ = ["MAX_ANSWER", "Model", "ModelFailed", "Models", "OpenCircuit", "Turn"]
