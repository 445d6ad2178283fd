"""What a provider's refusal means: a window that is too small, a parameter it does not take, or a model that is being loaded.

There is no common format, so this matches the words of OpenAI, llama.cpp, vLLM, Ollama, LM Studio, TGI and the gateways before
them. Each pattern names its source.
"""

import json
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple, Self

import openai
from msgspec import Struct

MAX_WORDS = 4_000
"""Characters of a refusal that are read. A refusal may repeat the whole request."""

_WINDOW = re.compile(
    r"context_length_exceeded|exceed_context_size_error|context_window_exceeded"  # codes: OpenAI, llama.cpp, LiteLLM
    r"|exceeds? the available context size|context size has been exceeded"  # llama.cpp
    r"|maximum context length|context length is only|maximum model length|max_model_len"  # OpenAI, vLLM
    r"|input length exceeds|exceeds the context length|exceeds context length"  # Ollama
    r"|context length of only|context the overflows|the context overflows|greater than the context length"  # LM Studio
    r"|exceed context window of|exceeds? the context window|context window exceeds"  # llama-cpp-python, OpenAI, MiniMax
    r"|prompt is too long|prompt too long|input is too long|too many input tokens|input token count"  # Anthropic, Gemini
    r"|`inputs` (?:tokens|must have less)|reduce the length of the|maximum prompt length",  # TGI, Groq, xAI
    re.IGNORECASE,
)
_TOO_LARGE = re.compile(r"request too large|tokens must be reduced", re.IGNORECASE)
"""Groq and OpenAI, of a prompt that exceeds the tokens of a whole minute: waiting does not help."""
_LIMIT = re.compile(
    r"\bn_ctx\W{1,4}(\d+)|context size \((\d+) tokens|maximum context length (?:is|of) (\d+)|context length is only (\d+)"
    r"|maximum model length of (\d+)|context length of only (\d+)|context window of (?:size )?(\d+)|> (\d+) maximum"
    r"|must be <= (\d+)|tokens allowed \((\d+)\)|maximum prompt length is (\d+)",
    re.IGNORECASE,
)
_PROMPT = re.compile(
    r"n_prompt_tokens\W{1,4}(\d+)|request \((\d+) tokens\)|\((\d+) (?:tokens )?(?:in|from) the (?:messages|input)"
    r"|request has (\d+) input tokens|contains (\d+) input tokens"
    r"|resulted in (\d+) tokens|first (\d+) tokens|prompt \(length (\d+)\)|requested tokens \((\d+)\)"
    r"|n_keep: (\d+)|too long: (\d+) tokens|token count \((\d+)\)|given: (\d+) `inputs`|request contains (\d+) tokens",
    re.IGNORECASE,
)
"""Not vLLM's "You passed 1025 input tokens": it stops counting there."""
_MOST = re.compile(r"at most (\d+) completion tokens|expected a value <= (\d+)", re.IGNORECASE)
_MOST_STOPS = re.compile(r"maximum length (\d+)", re.IGNORECASE)
_REFUSES = re.compile(
    r"unsupported|not support|n't support|unrecognized|unknown|unexpected|not permitted|not allowed|extra_forbidden|invalid"
    r"|deprecated|cannot be (?:used|specified)|cannot both|must be|only the default|not available|should be|too large"
    r"|incompatible|too long",
    re.IGNORECASE,
)
_NO_SYSTEM = re.compile(
    r"system (?:role|message|prompt)s? (?:is |are )?(?:not |un)supported|developer instruction is not enabled"  # Gemma
    r"|only user,? and assistant roles",  # Mistral's first templates
    re.IGNORECASE,
)
_LOADING = re.compile(r"\bloading\b|not (?:yet )?ready|warming up|starting up", re.IGNORECASE)
_EVERYDAY = {"stop", "seed", "user", "store", "n"}
"""Parameters that are also English words; they count only between quotes, or after a colon."""


class Overflow(NamedTuple):
    """A prompt that does not fit, with the numbers that the refusal names."""

    limit: int | None
    prompt: int | None


class Refusal(Struct, frozen=True):
    """A provider's refusal, as an HTTP status or inside a stream."""

    status: int | None
    words: str
    """All of it, as text."""
    message: str
    param: str = ""

    @classmethod
    def of(cls, error: Exception) -> Self | None:
        """The refusal in an error; None when the provider did not refuse."""
        if isinstance(error, RefusedMidway):
            return cls(error.refusal.status, error.refusal.words, error.refusal.message, error.refusal.param)
        if isinstance(error, openai.APIStatusError):
            text = error.response.text
            try:
                return cls._from(json.loads(text), error.status_code)
            except (ValueError, RecursionError):
                return cls(error.status_code, text[:MAX_WORDS], text[:MAX_WORDS])
        return None

    @classmethod
    def in_stream(cls, document: object, *, is_error: bool) -> Self | None:
        """The refusal in a chunk; None for an ordinary chunk.

        OpenAI, vLLM, llama.cpp and OpenRouter send ``{"error": {...}}``, older vLLM ``{"object": "error", ...}``, LM Studio
        names the event ``error``; OpenRouter also ends a choice with ``finish_reason`` "error".
        """
        if not isinstance(document, dict):
            return None
        choices = document.get("choices")
        broken = isinstance(choices, list) and any(
            isinstance(choice, dict) and choice.get("finish_reason") == "error" for choice in choices
        )
        if document.get("error") or document.get("object") == "error" or is_error or broken:
            return cls._from(document, None)
        return None

    @classmethod
    def _from(cls, document: object, status: int | None) -> Self:
        words = json.dumps(document, ensure_ascii=False)[:MAX_WORDS]
        error = document.get("error", document) if isinstance(document, dict) else document
        fields: Mapping[str, Any] = error if isinstance(error, dict) else {}
        message = fields.get("message") or fields.get("detail") or error
        if not isinstance(message, str):
            message = json.dumps(message, ensure_ascii=False)
        code = fields.get("code")
        if status is None and str(code).isdigit():
            status = int(str(code))
        param = fields.get("param")
        return cls(status, words, message[:MAX_WORDS], param if isinstance(param, str) else "")

    @property
    def is_of_the_request(self) -> bool:
        """Whether another request to the same model may work: only such a refusal is about a window or a parameter."""
        return self.status not in {
            HTTPStatus.UNAUTHORIZED,
            HTTPStatus.PAYMENT_REQUIRED,
            HTTPStatus.FORBIDDEN,
            HTTPStatus.TOO_MANY_REQUESTS,
        }

    @property
    def is_temporary(self) -> bool:
        """Whether the same request may work a moment later: the server is busy or broken."""
        status = self.status or 0
        return status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def is_loading(self) -> bool:
        """Whether the model is being loaded (503 "Loading model" of llama.cpp, "... is currently loading" of Hugging Face)."""
        return self.status == HTTPStatus.SERVICE_UNAVAILABLE and bool(_LOADING.search(self.words))

    @property
    def overflow(self) -> Overflow | None:
        """Set if the prompt, or prompt and answer together, are too long for the model or its provider."""
        is_too_large = self.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or _TOO_LARGE.search(self.words)
        if not is_too_large and not (self.is_of_the_request and _WINDOW.search(self.words)):
            return None
        return Overflow(_number(_LIMIT, self.words), _number(_PROMPT, self.words))

    @property
    def most_tokens(self) -> int | None:
        """The largest ``max_tokens`` that the model takes, if that is what it refuses (OpenAI)."""
        return _number(_MOST, self.words)

    @property
    def most_stops(self) -> int | None:
        """How many stop sequences the model takes, if that is what it refuses (OpenAI: 4)."""
        return _number(_MOST_STOPS, self.words)

    @property
    def refuses_system_turns(self) -> bool:
        """Whether the model's template has no place for a system turn (Gemma 2)."""
        return self.is_of_the_request and bool(_NO_SYSTEM.search(self.words))

    def refused(self, parameters: Iterable[str]) -> str | None:
        """The first of these parameters that it refuses."""
        if not self.is_of_the_request:
            return None
        named = re.split(r"[.\[]", self.param)[0]
        sent = list(parameters)
        if named in sent:
            return named
        if not _REFUSES.search(self.words):
            return None
        found = ((_place(name, self.words), name) for name in sent)
        return min(((place, name) for place, name in found if place >= 0), default=(0, None))[1]


class RefusedMidway(Exception):
    """The provider sent an error inside its answer. Its words may repeat a key, so the exception's own text has none."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__("refused inside the answer")
        self.refusal = refusal


def _number(pattern: re.Pattern[str], words: str) -> int | None:
    found = pattern.search(words)
    return next((int(group) for group in found.groups() if group), None) if found else None


def _place(name: str, words: str) -> int:
    """Where a text names a parameter; -1 if it does not."""
    quoted = rf"[\"'`:]\s?{re.escape(name)}\b|\bparameter {re.escape(name)}\b"
    found = re.search(quoted if name in _EVERYDAY else rf"\b{re.escape(name)}\b", words)
    return found.start() if found else -1
