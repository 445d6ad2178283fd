"""HTTP clients of providers: one for each address and key."""

from typing import Any, cast
from urllib.parse import urlsplit

import httpx2
import openai
from openai.types.chat import ChatCompletionMessageParam

from saywhatwant.addresses import is_loopback
from saywhatwant.entities import Entity
from saywhatwant.models.chat.api_key import ApiKey, key_of
from saywhatwant.models.chat.places import Place
from saywhatwant.models.model import ModelFailed

CONNECT_SECONDS = 5.0


class Transport:
    """Requests to providers.

    The openai package makes requests, headers and errors. Its streams are not used (see ``events``), its retries and time
    limits are off: a retry may go to another address, and the limit on silence depends on what the model is doing.
    """

    def __init__(self) -> None:
        self._clients: dict[tuple[str | None, str], openai.AsyncOpenAI] = {}

    def client(self, entity: Entity, place: Place) -> openai.AsyncOpenAI:
        """The client for this place with the entity's key; raises ``ModelFailed`` when it cannot be made."""
        key = key_of(entity)
        name = (place.base_url, key.text)
        if not key.fits_a_header:
            raise ModelFailed("the model's key does not fit a header; see api_key_env")
        if name not in self._clients:
            try:
                self._clients[name] = self._new_client(place.base_url, key)
            except (openai.OpenAIError, httpx2.InvalidURL, ImportError, ValueError):
                reason = "the model cannot be called: the bot's environment has a wrong value (a proxy, OPENAI_BASE_URL)"
                raise ModelFailed(reason, f"{place}: {reason}") from None
        return self._clients[name]

    async def post(self, entity: Entity, place: Place, body: dict[str, Any]) -> httpx2.Response:
        """The response to a chat completion, not read yet; close it. Raises ``openai.APIError``."""
        rest = {key: value for key, value in body.items() if key not in {"model", "messages", "stream"}}
        stream = await self.client(entity, place).chat.completions.create(
            model=body["model"],
            messages=cast("list[ChatCompletionMessageParam]", body["messages"]),
            stream=True,
            extra_body=rest,
        )
        return stream.response

    async def get(self, entity: Entity, place: Place, path: str) -> object:
        """The JSON at ``path`` of the address (or at the root of its host, if it starts with two slashes).

        Raises ``openai.APIError``, ``httpx2.HTTPError`` and ``ValueError``.
        """
        client = self.client(entity, place)
        if path.startswith("//"):
            path = str(client.base_url.join(path.removeprefix("/")))
        response = await client.get(path, cast_to=httpx2.Response)
        return response.json()

    async def aclose(self) -> None:
        """Close the connections to all providers."""
        for client in self._clients.values():
            await client.close()
        self._clients.clear()

    @staticmethod
    def _new_client(base_url: str | None, key: ApiKey) -> openai.AsyncOpenAI:
        timeout = openai.Timeout(None, connect=CONNECT_SECONDS)
        here = base_url is not None and is_loopback(urlsplit(base_url).hostname or "")
        return openai.AsyncOpenAI(
            base_url=base_url,
            api_key=key.text or "none",
            max_retries=0,
            timeout=timeout,
            # A proxy named in the environment is for other machines.
            http_client=openai.DefaultAsyncHttpxClient(timeout=timeout, trust_env=not here),
        )
