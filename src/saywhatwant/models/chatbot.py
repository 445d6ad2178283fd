"""Answers without a model and without a network: the chatbots of ``nltk.chat``."""

import asyncio
from collections.abc import AsyncIterator
from functools import cache
from importlib import import_module
from typing import Protocol, cast

from saywhatwant.entities import Entity
from saywhatwant.models.model import MAX_ANSWER, ModelFailed, OpenCircuit, Turn

NLTK = "nltk:"
"""Before the name of a chatbot, where the name of a model would stand."""


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


class Chatbot:
    """The personalities of NLTK: they answer the last turn alone, all at once."""

    def warm_up(self, entity: Entity) -> None:
        """See ``Model``."""
        personality(entity.model.removeprefix(NLTK))

    async def stream(self, entity: Entity, turns: list[Turn]) -> AsyncIterator[str]:
        """See ``Model``."""
        try:
            said = await asyncio.to_thread(answer, entity.model.removeprefix(NLTK), turns[-1].content)
        except LookupError as error:
            raise ModelFailed(str(error)) from None
        yield said[:MAX_ANSWER]

    def open_circuit(self, _: Entity) -> OpenCircuit | None:
        """See ``Model``."""
        return None
