"""Which model an entity has."""

import asyncio
from collections.abc import AsyncIterator, Callable

from saywhatwant.entities import Entity
from saywhatwant.models.chatbot import NLTK, Chatbot
from saywhatwant.models.model import Model, OpenCircuit, Turn


class Models:
    """Each entity's own: a chatbot of NLTK, or what ``make_chat`` makes when the first entity needs it."""

    def __init__(self, make_chat: Callable[[], Model]) -> None:
        self._make_chat = make_chat
        self._chat: Model | None = None
        self._chatbot = Chatbot()

    def warm_up(self, entity: Entity) -> None:
        """See ``Model``."""
        if entity.model.startswith(NLTK):
            self._chatbot.warm_up(entity)
        else:
            self._chat = self._chat or self._make_chat()

    async def stream(self, entity: Entity, turns: list[Turn]) -> AsyncIterator[str]:
        """See ``Model``."""
        if self._of(entity) is None:
            await asyncio.to_thread(self.warm_up, entity)
        model = self._of(entity)
        assert model is not None  # noqa: S101 - it is warm now
        async for piece in model.stream(entity, turns):
            yield piece

    def open_circuit(self, entity: Entity) -> OpenCircuit | None:
        """See ``Model``."""
        model = self._of(entity)
        return model.open_circuit(entity) if model else None

    def _of(self, entity: Entity) -> Model | None:
        return self._chatbot if entity.model.startswith(NLTK) else self._chat
