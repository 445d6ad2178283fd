"""The ways in which servers and gateways stream an answer, for ``ScriptedModel``.

The sources: openai-python issues 2722 and 3833 (events without data), llm-gateway issue 2053 and openai-go pull request 621
(comments of OpenRouter), llmgateway pull request 2334 (a comment as an event of its own after one with an id), mentat issue 429
and autogen issue 6465 (chunks of Azure without choices or without a delta).
"""

import json
from collections.abc import Callable, Sequence

from scripted_server import chunk, event

Streaming = Callable[[Sequence[str], str], list[str]]
"""The text on the wire, in parts, from the pieces of an answer and the reason why it ends."""

DONE = "data: [DONE]\n\n"
USAGE = {**chunk({}), "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21}}
FILTERED = {"hate": {"filtered": False, "severity": "safe"}}


def _contents(pieces: Sequence[str]) -> list[str]:
    return [event({"content": piece}) for piece in pieces]


def openai(pieces: Sequence[str], finish: str) -> list[str]:
    """A first chunk with the role, and a last one with the usage and without choices."""
    first = event({"role": "assistant", "content": "", "refusal": None})
    return [first, *_contents(pieces), event({}, finish), f"data: {json.dumps(USAGE)}\n\n", DONE]


def llama_cpp(pieces: Sequence[str], finish: str) -> list[str]:
    """A first chunk without content, and a last one with the timings."""
    last = {**chunk({}, finish), "timings": {"prompt_n": 9, "predicted_n": 12}}
    return [event({"role": "assistant", "content": None}), *_contents(pieces), f"data: {json.dumps(last)}\n\n", DONE]


def ollama(pieces: Sequence[str], finish: str) -> list[str]:
    """The role in every chunk, and an empty content in the last one."""
    contents = [event({"role": "assistant", "content": piece}) for piece in pieces]
    return [*contents, event({"role": "assistant", "content": ""}, finish), DONE]


def azure(pieces: Sequence[str], finish: str) -> list[str]:
    """A first chunk without choices, and one without a delta behind the end."""
    first = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": [FILTERED]}
    behind = {**chunk(None), "id": "", "model": "", "object": ""}
    return [f"data: {json.dumps(first)}\n\n", *openai(pieces, finish)[:-1], f"data: {json.dumps(behind)}\n\n", DONE]


def openrouter(pieces: Sequence[str], finish: str) -> list[str]:
    """Comments as keep-alives, and the reason for the end in two chunks."""
    processing = ": OPENROUTER PROCESSING\n\n"
    contents = [part for text in _contents(pieces) for part in (processing, text)]
    return [processing, processing, *contents, event({"content": ""}, finish), event({}, finish), DONE]


def gateway(pieces: Sequence[str], finish: str) -> list[str]:
    """Ids, retry times, empty events and named ones as keep-alives, and lines that end as on Windows."""
    keep_alives = ["retry: 3000\n\n", "event: ping\n\n", "data:\n\n", ": ping\n\n", "\n\n"]
    numbered = [f"id: {number}\n{text}" for number, text in enumerate(openai(pieces, finish))]
    parts = [part for number, text in enumerate(numbered) for part in (keep_alives[number % len(keep_alives)], text)]
    return [part.replace("\n", "\r\n") for part in parts]


def thinking_beside(member: str) -> Streaming:
    """Reasoning in a member of its own (``reasoning_content``, or ``reasoning`` as Ollama and OpenRouter call it)."""

    def stream(pieces: Sequence[str], finish: str) -> list[str]:
        thoughts = [event({"role": "assistant", "content": None, member: part}) for part in ("They ask", " for a name.")]
        return [*thoughts, *llama_cpp(pieces, finish)]

    return stream


STREAMS = {
    "OpenAI": openai,
    "llama.cpp": llama_cpp,
    "Ollama": ollama,
    "Azure": azure,
    "OpenRouter": openrouter,
    "a gateway": gateway,
    "reasoning_content": thinking_beside("reasoning_content"),
    "reasoning": thinking_beside("reasoning"),
}
