"""The ingress of a Restate cluster: requests over HTTP, which go on to another node when one does not answer.

See <https://docs.restate.dev/invoke/http>.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

import aiohttp
import msgspec
from aiohttp import ClientTimeout
from msgspec import Struct, field
from yarl import URL

from durable_objects.contract import ObjectId
from durable_objects.errors import DurableObjectError, ErrorRecord, ObjectFailed, OutcomeUnknown, Overloaded, RuntimeClosed
from durable_objects.restate.encoding import service_name

log = logging.getLogger("durable_objects")

_CONNECT_SECONDS: Final = 2.0
_PAUSES: Final = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Seconds before the nodes are asked again, once all have failed; the last one for every further time."""
_BUSY: Final = {404, 429}
"""The service is not registered yet, or the node takes no more at the moment: it has begun nothing."""
_REFUSED: Final = {400, 405, 411, 413, 414, 415, 431}
"""The node has begun nothing, and would refuse the same request again."""


class _Trouble(Struct):
    """What an ingress answers in place of a handler's answer."""

    why: str = field(default="", name="message")


_decode_trouble = msgspec.json.Decoder(_Trouble).decode
_decode_record = msgspec.json.Decoder(ErrorRecord).decode


class Ingress:
    """Sends requests to one node of a cluster as long as it answers, then to the next one.

    Args:
        urls: the ingress of each node, such as ``http://127.0.0.1:8080``; it begins with the first.
        prefix: what the names of the services begin with.

    Attributes:
        error: why no node has answered last, for people; None when one has.
    """

    def __init__(self, urls: Sequence[str], prefix: str) -> None:
        if not urls:
            raise ValueError("a cluster has the URL of at least one ingress")
        self._urls = [url.rstrip("/") for url in urls]
        self._prefix = prefix
        self._node = 0
        self._session: aiohttp.ClientSession | None = None
        self.error: str | None = None

    def open(self) -> None:
        """Get ready to send, in the running event loop."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=10),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept-Encoding", "Content-Type"),
        )

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def send(
        self, to: ObjectId, handler: str, body: bytes, *, deadline: float, attempt_seconds: float, key: str | None = None
    ) -> bytes:
        """The answer of one of the object's handlers.

        A request that has no answer is repeated, at the next node, so it must do no harm when it is made twice, or have a key.

        Args:
            to: the object.
            handler: the handler's name.
            body: its argument.
            deadline: until when it is tried, by the clock of the event loop.
            attempt_seconds: how long a node may take to answer.
            key: makes it one request, however often it arrives.

        Raises ``Overloaded`` when no node has taken it until the deadline, ``OutcomeUnknown`` when one may have,
        ``RuntimeClosed``, and the error that the handler has raised.
        """
        path = f"/{service_name(self._prefix, to.namespace)}/{quote(to.name, safe='')}/{handler}"
        headers = _headers(body, key)
        loop = asyncio.get_running_loop()
        usual = ClientTimeout(total=attempt_seconds, sock_connect=_CONNECT_SECONDS)
        sent = False
        failed = 0
        why = "there was no time left"
        while True:
            session = self._session
            if session is None or session.closed:
                raise RuntimeClosed("the runtime is not running")
            node = self._node
            left = deadline - loop.time()
            if left <= 0:
                raise _no_answer(handler, why, sent=sent)
            timeout = usual if left >= attempt_seconds else ClientTimeout(total=left, sock_connect=_CONNECT_SECONDS)
            try:
                async with session.post(
                    URL(self._urls[node] + path, encoded=True), data=body, headers=headers, timeout=timeout
                ) as response:
                    content = await response.read()
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                why = f"{type(error).__name__}: {error}"
            except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
                sent = True
                why = f"{type(error).__name__}: {error}"
            else:
                if response.status == 200:  # noqa: PLR2004 - HTTP's
                    if self.error is not None:
                        log.warning("%s answers again", self._urls[node])
                        self.error = None
                    return content
                why = _why(response.status, content)
                sent = sent or response.status not in _BUSY
            failed += 1
            self._go_on(node, why, all_failed=failed >= len(self._urls))
            if failed % len(self._urls) == 0:
                rounds = failed // len(self._urls) - 1
                await asyncio.sleep(min(_PAUSES[min(rounds, len(_PAUSES) - 1)], max(deadline - loop.time(), 0)))

    def _go_on(self, node: int, why: str, *, all_failed: bool) -> None:
        """Ask the next node from now on, unless another request has done so already."""
        url = self._urls[node]
        if self._node == node:
            self._node = (node + 1) % len(self._urls)
            if len(self._urls) > 1 and not all_failed:
                log.warning("%s does not answer, going on to %s: %s", url, self._urls[self._node], why)
        if all_failed:
            if self.error is None:
                log.error("no node of the cluster answers; trying again: %s: %s", url, why)
            self.error = f"{url}: {why}"


def _headers(body: bytes, key: str | None) -> dict[str, str]:
    """Those of a request; one without an argument must have no content type."""
    headers = {"content-type": "application/octet-stream"} if body else {}
    return headers if key is None else headers | {"idempotency-key": key}


def _no_answer(handler: str, why: str, *, sent: bool) -> DurableObjectError:
    if sent:
        return OutcomeUnknown(f"no answer from the cluster ({handler}), so whether the call is made is unknown: {why}")
    return Overloaded(f"no node of the cluster takes the call ({handler}): {why}")


def _why(status: int, content: bytes) -> str:
    """Why a node did not answer; raises the error that a handler has raised, or one for what no node would take."""
    try:
        why = _decode_trouble(content).why
    except msgspec.DecodeError:
        why = content[:200].decode(errors="replace")
    try:
        record = _decode_record(why)
    except msgspec.DecodeError:
        if status in _REFUSED:
            raise ObjectFailed(f"the cluster refuses the call: HTTP status {status}: {why}") from None
        return f"HTTP status {status}: {why}"
    raise DurableObjectError.from_record(record)
