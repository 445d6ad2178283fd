"""ModelRouter behind the OpenAI chat protocol: OpenAI, Ollama, LM Studio, vLLM, llama.cpp, and the local one."""

import asyncio
import json
import os
from codecs import getincrementaldecoder
from collections.abc import AsyncIterator
from contextlib import suppress
from http.client import responses
from typing import cast
from urllib.parse import urlsplit, urlunsplit

import httpx2
import msgspec
import openai
import stamina
from msgspec import Struct
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from saywhatwant.addresses import is_loopback
from saywhatwant.entities import Entity
from saywhatwant.models.api_key import Key
from saywhatwant.models.circuit import Circuit
from saywhatwant.models.model import MAX_ANSWER, ModelFailed, OpenCircuit, Turn, in_one_line

CONNECT_SECONDS = 5.0
TRIES = 4
"""Requests for one answer, while the provider says that it is busy (429) or broken (5xx)."""
MAX_RETRY_AFTER_SECONDS = 30.0
MAX_REASON = 200
"""Characters of what a provider gives as its reason."""


class _Delta(Struct):
    content: str | None = None


class _Choice(Struct):
    delta: _Delta | None = None
    finish_reason: object = None


class _Chunk(Struct):
    """What is read of a chunk. The library decodes them, and does not look whether they are what it says they are."""

    choices: list[_Choice] | None = None


class _NotAnAnswer(Exception):
    """What came is no answer; the text says what it is, for people."""


class ChatModel:
    """ModelRouter behind the OpenAI chat protocol, each asked where its entity says.

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
        with suppress(ModelFailed):
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
        except (TimeoutError, openai.APIError, httpx2.HTTPError, _NotAnAnswer, ValueError, RecursionError) as error:
            # While it waited to ask again, what it had heard is the reason, not that the time was up.
            cause = refusals[-1] if refusals and isinstance(error, TimeoutError) else error
            # The reason is shown on the wall; a provider may repeat there what it was sent. A key that is cut is not found.
            words = _key(entity).redact(in_one_line(self._in_words(cause)))[:MAX_REASON]
            if _is_the_providers(cause):
                circuit.failed(words)
            raise ModelFailed(f"{entity.model} at {provider}: {words}") from None
        circuit.worked()
        if not written:
            raise ModelFailed(f"{entity.model} at {provider} answered with nothing (empty)")

    async def _pieces(self, entity: Entity, turns: list[Turn], refusals: list[openai.APIError]) -> AsyncIterator[str]:
        finished = False
        # Some providers cut an emoji in two, as UTF-16 has it; the decoder keeps the first half until both are there.
        halves = getincrementaldecoder("utf-16-le")("ignore")
        async with await self._ask(entity, turns, refusals) as chunks:
            kind = chunks.response.headers.get("content-type", "nothing")
            if not kind.startswith("text/event-stream"):
                raise _NotAnAnswer(f"answered with {kind}, not with a stream of events")
            async for chunk in chunks:
                for choice in _choices(chunk):
                    finished = finished or choice.finish_reason is not None
                    said = (choice.delta and choice.delta.content) or ""
                    if piece := halves.decode(said.encode("utf-16-le", "surrogatepass")):
                        yield piece
        if not finished:
            raise _NotAnAnswer("was cut off before the answer was complete")

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
        """Its client; raises ``ModelFailed`` when there can be none."""
        key = _key(entity)
        place = (entity.base_url, key.text)
        if not key.fits_a_header:
            raise ModelFailed(f"{entity.model} at {_provider(entity)}: its key does not fit a header; see api_key_env")
        if place not in self._clients:
            try:
                self._clients[place] = self._new_client(entity.base_url, key)
            except (openai.OpenAIError, httpx2.InvalidURL, ImportError, ValueError):
                told = "can not be asked from here: a variable of the bot's environment is wrong (a proxy, OPENAI_BASE_URL)"
                raise ModelFailed(f"{entity.model} at {_provider(entity)}: {told}") from None
        return self._clients[place]

    def _new_client(self, base_url: str | None, key: Key) -> openai.AsyncOpenAI:
        timeout = openai.Timeout(self._idle_seconds, connect=CONNECT_SECONDS)
        here = base_url is not None and is_loopback(urlsplit(base_url).hostname or "")
        return openai.AsyncOpenAI(
            base_url=base_url,
            api_key=key.text or "none",
            max_retries=0,
            timeout=timeout,
            # A proxy named in the environment is for the world outside.
            http_client=openai.DefaultAsyncHttpxClient(timeout=timeout, trust_env=not here),
        )

    def _in_words(self, error: Exception) -> str:
        match error:
            case _ if _is_ours(error):
                words = "can not be asked: what goes with the question does not fit HTTP"
            case TimeoutError():
                words = f"not done after {self._total_seconds:g} s (timeout)"
            case openai.APITimeoutError() | httpx2.TimeoutException():
                words = f"not a word for {self._idle_seconds:g} s (timeout)"
            case openai.APIConnectionError() | httpx2.HTTPError():
                words = f"can not be reached, or broke the connection ({error.__cause__ or error})"
            case openai.APIStatusError():
                words = f"refused with {error.status_code} ({responses.get(error.status_code, 'of no known meaning')})"
            case openai.APIError() | _NotAnAnswer():
                words = str(error)
            case json.JSONDecodeError():
                words = "answered with something that is not JSON"
            case _:
                words = "answered with something that can not be read"
        return words


def _key(entity: Entity) -> Key:
    return Key(os.environ.get(entity.api_key_env, ""))


def _choices(chunk: ChatCompletionChunk) -> list[_Choice]:
    try:
        return msgspec.convert(chunk, _Chunk, from_attributes=True).choices or []
    except ValueError:  # mostly ValidationError; half an emoji in the wrong place is UnicodeEncodeError
        raise _NotAnAnswer("answered with something that is no part of a chat completion") from None


def _provider(entity: Entity) -> str:
    """Its address, as it may be shown: without a name and password."""
    if entity.base_url is None:
        return "OpenAI"
    parts = urlsplit(entity.base_url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _is_ours(error: BaseException) -> bool:
    """Whether nothing was sent, because it can not be: OPENAI_ORG_ID with a line break in it, say."""
    return isinstance(error.__cause__ or error, httpx2.LocalProtocolError | UnicodeEncodeError)


def _is_the_providers(error: Exception) -> bool:
    """Whether the provider is in trouble, and not one entity with a wrong key or model."""
    if isinstance(error, openai.APIStatusError):
        return isinstance(error, openai.RateLimitError | openai.InternalServerError)
    return not _is_ours(error)


def _worth_another_try(error: Exception) -> bool | float:
    if _is_ours(error):
        return False
    if isinstance(error, openai.APIConnectionError) and not isinstance(error, openai.APITimeoutError):
        # A provider may close a connection it has just kept for us.
        return True
    if not isinstance(error, openai.RateLimitError | openai.InternalServerError):
        return False
    try:
        return min(float(error.response.headers["retry-after"]), MAX_RETRY_AFTER_SECONDS)
    except (KeyError, ValueError):
        return True
