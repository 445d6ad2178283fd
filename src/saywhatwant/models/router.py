"""Routes each entity to its model."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from typing import Any, cast

from saywhatwant.entities import Entity
from saywhatwant.models.chatbot import Chatbot
from saywhatwant.models.model import Model, ModelFailed, OpenCircuit, Piece, Request


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

    async def wake(self, entity: Entity) -> None:
        """See ``Model``."""
        with suppress(ModelFailed):
            await (await self._loaded(entity)).wake(entity)

    async def window(self, entity: Entity) -> int | None:
        """See ``Model``."""
        with suppress(ModelFailed):
            return await (await self._loaded(entity)).window(entity)
        return None

    async def stream(self, entity: Entity, request: Request) -> AsyncIterator[Piece]:
        """See ``Model``."""
        model = await self._loaded(entity)
        # Closing this stream closes the model's at once, not when the garbage collector comes to it.
        async with aclosing(cast("AsyncGenerator[Piece]", model.stream(entity, request))) as pieces:
            async for piece in pieces:
                yield piece

    def preview(self, entity: Entity, request: Request) -> dict[str, Any]:
        """See ``Model``."""
        return self._load(entity).preview(entity, request)

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

    async def _loaded(self, entity: Entity) -> Model:
        model = self._of(entity)
        return model if model is not None else await asyncio.to_thread(self._load, entity)

    def _load(self, entity: Entity) -> Model:
        """The entity's model, made now if it does not exist yet (imports a large library). Raises ``ModelFailed``."""
        if (model := self._of(entity)) is not None:
            return model
        try:
            self._chat = self._make_chat()
        except ImportError as error:
            # The error's own text may have a path.
            reason = f"the model cannot be called: the package {error.name} is missing or broken"
            raise ModelFailed(reason, f"{entity.model} cannot be called: {error}") from None
        return self._chat
