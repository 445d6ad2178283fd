"""Routes each entity to its model."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

from saywhatwant.entities import Entity
from saywhatwant.models.chatbot import Chatbot
from saywhatwant.models.model import Model, ModelFailed, OpenCircuit, Turn


class ModelRouter:
    """Routes to NLTK's chatbots, or to the model that ``make_chat`` returns; it is made when an entity first needs it."""

    def __init__(self, make_chat: Callable[[], Model]) -> None:
        self._make_chat = make_chat
        self._chat: Model | None = None
        self._chatbot = Chatbot()

    def warm_up(self, entity: Entity) -> None:
        """See ``Model``."""
        with suppress(ModelFailed):
            self._load(entity).warm_up(entity)

    async def stream(self, entity: Entity, turns: list[Turn]) -> AsyncIterator[str]:
        """See ``Model``."""
        model = self._of(entity)
        if model is None:
            model = await asyncio.to_thread(self._load, entity)
        async for piece in model.stream(entity, turns):
            yield piece

    def open_circuit(self, entity: Entity) -> OpenCircuit | None:
        """See ``Model``."""
        model = self._of(entity)
        return model.open_circuit(entity) if model else None

    async def aclose(self) -> None:
        """See ``Model``."""
        if self._chat is not None:
            await self._chat.aclose()

    def _of(self, entity: Entity) -> Model | None:
        return self._chat if entity.chatbot is None else self._chatbot

    def _load(self, entity: Entity) -> Model:
        """The entity's model, made now if it does not exist yet (imports a large library). Raises ``ModelFailed``."""
        if (model := self._of(entity)) is not None:
            return model
        try:
            self._chat = self._make_chat()
        except ImportError as error:
            raise ModelFailed(f"the model cannot be called: {error}", f"{entity.model} cannot be called: {error}") from None
        return self._chat
