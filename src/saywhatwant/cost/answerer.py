"""The bot of a played wall: the real one, with a model that takes as long as those of the original's operators did."""

import asyncio
from collections.abc import AsyncIterator
from random import Random
from typing import Any

from saywhatwant.entities import Entity
from saywhatwant.models.model import Answer, Finished, OpenCircuit, Piece, Request

LOADED_SECONDS = 1.2
"""How long an answer takes from a model that is in memory."""
LOADING_SECONDS = 11.8
"""So much longer if it must be loaded first."""
COLD_SHARE = 0.2
ANSWER_CHARS = 250
PIECE_CHARS = 5
"""A token."""


class PlayedModel:
    """Answers with words without meaning; see ``models.Model``."""

    def __init__(self, random: Random, cold_share: float = COLD_SHARE) -> None:
        self._random = random
        self._cold_share = cold_share

    def warm_up(self, entity: Entity) -> None:
        """Nothing to do."""

    async def wake(self, entity: Entity) -> None:
        """Nothing to do."""

    async def window(self, entity: Entity) -> int | None:  # noqa: ARG002 - the same for all
        """Wide enough."""
        return None

    async def stream(self, entity: Entity, request: Request) -> AsyncIterator[Piece]:  # noqa: ARG002 - the same for all
        """An answer, token by token."""
        if self._random.random() < self._cold_share:
            await asyncio.sleep(LOADING_SECONDS)
        pieces = ANSWER_CHARS // PIECE_CHARS
        for _ in range(pieces):
            await asyncio.sleep(LOADED_SECONDS / pieces)
            yield Answer("word ")
        yield Finished("stop")

    def preview(self, entity: Entity, request: Request) -> dict[str, Any]:  # noqa: ARG002 - there is no request
        """Nothing is sent."""
        return {}

    def open_circuit(self, entity: Entity) -> OpenCircuit | None:  # noqa: ARG002 - the same for all
        """It never fails."""
        return None

    async def aclose(self) -> None:
        """Nothing to do."""
