"""Asks a model as a bot does, and keeps the pieces of its answer."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from saywhatwant.entities import Entity
from saywhatwant.models import Answer, Piece, Request, Turn
from saywhatwant.models.chat import ChatModel
from servers import DEADLINE_SECONDS

SYSTEM = Turn("system", "You are a probe.")
TALK = [SYSTEM, Turn("user", "My name is Ada."), Turn("assistant", "I see."), Turn("user", "What is my name?")]
LONG = 60.0
"""Seconds that nothing here takes, on any machine."""


class Clock:
    """A clock that stands still until a test puts it ahead."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return 1_000 + self.ahead


def probe(base_url: str | Sequence[str], model: str = "test", **keys: Any) -> Entity:
    """An entity whose model is at this address."""
    urls = base_url if isinstance(base_url, str) else list(base_url)
    return Entity(display_name="Probe", color="169080199", model=model, base_url=urls, **keys)


async def pieces_of(model: ChatModel, entity: Entity, turns: list[Turn] | None = None, **more: Any) -> list[Piece]:
    """All pieces of the answer."""
    return [piece async for piece in model.stream(entity, Request(turns or TALK, **more))]


async def answer_of(model: ChatModel, entity: Entity, turns: list[Turn] | None = None, **more: Any) -> str:
    """The text of the answer."""
    return text_of(await pieces_of(model, entity, turns, **more))


def text_of(pieces: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, Answer))


def run(scenario: Callable[[ChatModel], Awaitable[None]], *, idle_seconds: float = LONG, total_seconds: float = LONG) -> None:
    """Run ``scenario`` with a model of its own."""

    async def bounded() -> None:
        model = ChatModel(idle_seconds=idle_seconds, total_seconds=total_seconds)
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await scenario(model)
        finally:
            await model.aclose()

    asyncio.run(bounded())
