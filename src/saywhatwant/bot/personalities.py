"""Answers without a model and without a network: the chatbots of ``nltk.chat``."""

from importlib import import_module
from typing import Protocol, cast


class Personality(Protocol):
    """Something that answers a text."""

    def respond(self, text: str) -> str | None:
        """The answer, or None when it can think of nothing."""


def personality(name: str) -> Personality:
    """The chatbot of this name; importing NLTK takes a moment the first time."""
    module = import_module(f"nltk.chat.{name}")
    return cast("Personality", getattr(module, f"{name}_chatbot"))
