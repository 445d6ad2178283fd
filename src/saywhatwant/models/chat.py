"""Models behind the OpenAI chat protocol: OpenAI, Ollama, LM Studio, vLLM, llama.cpp, and the local one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx2
import openai

from saywhatwant.entities import Entity
from saywhatwant.models.api_key import key_of
from saywhatwant.models.chunks import pieces
from saywhatwant.models.circuit import Circuit
from saywhatwant.models.model import MAX_ANSWER, Answer, Finished, ModelFailed, OpenCircuit, Piece, Request, Turn, in_one_line
from saywhatwant.models.reasons import NotAnAnswer, detail, is_the_providers, public_reason
from saywhatwant.models.transport import Transport, provider_of

MAX_DETAIL = 200
"""Characters kept of an error that a provider wrote."""


class ChatModel:
    """Models behind the OpenAI chat protocol, each called at its entity's ``base_url``.

    ``idle_seconds`` bounds a provider's silence, ``total_seconds`` a whole answer. A provider that fails several times in a row
    is not called for a while (see ``Circuit``).
    """

    def __init__(self, *, idle_seconds: float, total_seconds: float) -> None:
        self._idle_seconds = idle_seconds
        self._total_seconds = total_seconds
        self._transport = Transport(idle_seconds)
        self._circuits: dict[str, Circuit] = {}

    def warm_up(self, entity: Entity) -> None:
        """See ``Model``."""
        with suppress(ModelFailed):
            self._transport.client(entity)

    def open_circuit(self, entity: Entity) -> OpenCircuit | None:
        """See ``Model``."""
        provider = provider_of(entity)
        circuit = self._circuits.get(provider)
        if circuit is None or not circuit.seconds_left:
            return None
        return OpenCircuit(provider, circuit.seconds_left, circuit.reason)

    async def wake(self, entity: Entity) -> None:
        """See ``Model``."""
        with suppress(ModelFailed):
            async for _ in self.stream(entity, Request([Turn("user", "Hello")], max_tokens=1)):
                pass

    async def window(self, entity: Entity) -> int | None:
        """See ``Model``."""
        return entity.context_tokens

    async def stream(self, entity: Entity, request: Request) -> AsyncIterator[Piece]:
        """See ``Model``."""
        circuit = self._circuits.setdefault(provider_of(entity), Circuit())
        async with circuit.turn():
            async for piece in self._answer(entity, request, circuit):
                yield Answer(piece)
        yield Finished("stop")

    def preview(self, entity: Entity, request: Request) -> dict[str, Any]:
        """See ``Model``."""
        return {"model": entity.model, "messages": [turn._asdict() for turn in request.turns]}

    async def aclose(self) -> None:
        """See ``Model``."""
        await self._transport.aclose()

    async def _answer(self, entity: Entity, request: Request, circuit: Circuit) -> AsyncIterator[str]:
        written = 0
        refusals: list[openai.APIError] = []
        try:
            async with (
                asyncio.timeout(self._total_seconds),
                await self._transport.ask(entity, request.turns, refusals) as chunks,
            ):
                async for piece in pieces(chunks):
                    yield piece[: MAX_ANSWER - written]
                    written += len(piece)
                    if written >= MAX_ANSWER:
                        break
        except (TimeoutError, openai.APIError, httpx2.HTTPError, NotAnAnswer, ValueError, RecursionError) as error:
            # If the time ran out while waiting to retry, the last refusal is the reason.
            cause = refusals[-1] if refusals and isinstance(error, TimeoutError) else error
            raise self._failure(entity, cause, circuit) from None
        circuit.worked()
        if not written:
            raise ModelFailed("the model's answer was empty", f"{entity.model} at {provider_of(entity)}: the answer was empty")

    def _failure(self, entity: Entity, cause: Exception, circuit: Circuit) -> ModelFailed:
        reason = public_reason(cause, idle_seconds=self._idle_seconds, total_seconds=self._total_seconds)
        # Redact before truncating, or half a key would slip through.
        words = key_of(entity).redact(in_one_line(detail(cause)))[:MAX_DETAIL]
        full = f"{reason}: {words}" if words else reason
        if is_the_providers(cause):
            circuit.failed(full)
        return ModelFailed(reason, f"{entity.model} at {provider_of(entity)}: {full}")
