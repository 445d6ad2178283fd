"""Answers without a model and without a network: the chatbots of ``nltk.chat``."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import Any, Protocol, cast

from saywhatwant.entities import Entity
from saywhatwant.models.model import MAX_ANSWER, Answer, Finished, ModelFailed, OpenCircuit, Piece, Request


class Personality(Protocol):
    """A chatbot of ``nltk.chat``."""

    def respond(self, text: str) -> str | None:
        """The answer to ``text``, or None when there is none."""


@cache
def personality(name: str) -> Personality:
    """The chatbot of this name; importing NLTK takes a moment the first time. Raises ``ModelFailed`` when there is none."""
    try:
        module = import_module(f"nltk.chat.{name}")
        return cast("Personality", getattr(module, f"{name}_chatbot"))
    except (ImportError, AttributeError):
        raise ModelFailed(f"the installed NLTK has no chatbot {name!r}") from None


def answer(name: str, text: str) -> str:
    """The answer of the chatbot ``name`` to ``text``; raises ``ModelFailed`` when it has none."""
    # The chatbots' patterns stop at line breaks, and repeating a percent sign makes them fail.
    line = " ".join(text.split()).replace("%", "\N{FULLWIDTH PERCENT SIGN}")
    # They repeat what they are told within a sentence of their own; NLTK's own dialogue removes the end of it too.
    reply = personality(name).respond(line.rstrip("!. ") or line)
    if not reply or not reply.strip():
        raise ModelFailed(f"{name} has no answer")
    return reply.strip()


class Chatbot:
    """The chatbots of NLTK: they answer the last turn only, in one piece."""

    def warm_up(self, entity: Entity) -> None:
        """See ``Model``."""
        with suppress(ModelFailed):
            personality(entity.chatbot or "")

    async def wake(self, entity: Entity) -> None:
        """See ``Model``; a chatbot is always loaded."""

    async def window(self, _: Entity) -> int | None:
        """See ``Model``; a chatbot has none."""
        return None

    async def stream(self, entity: Entity, request: Request) -> AsyncIterator[Piece]:
        """See ``Model``."""
        reply = await asyncio.to_thread(answer, entity.chatbot or "", request.turns[-1].content)
        yield Answer(reply[:MAX_ANSWER])
        yield Finished("stop")

    def preview(self, entity: Entity, request: Request) -> dict[str, Any]:
        """See ``Model``."""
        return {"model": entity.model, "text": request.turns[-1].content}

    def open_circuit(self, _: Entity) -> OpenCircuit | None:
        """See ``Model``."""
        return None

    async def aclose(self) -> None:
        """See ``Model``."""
