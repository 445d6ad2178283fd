"""The pieces in the chunks of a chat completion, streamed or whole."""

import asyncio
import json
from codecs import getincrementaldecoder
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import suppress

import httpx2
import msgspec
from msgspec import Struct

from saywhatwant.models.chat.failures import NotAnAnswer
from saywhatwant.models.chat.patience import Silence
from saywhatwant.models.chat.refusals import Refusal, RefusedMidway
from saywhatwant.models.model import Answer, Finished, Piece, Reasoning

DONE = "[DONE]"
DRAIN_SECONDS = 0.2
"""The longest wait for the end of the response behind the end of the answer; only then can the connection be used again."""


class _Part(Struct):
    """A part of a content that is a list (Mistral's reasoning models)."""

    type: str = ""
    text: str = ""
    thinking: "str | list[_Part]" = ""


class _Delta(Struct):
    content: str | list[_Part] | None = None
    reasoning_content: str | None = None
    """So named by llama.cpp, DeepSeek and vLLM."""
    reasoning: str | None = None
    """So named by Ollama, OpenRouter and newer vLLM; some gateways send both."""


class _Choice(Struct):
    delta: _Delta | None = None
    message: _Delta | None = None
    """In place of ``delta`` where the answer is not streamed."""
    finish_reason: str | None = None
    index: int | None = 0


class _Chunk(Struct):
    """The parts of a chunk that are used. Usage chunks have an empty list of choices, keep-alives may have none."""

    choices: list[_Choice] | None = None
    prompt_progress: object = None


class Reading(Struct, frozen=True):
    """The model reads the prompt; llama.cpp reports it, since on a processor that may take a minute."""


async def pieces(events: AsyncIterator[httpx2.ServerSentEvent]) -> AsyncGenerator[Piece | Reading]:
    """The pieces of a streamed answer; the last one is ``Finished``.

    Raises ``RefusedMidway`` for an error inside the stream, and ``NotAnAnswer`` for anything else, or when the end is missing.
    """
    reader = _Reader()
    try:
        async for event in events:
            if event.data.strip().startswith(DONE):
                reader.is_complete = True
                await _drain(events)
                break
            for piece in reader.read(event.data, is_error=event.event == "error"):
                yield piece
    except (Silence, httpx2.HTTPError):
        # Some gateways break the connection, or keep it open, behind the chunk that ends the answer.
        if not reader.has_ended:
            raise
    yield reader.finished()


def whole(body: str) -> Iterator[Piece | Reading]:
    """The pieces of an answer that came as one JSON document, from a server that does not stream."""
    reader = _Reader()
    yield from reader.read(body, is_error=False)
    yield reader.finished()


class _Reader:
    """Reads the chunks of one answer."""

    def __init__(self) -> None:
        self.is_complete = False
        """Whether the end was marked; some servers mark it with ``finish_reason`` only, some with ``[DONE]`` only."""
        self._reason: str | None = None
        # Some providers cut an emoji in two (UTF-16); a decoder keeps the first half until the second one comes.
        self._answer = getincrementaldecoder("utf-16-le")("ignore")
        self._reasoning = getincrementaldecoder("utf-16-le")("ignore")

    def read(self, data: str, *, is_error: bool) -> Iterator[Piece | Reading]:
        document = json.loads(data)
        if refusal := Refusal.in_stream(document, is_error=is_error):
            raise RefusedMidway(refusal)
        chunk = _chunk(document)
        if chunk.prompt_progress is not None:
            yield Reading()
        for choice in chunk.choices or []:
            if choice.index:  # only one answer was asked for
                continue
            # The first reason counts: a gateway may add its own "stop" behind the server's "length".
            self._reason = self._reason or choice.finish_reason or None
            delta = choice.delta or choice.message or _Delta()
            thought, text = _texts(delta)
            if thought := self._reasoning.decode(thought.encode("utf-16-le", "surrogatepass")):
                yield Reasoning(thought)
            if text := self._answer.decode(text.encode("utf-16-le", "surrogatepass")):
                yield Answer(text)

    @property
    def has_ended(self) -> bool:
        return self.is_complete or self._reason is not None

    def finished(self) -> Finished:
        if not self.has_ended:
            raise NotAnAnswer("was cut off before the answer was complete")
        return Finished("length" if self._reason == "length" else "stop")


async def _drain(events: AsyncIterator[httpx2.ServerSentEvent]) -> None:
    with suppress(TimeoutError, httpx2.HTTPError, NotAnAnswer, Silence):
        async with asyncio.timeout(DRAIN_SECONDS):
            async for _ in events:
                pass


def _chunk(document: object) -> _Chunk:
    try:
        return msgspec.convert(document, _Chunk)
    except ValueError:  # usually ValidationError; a misplaced half of an emoji raises UnicodeEncodeError
        raise NotAnAnswer("answered with something that is not part of a chat completion") from None


def _texts(delta: _Delta) -> tuple[str, str]:
    """What it adds to the reasoning and to the answer."""
    thought, text = delta.reasoning_content or delta.reasoning or "", ""
    if isinstance(delta.content, list):
        for part in delta.content:
            inner = part.thinking if isinstance(part.thinking, str) else "".join(each.text for each in part.thinking)
            thought, text = thought + inner, text + part.text
        return thought, text
    return thought, delta.content or ""
