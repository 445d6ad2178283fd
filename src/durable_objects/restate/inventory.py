"""Which objects a cluster holds, asked over SQL at its admin server.

See <https://docs.restate.dev/operate/introspection>.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import aiohttp
import msgspec
from aiohttp import ClientTimeout, hdrs
from msgspec import Struct

from durable_objects.errors import Overloaded
from durable_objects.restate.encoding import HEAD_KEY, namespace_of

WAIT_SECONDS: Final = 60.0
_ATTEMPT_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.2
_QUERY: Final = f"SELECT service_name, service_key FROM state WHERE key = '{HEAD_KEY}'"  # noqa: S608 - our own constant


class _Row(Struct):
    service_name: str
    service_key: str


class _Rows(Struct):
    rows: list[_Row]


_decode: Final = msgspec.json.Decoder(_Rows).decode


async def objects_of(admin_urls: Sequence[str], prefix: str) -> list[str]:
    """The ids of all objects whose services have this prefix and that were ever written, sorted.

    It asks again for a while, since a cluster has no answer while a partition goes to another node. Raises ``Overloaded`` when
    no admin server has answered then.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + WAIT_SECONDS
    async with aiohttp.ClientSession(timeout=ClientTimeout(total=_ATTEMPT_SECONDS)) as session:
        while True:
            problem: object = "no admin server is named"
            for url in admin_urls:
                try:
                    return _ids(await _ask(session, url), prefix)
                except (TimeoutError, aiohttp.ClientError) as error:
                    problem = f"{url}: {error!r}"
            if loop.time() >= deadline or not admin_urls:
                raise Overloaded(f"Restate's admin server does not say which objects there are: {problem}")
            await asyncio.sleep(_PAUSE_SECONDS)


async def _ask(session: aiohttp.ClientSession, url: str) -> bytes:
    headers = {"accept": "application/json"}
    request = session.request(hdrs.METH_POST, f"{url.rstrip('/')}/query", json={"query": _QUERY}, headers=headers)
    async with request as answer:
        body = await answer.read()
        if not answer.ok:
            raise aiohttp.ClientError(f"{answer.status}: {body[:300].decode(errors='replace')}")
        return body


def _ids(body: bytes, prefix: str) -> list[str]:
    found = ((namespace_of(prefix, row.service_name), row.service_key) for row in _decode(body).rows)
    return sorted(f"{namespace}/{name}" for namespace, name in found if namespace is not None)
