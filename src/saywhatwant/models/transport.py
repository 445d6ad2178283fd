"""Requests to providers: one HTTP client for each address and key, with retries."""

from typing import cast
from urllib.parse import urlsplit, urlunsplit

import httpx2
import openai
import stamina
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from saywhatwant.addresses import is_loopback
from saywhatwant.entities import Entity
from saywhatwant.models.api_key import ApiKey, key_of
from saywhatwant.models.model import ModelFailed, Turn
from saywhatwant.models.reasons import cannot_be_sent

CONNECT_SECONDS = 5.0
ATTEMPTS = 4
"""Attempts for one answer while the provider is busy (429) or broken (5xx)."""
MAX_RETRY_AFTER_SECONDS = 30.0


class Transport:
    """Requests to providers, each with a time limit on silence.

    By default the library waits ten minutes and tries three times, which outlasts any lease. So it gets one attempt, and this
    class retries.
    """

    def __init__(self, idle_seconds: float) -> None:
        self._idle_seconds = idle_seconds
        self._clients: dict[tuple[str | None, str], openai.AsyncOpenAI] = {}

    def client(self, entity: Entity) -> openai.AsyncOpenAI:
        """The client for the entity's provider and key; raises ``ModelFailed`` when it cannot be made."""
        key = key_of(entity)
        base_url = next(iter(entity.base_urls), None)
        place = (base_url, key.text)
        if not key.fits_a_header:
            raise ModelFailed("the model's key does not fit a header; see api_key_env")
        if place not in self._clients:
            try:
                self._clients[place] = self._new_client(base_url, key)
            except (openai.OpenAIError, httpx2.InvalidURL, ImportError, ValueError):
                reason = "the model cannot be called: the bot's environment has a wrong value (a proxy, OPENAI_BASE_URL)"
                raise ModelFailed(reason, f"{entity.model} at {provider_of(entity)}: {reason}") from None
        return self._clients[place]

    async def ask(
        self, entity: Entity, turns: list[Turn], refusals: list[openai.APIError]
    ) -> openai.AsyncStream[ChatCompletionChunk]:
        """The stream of an answer; each failed attempt is added to ``refusals``. Raises ``openai.APIError``."""
        completions = self.client(entity).chat.completions
        messages = cast("list[ChatCompletionMessageParam]", [turn._asdict() for turn in turns])
        async for attempt in stamina.retry_context(_pause, attempts=ATTEMPTS, timeout=None, wait_initial=0.2):
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

    async def aclose(self) -> None:
        """Close the connections to all providers."""
        for client in self._clients.values():
            await client.close()
        self._clients.clear()

    def _new_client(self, base_url: str | None, key: ApiKey) -> openai.AsyncOpenAI:
        timeout = openai.Timeout(self._idle_seconds, connect=CONNECT_SECONDS)
        here = base_url is not None and is_loopback(urlsplit(base_url).hostname or "")
        return openai.AsyncOpenAI(
            base_url=base_url,
            api_key=key.text or "none",
            max_retries=0,
            timeout=timeout,
            # A proxy named in the environment is for other machines.
            http_client=openai.DefaultAsyncHttpxClient(timeout=timeout, trust_env=not here),
        )


def provider_of(entity: Entity) -> str:
    """The provider's address without user name and password; only for the log and the operator."""
    if not entity.base_urls:
        return "OpenAI"
    parts = urlsplit(entity.base_urls[0])
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _pause(error: Exception) -> bool | float:
    """The pause before the next attempt: the provider's Retry-After in seconds, True for stamina's own, False for no retry."""
    if cannot_be_sent(error):
        return False
    if isinstance(error, openai.APIConnectionError) and not isinstance(error, openai.APITimeoutError):
        # A provider may close a kept-alive connection just as it is reused.
        return True
    if not isinstance(error, openai.RateLimitError | openai.InternalServerError):
        return False
    try:
        return min(float(error.response.headers["retry-after"]), MAX_RETRY_AFTER_SECONDS)
    except (KeyError, ValueError):
        return True
