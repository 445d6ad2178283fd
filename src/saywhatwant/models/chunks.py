"""The text in the chunks of a streamed chat completion."""

from codecs import getincrementaldecoder
from collections.abc import AsyncIterator

import msgspec
import openai
from msgspec import Struct
from openai.types.chat import ChatCompletionChunk

from saywhatwant.models.reasons import NotAnAnswer


class _Delta(Struct):
    content: str | None = None


class _Choice(Struct):
    delta: _Delta | None = None
    finish_reason: object = None


class _Chunk(Struct):
    """The parts of a chunk that are used. The library does not check chunks against its types."""

    choices: list[_Choice] | None = None


async def pieces(chunks: openai.AsyncStream[ChatCompletionChunk]) -> AsyncIterator[str]:
    """The pieces of the answer; raises ``NotAnAnswer`` for anything else, or when the end is missing."""
    content_type = chunks.response.headers.get("content-type", "nothing").partition(";")[0]
    if content_type != "text/event-stream":
        what = content_type if content_type in {"text/html", "application/json", "nothing"} else "something else"
        raise NotAnAnswer(f"answered with {what} instead of a stream of events")
    finished = False
    # Some providers cut an emoji in two (UTF-16); the decoder keeps the first half until the second one comes.
    halves = getincrementaldecoder("utf-16-le")("ignore")
    async for chunk in chunks:
        for choice in _choices(chunk):
            finished = finished or choice.finish_reason is not None
            content = (choice.delta and choice.delta.content) or ""
            if piece := halves.decode(content.encode("utf-16-le", "surrogatepass")):
                yield piece
    if not finished:
        raise NotAnAnswer("was cut off before the answer was complete")


def _choices(chunk: ChatCompletionChunk) -> list[_Choice]:
    try:
        return msgspec.convert(chunk, _Chunk, from_attributes=True).choices or []
    except ValueError:  # usually ValidationError; a misplaced half of an emoji raises UnicodeEncodeError
        raise NotAnAnswer("answered with something that is not part of a chat completion") from None
