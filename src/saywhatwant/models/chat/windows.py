"""How many tokens a model's window has, as its server reports it."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2
import openai

from saywhatwant.entities import Entity
from saywhatwant.models.chat.places import Place
from saywhatwant.models.chat.transport import Transport
from saywhatwant.models.model import ModelFailed

ASK_SECONDS = 3.0
"""The longest that a question may wait for this."""
ASK_AGAIN_SECONDS = 600.0
"""A server may have been restarted with another window."""
ASK_UNKNOWN_AGAIN_SECONDS = 60.0
"""Ollama and LM Studio tell it only while the model is loaded."""

PATHS = ("/models", "//props", "//api/ps", "//api/v0/models")
"""Asked in this order: everybody's list of models; then llama.cpp, Ollama and LM Studio in their own ways."""
_KEYS = (
    "n_ctx",  # llama.cpp, per slot
    "max_model_len",  # vLLM, SGLang
    "loaded_context_length",  # LM Studio, before its max_context_length
    "context_length",  # OpenRouter, Together, and Ollama's list of loaded models
    "context_window",  # Groq
    "max_context_length",  # Mistral
)


class Windows:
    """Asks servers for the window of a model, and remembers the answer in its place."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._ask_after: dict[Place, float] = {}
        self._asking: dict[Place, asyncio.Lock] = {}

    async def learn(self, entity: Entity, place: Place) -> None:
        """Set ``place.window`` if the server reports it. Takes ``ASK_SECONDS`` at most, and does nothing most of the time."""
        async with self._asking.setdefault(place, asyncio.Lock()):
            if time.monotonic() < self._ask_after.get(place, 0) or not place.circuit.is_healthy:
                return
            found = await self._ask(entity, place)
            place.window = found or place.window
            pause = ASK_AGAIN_SECONDS if found else ASK_UNKNOWN_AGAIN_SECONDS
            self._ask_after[place] = time.monotonic() + pause

    async def _ask(self, entity: Entity, place: Place) -> int | None:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                # A public provider has only the first of them.
                for path in PATHS if place.base_url else PATHS[:1]:
                    try:
                        document = await self._transport.get(entity, place, path)
                        place.reports_progress |= is_llama_cpp(document)
                        found = window_in(document, place.model)
                    except (openai.APIStatusError, ValueError, RecursionError):
                        continue
                    if found:
                        return found
        except (openai.APIError, httpx2.HTTPError, TimeoutError, ModelFailed):
            pass
        return None


def window_in(document: object, model: str) -> int | None:
    """The window that a server's document names for a model.

    ``document`` is the answer of ``/v1/models`` (OpenAI's format with additions), ``/props`` (llama.cpp), ``/api/ps`` (Ollama)
    or ``/api/v0/models`` (LM Studio). Training lengths (``n_ctx_train``) do not count: the server may have been given less.
    """
    if not isinstance(document, dict):
        return None
    settings = document.get("default_generation_settings")
    if isinstance(settings, dict):
        return _number(settings)
    entries = [*_entries(document, "data")] or [*_entries(document, "models")]
    for entry in entries:
        if {model, f"{model}:latest"} & {entry.get("id"), entry.get("name"), entry.get("model")}:  # Ollama adds the tag
            return _number(entry)
    # A server with one model answers with it whatever name it is called by.
    return _number(entries[0]) if len(entries) == 1 else None


def is_llama_cpp(document: object) -> bool:
    """Whether a list of models is llama.cpp's."""
    return isinstance(document, dict) and any(entry.get("owned_by") == "llamacpp" for entry in _entries(document, "data"))


def _entries(document: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
    listed = document.get(key)
    for entry in listed if isinstance(listed, list) else ():
        if isinstance(entry, dict):
            yield entry


def _number(entry: Mapping[str, Any]) -> int | None:
    if entry.get("state") == "not-loaded":  # LM Studio; it may load the model with less than its maximum
        return None
    meta = entry.get("meta")
    for key in _KEYS:
        for place in (entry, meta if isinstance(meta, dict) else {}):
            value = place.get(key)
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                return value
    return None
