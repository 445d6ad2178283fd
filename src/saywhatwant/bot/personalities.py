"""Answers without a model and without a network: the chatbots of ``nltk.chat``."""

from functools import cache
from importlib import import_module
from typing import Protocol, cast


class Personality(Protocol):
    """Something that answers a text."""

    def respond(self, text: str) -> str | None:
        """The answer, or None when it can think of nothing."""


@cache
def personality(name: str) -> Personality:
    """The chatbot of this name; importing NLTK takes a moment the first time. Raises ``ImportError`` when there is none."""
    module = import_module(f"nltk.chat.{name}")
    return cast("Personality", getattr(module, f"{name}_chatbot"))


def answer(name: str, text: str) -> str:
    """What the chatbot of this name says to ``text``; raises ``LookupError`` when it can think of nothing."""
    # Their patterns do not look across line breaks, and trip over a percent sign that they repeat.
    said = personality(name).respond(" ".join(text.split()).replace("%", "\N{FULLWIDTH PERCENT SIGN}"))
    if not said or not said.strip():
        raise LookupError(f"{name} can think of nothing to say")
    return said.strip()
