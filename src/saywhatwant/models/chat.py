"""Models behind the OpenAI chat protocol: OpenAI, Ollama, LM Studio, vLLM, llama.cpp, and the local one."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from http.client import responses
from typing import cast
from urllib.parse import urlsplit, urlunsplit

import httpx2
import openai
import stamina
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from saywhatwant.addresses import is_loopback
from saywhatwant.entities import Entity
from saywhatwant.models.circuit import Circuit
from saywhatwant.models.model import MAX_ANSWER, ModelFailed, OpenCircuit, Turn

CONNECT_SECONDS = 5.0
TRIES = 4
"""Requests for one answer, while the provider says that it is busy (429) or broken (5xx)."""
MAX_RETRY_AFTER_SECONDS = 30.0
MAX_REASON = 200
"""Characters of what a provider gives as its reason."""


class ChatModel:
    """Models behind the OpenAI chat protocol, each asked where its entity says.

    The library's own patience (10 minutes, times three tries) would outlast any lease: it gets one try, a bound on silence,
    and a bound on the whole; what is worth trying again is tried again here, and a provider that is down is left alone.
    """

    def __init__(self, *, idle_seconds: float, total_seconds: float) -> None:
        self._idle_seconds = idle_seconds
        self._total_seconds = total_seconds
        self._clients: dict[tuple[str | None, str], openai.AsyncOpenAI] = {}
        self._circuits: dict[str, Circuit] = {}

    def warm_up(self, entity: Entity) -> None:
        """See ``Model``."""
        self._client(entity)

    def open_circuit(self, entity: Entity) -> OpenCircuit | None:
        """See ``Model``."""
        circuit = self._circuits.get(_provider(entity))
        if circuit is None or not circuit.seconds_left:
            return None
        return OpenCircuit(_provider(entity), circuit.seconds_left, circuit.reason)

    async def stream(self, entity: Entity, turns: list[Turn]) -> AsyncIterator[str]:
        """See ``Model``."""
        circuit = self._circuits.setdefault(_provider(entity), Circuit())
        async with circuit.turn():
            async for piece in self._answer(entity, turns, circuit):
                yield piece

    async def _answer(self, entity: Entity, turns: list[Turn], circuit: Circuit) -> AsyncIterator[str]:
        provider = _provider(entity)
        written = 0
        refusals: list[openai.APIError] = []
        try:
            async with asyncio.timeout(self._total_seconds):
                async for piece in self._pieces(entity, turns, refusals):
                    yield piece[: MAX_ANSWER - written]
                    written += len(piece)
                    if written >= MAX_ANSWER:
                        break
        except (TimeoutError, openai.APIError, httpx2.HTTPError, ValueError) as error:
            # While it waited to ask again, what it had heard is the reason, not that the time was up.
            cause = refusals[-1] if refusals and isinstance(error, TimeoutError) else error
            # The reason is shown on the wall; a provider may repeat there what it was sent.
            words = self._in_words(cause).replace(self._client(entity).api_key, "(the key)")
            if _is_the_providers(cause):
                circuit.failed(words)
            raise ModelFailed(f"{entity.model} at {provider}: {words}") from None
        circuit.worked()
        if not written:
            raise ModelFailed(f"{entity.model} at {provider} answered with nothing (empty)")

    async def _pieces(self, entity: Entity, turns: list[Turn], refusals: list[openai.APIError]) -> AsyncIterator[str]:
        finished = False
        async with await self._ask(entity, turns, refusals) as chunks:
            kind = chunks.response.headers.get("content-type", "nothing")
            if not kind.startswith("text/event-stream"):
                raise ValueError(f"answered with {kind}, not with a stream of events")
            async for chunk in chunks:
                for choice in chunk.choices or ():
                    finished = finished or choice.finish_reason is not None
                    if choice.delta.content:
                        yield choice.delta.content
        if not finished:
            raise ValueError("was cut off before the answer was complete")

    async def _ask(
        self, entity: Entity, turns: list[Turn], refusals: list[openai.APIError]
    ) -> openai.AsyncStream[ChatCompletionChunk]:
        completions = self._client(entity).chat.completions
        messages = cast("list[ChatCompletionMessageParam]", [turn._asdict() for turn in turns])
        async for attempt in stamina.retry_context(_worth_another_try, attempts=TRIES, timeout=None, wait_initial=0.2):
            with attempt:
                try:
                    return await completions.create(
                        model=entity.model,
                        messages=messages,
                        temperature=entity.temperature,
                        max_tokens=entity.max_tokens,
                        stream=True,
                    )
                except openai.APIError as error:
                    refusals.append(error)
                    raise
        raise AssertionError  # stamina raises, or the loop returns

    def _client(self, entity: Entity) -> openai.AsyncOpenAI:
        place = (entity.base_url, entity.api_key_env)
        if place not in self._clients:
            timeout = openai.Timeout(self._idle_seconds, connect=CONNECT_SECONDS)
            here = entity.base_url is not None and is_loopback(urlsplit(entity.base_url).hostname or "")
            self._clients[place] = openai.AsyncOpenAI(
                base_url=entity.base_url,
                api_key=os.environ.get(entity.api_key_env) or "none",
                max_retries=0,
                timeout=timeout,
                # A proxy named in the environment is for the world outside.
                http_client=openai.DefaultAsyncHttpxClient(timeout=timeout, trust_env=not here),
            )
        return self._clients[place]

    def _in_words(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"not done after {self._total_seconds:g} s (timeout)"
        if isinstance(error, openai.APITimeoutError | httpx2.TimeoutException):
            return f"not a word for {self._idle_seconds:g} s (timeout)"
        if isinstance(error, openai.APIConnectionError | httpx2.HTTPError):
            return f"can not be reached, or broke the connection ({error.__cause__ or error})"
        if isinstance(error, openai.APIStatusError):
            return f"refused with {error.status_code} ({responses.get(error.status_code, 'of no known meaning')})"
        if isinstance(error, json.JSONDecodeError):
            return "answered with something that is not JSON"
        return str(error)[:MAX_REASON]


def _provider(entity: Entity) -> str:
    """Its address, as it may be shown: without a name and password."""
    if entity.base_url is None:
        return "OpenAI"
    parts = urlsplit(entity.base_url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _is_the_providers(error: Exception) -> bool:
    """Whether the provider is in trouble, and not one entity with a wrong key or model."""
    return not isinstance(error, openai.APIStatusError) or isinstance(error, openai.RateLimitError | openai.InternalServerError)


def _worth_another_try(error: Exception) -> bool | float:
    if isinstance(error, openai.APIConnectionError) and not isinstance(error, openai.APITimeoutError):
        # A provider may close a connection it has just kept for us.
        return True
    if not isinstance(error, openai.RateLimitError | openai.InternalServerError):
        return False
    try:
        return min(float(error.response.headers["retry-after"]), MAX_RETRY_AFTER_SECONDS)
    except (KeyError, ValueError):
        return True
