"""Deployments: where Restate finds the objects, as its admin servers are told.

See <https://docs.restate.dev/services/versioning>.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import aiohttp
import msgspec
from msgspec import Struct

from durable_objects.errors import RuntimeClosed

REGISTER_SECONDS: Final = 30
"""Seconds that one admin server has to find out what a new deployment serves."""


class _Service(Struct):
    name: str


class _Deployment(Struct):
    id: str
    services: list[_Service]


class _Deployments(Struct):
    deployments: list[_Deployment]


class _Refused(Exception):
    """An admin server does not do what it is asked for."""


_decode = msgspec.json.Decoder(_Deployments).decode


async def register(admin_urls: Sequence[str], own_uri: str, *, force: bool = False) -> None:
    """Tell Restate that objects are served at ``own_uri``, which it must reach.

    A new URI is a new deployment: it gets all new calls, and those that are under way end at the old one. ``force`` takes
    the place of what was served at the same URI. One admin server suffices; each is asked in turn.

    Raises ``RuntimeClosed`` when none of them takes it.
    """
    await _ask(admin_urls, own_uri, lambda admin: admin.create(own_uri, force=force))


async def take_over(admin_urls: Sequence[str], own_uri: str, prefix: str) -> None:
    """As ``register``, in place of all deployments whose services begin with ``prefix``, which must have ended.

    It gets the calls too that have begun there, which would wait for ever otherwise.
    """

    async def replace(admin: "_Admin") -> None:
        old = [one for one in await admin.deployments() if any(at.name.startswith(f"{prefix}.") for at in one.services)]
        for deployment in old:
            await admin.move(deployment.id, own_uri)
        if not old:
            await admin.create(own_uri, force=True)

    await _ask(admin_urls, own_uri, replace)


async def _ask(admin_urls: Sequence[str], own_uri: str, work: Callable[["_Admin"], Awaitable[None]]) -> None:
    why: object = "no admin server is named"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REGISTER_SECONDS)) as session:
        for url in admin_urls:
            try:
                await work(_Admin(session, url))
            except (TimeoutError, aiohttp.ClientError, msgspec.DecodeError, _Refused) as error:
                why = f"{url}: {str(error) or repr(error)}"
            else:
                return
    raise RuntimeClosed(f"no admin server of the cluster takes the objects at {own_uri}: {why}")


class _Admin:
    """One admin server."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = f"{url.rstrip('/')}/deployments"

    async def create(self, uri: str, *, force: bool) -> None:
        """One more deployment, or what is served now at a known one."""
        await self._request("POST", "", {"uri": uri, "force": force})

    async def deployments(self) -> list[_Deployment]:
        """All of them."""
        return _decode(await self._request("GET", "")).deployments

    async def move(self, deployment: str, uri: str) -> None:
        """A deployment is at another URI now, with whatever is served there."""
        await self._request("PATCH", f"/{deployment}", {"uri": uri, "overwrite": True})

    async def _request(self, method: str, path: str, body: Any = None) -> bytes:  # noqa: ANN401 - JSON
        async with self._session.request(method, f"{self._url}{path}", json=body) as answer:
            content = await answer.read()
            if not answer.ok:
                raise _Refused(f"{answer.status}: {content.decode(errors='replace')}")
            return content
