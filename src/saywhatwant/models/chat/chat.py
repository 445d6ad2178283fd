"""Models behind the OpenAI chat protocol: OpenAI, Ollama, LM Studio, vLLM, llama.cpp, and the local one."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import aclosing, suppress
from typing import Any

from saywhatwant.entities import Entity
from saywhatwant.models.chat.call import ATTEMPTS, Call
from saywhatwant.models.chat.failures import FAILURES, full_reason, is_the_models, public_reason
from saywhatwant.models.chat.patience import Patience
from saywhatwant.models.chat.places import Place, Places
from saywhatwant.models.chat.transport import Transport
from saywhatwant.models.chat.windows import Windows
from saywhatwant.models.model import (
    EMPTY,
    MAX_WRITTEN,
    STILL_THINKING,
    Answer,
    Finished,
    ModelFailed,
    OpenCircuit,
    Piece,
    Reasoning,
    Request,
    Turn,
    Waking,
)

WAKING_AFTER_SECONDS = 2.0
"""Seconds of silence after which a model that may have to be loaded is shown as waking up."""
HELLO = Request([Turn("user", "Hello")], max_tokens=1)
"""What is asked only to learn whether the model answers."""


class ChatModel:
    """Models behind the OpenAI chat protocol, each called at its entity's addresses.

    ``idle_seconds`` bounds a model's silence, ``total_seconds`` a whole answer; both are longer while the model is being loaded
    (see ``Patience``). A model that fails several times in a row at an address is not called there for a while
    (see ``Circuit``).
    """

    def __init__(self, *, idle_seconds: float, total_seconds: float) -> None:
        self._idle_seconds = idle_seconds
        self._total_seconds = total_seconds
        self._transport = Transport()
        self.places = Places()
        self._windows = Windows(self._transport)
        self._probes: set[asyncio.Task[None]] = set()

    def warm_up(self, entity: Entity) -> None:
        """See ``Model``."""
        for place in self.places.of(entity):
            with suppress(ModelFailed):
                self._transport.client(entity, place)

    async def wake(self, entity: Entity) -> None:
        """See ``Model``; the model is asked at each of its addresses."""
        await asyncio.gather(*(self._probe(entity, place) for place in self.places.of(entity)))

    async def window(self, entity: Entity) -> int | None:
        """See ``Model``; of several addresses, the smallest window counts."""
        places = self.places.of(entity)
        await asyncio.gather(*(self._windows.learn(entity, place) for place in places))
        known = [place.window for place in places if place.window]
        return min([*known, entity.context_tokens] if entity.context_tokens else known, default=None)

    def open_circuit(self, entity: Entity) -> OpenCircuit | None:
        """See ``Model``."""
        place = self.places.open_circuit(entity)
        return OpenCircuit(str(place), place.circuit.seconds_left, place.circuit.reason) if place else None

    def preview(self, entity: Entity, request: Request) -> dict[str, Any]:
        """See ``Model``."""
        place = self.places.next(entity)
        tokens = request.max_tokens or entity.max_tokens
        return place.learnt.body(entity, request, tokens, progress=place.reports_progress)

    async def stream(self, entity: Entity, request: Request) -> AsyncIterator[Piece]:
        """See ``Model``."""
        self._probe_the_failed(entity)
        call = Call(self._transport, _AnyPlace(self, entity), entity, request)
        async with aclosing(self._answer(entity, call)) as answer, aclosing(_announced(answer, call)) as pieces:
            async for piece in pieces:
                yield piece

    async def aclose(self) -> None:
        """See ``Model``."""
        for probe in self._probes:
            probe.cancel()
        await asyncio.gather(*self._probes, return_exceptions=True)
        await self._transport.aclose()

    def patience(self, entity: Entity, place: Place) -> Patience:
        """The time limits of an answer of this place."""
        return Patience(
            idle_seconds=self._idle_seconds,
            total_seconds=self._total_seconds,
            loading_seconds=entity.loading_seconds,
            is_cold=place.is_cold,
            is_busy=place.calls > 0,
        )

    async def _answer(self, entity: Entity, call: Call) -> AsyncGenerator[Piece]:
        """The pieces of a call's answer; records in the circuits what worked and what failed."""
        written = thought = 0
        try:
            async with aclosing(call.pieces()) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Answer):
                        yield Answer(piece.text[: MAX_WRITTEN - written])
                        written += len(piece.text)
                    elif isinstance(piece, Finished):
                        self._worked(call)
                        if not written:
                            raise ModelFailed(
                                STILL_THINKING if thought and piece.reason == "length" else EMPTY,
                                f"{call.place}: the answer was empty, after {thought} characters of reasoning"
                                f" (finish reason: {piece.reason})",
                            )
                        yield piece
                        return
                    else:
                        thought += len(piece.text) if isinstance(piece, Reasoning) else 0
                        yield piece
                    if written >= MAX_WRITTEN:
                        break
            self._worked(call)
            yield Finished("length")
        except FAILURES as error:
            raise ModelFailed(public_reason(error), f"{call.place}: {full_reason(entity, error)}") from None
        finally:
            for place, cause in call.failed.items():
                if is_the_models(cause):
                    place.circuit.failed(full_reason(entity, cause))

    @staticmethod
    def _worked(call: Call) -> None:
        if call.place is not None:
            call.place.circuit.worked()

    def _probe_the_failed(self, entity: Entity) -> None:
        """Find out, at the cost of no visitor, whether addresses that have failed work again."""
        for place in self.places.to_probe(entity):
            probe = asyncio.create_task(self._probe(entity, place))
            self._probes.add(probe)
            probe.add_done_callback(self._probes.discard)

    async def _probe(self, entity: Entity, place: Place) -> None:
        if place.is_probed:
            return
        place.is_probed = True
        try:
            call = Call(self._transport, _OnePlace(self, entity, place), entity, HELLO)
            with suppress(ModelFailed):
                async for _ in self._answer(entity, call):
                    pass
            if not any(map(is_the_models, call.failed.values())):
                place.circuit.worked()  # a model that refuses so small a request may still take a visitor's
        finally:
            place.is_probed = False


class _AnyPlace:
    """The route of a visitor's message: any of the entity's places."""

    def __init__(self, model: ChatModel, entity: Entity) -> None:
        self._model = model
        self._entity = entity

    @property
    def attempts(self) -> int:
        return ATTEMPTS + len(self._model.places.of(self._entity)) - 1

    def next(self, failed: Collection[Place]) -> Place:
        return self._model.places.next(self._entity, failed)

    def has_another(self, failed: Collection[Place]) -> bool:
        return any(place not in failed and place.circuit.is_healthy for place in self._model.places.of(self._entity))

    def patience(self, place: Place) -> Patience:
        return self._model.patience(self._entity, place)


class _OnePlace(_AnyPlace):
    """The route of a small request to one place."""

    @property
    def attempts(self) -> int:
        return 1

    def __init__(self, model: ChatModel, entity: Entity, place: Place) -> None:
        super().__init__(model, entity)
        self._place = place

    def next(self, failed: Collection[Place]) -> Place:  # noqa: ARG002 - there is no choice
        return self._place

    def has_another(self, failed: Collection[Place]) -> bool:  # noqa: ARG002 - there is none
        return False


async def _announced(answer: AsyncGenerator[Piece], call: Call) -> AsyncGenerator[Piece]:
    """The pieces of ``answer``, after ``Waking`` if the first one takes long because the model may be loading."""
    first = asyncio.ensure_future(anext(answer))
    try:
        while not (await asyncio.wait({first}, timeout=WAKING_AFTER_SECONDS))[0]:
            if call.is_waking:
                yield Waking()
                break
        yield await first
    finally:
        if not first.done():
            first.cancel()
            await asyncio.wait({first})
    async for piece in answer:
        yield piece
