"""A client of the HTTP interface, for the bot and the commands."""

from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import msgspec
import stamina
from msgspec import UNSET, Struct, UnsetType

from saywhatwant import calls
from saywhatwant.addresses import is_loopback
from saywhatwant.message import Message

T = TypeVar("T")


class ServerRefused(Exception):
    """The server answered with a problem."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class ServerUnavailable(Exception):
    """The server can not be reached, or can not do this now (any 5xx, also of a proxy before it)."""


class ClaimedNext(Struct, frozen=True):
    """``calls.ClaimedNext`` as it is read."""

    messages: list[Message]


class _Problem(Struct, frozen=True):
    detail: str
    field: str | UnsetType = UNSET


class WallClient:
    """Speaks to one server. An asynchronous context manager.

    Calls that are safe to repeat are repeated for ``patience_seconds`` while the server can not be reached or fails.
    Every method raises ``ServerRefused`` or, when trying again did not help, ``ServerUnavailable``.
    """

    def __init__(self, url: str, token: str | None = None, *, patience_seconds: float = 30.0) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.url = url.rstrip("/")
        self._patience_seconds = patience_seconds
        self._http = httpx.AsyncClient(
            base_url=self.url,
            headers=headers,
            timeout=httpx.Timeout(10, connect=5),
            # A proxy named in the environment is for the world outside.
            trust_env=not is_loopback(httpx.URL(self.url).host),
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._http.__aexit__(kind, error, traceback)

    async def post(self, post: calls.Post, key: str) -> calls.Posted:
        """Put a message on the wall; ``key`` makes trying again safe."""
        return await self._call("POST", "/api/comments", calls.Posted, body=post, headers={"Idempotency-Key": key})

    async def read(self, since: int = 0, limit: int | None = None, order: str = "asc") -> list[Message]:
        """Messages younger than ``since``."""
        query = {"since": since, "order": order} | ({} if limit is None else {"limit": limit})
        return await self._call("GET", "/api/comments", list[Message], query=query)

    async def stats(self) -> calls.Stats:
        """Figures of the queue."""
        return await self._call("GET", "/api/stats", calls.Stats)

    async def listing(self, state: str, limit: int) -> list[Message]:
        """Messages by where they stand: pending, waiting, held or failed."""
        return await self._call("GET", "/api/queue/messages", list[Message], query={"state": state, "limit": limit})

    async def claim_next(self, claim: calls.Claim) -> list[Message]:
        """Claim, waiting as long as ``claim`` says. Not tried again: an answer that got lost may have claimed something."""
        limit = httpx.Timeout(claim.wait + 10, connect=5)
        return (await self._once("POST", "/api/queue/claim", ClaimedNext, body=claim, limit=limit)).messages

    async def complete(self, complete: calls.Complete) -> calls.Completed:
        """Finish a message. Trying again is safe: the second one is refused, and the reply there once."""
        return await self._call("POST", "/api/queue/complete", calls.Completed, body=complete)

    async def extend(self, extend: calls.Extend) -> calls.Extended:
        """Give a sign of life."""
        return await self._call("POST", "/api/queue/extend", calls.Extended, body=extend)

    async def progress(self, progress: calls.Progress) -> calls.Done:
        """Show a reply being written. Not tried again: the next one says more."""
        return await self._once("POST", "/api/queue/progress", calls.Done, body=progress)

    async def fail(self, fail: calls.Fail) -> calls.Failed:
        """Give a message up."""
        return await self._call("POST", "/api/queue/fail", calls.Failed, body=fail)

    async def report_circuit(self, report: calls.CircuitReport) -> calls.Done:
        """Tell that a provider is left alone."""
        return await self._call("POST", "/api/queue/circuit", calls.Done, body=report)

    async def _call(self, method: str, path: str, answer: type[T], **request: Any) -> T:  # noqa: ANN401 - passed on
        patience = self._patience_seconds
        async for attempt in stamina.retry_context(ServerUnavailable, attempts=None, timeout=patience, wait_initial=0.05):
            with attempt:
                return await self._once(method, path, answer, **request)
        raise AssertionError  # stamina raises or the loop returns

    async def _once(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        body: Struct | None = None,
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        limit: httpx.Timeout | None = None,
    ) -> T:
        content = None if body is None else msgspec.json.encode(body)
        try:
            response = await self._http.request(
                method,
                path,
                content=content,
                params=query,
                headers=headers,
                timeout=limit or httpx.USE_CLIENT_DEFAULT,
            )
        except httpx.TransportError as error:
            raise ServerUnavailable(f"{self.url} can not be reached: {str(error) or type(error).__name__}") from error
        if response.is_success:
            return msgspec.json.decode(response.content, type=answer)
        try:
            problem = msgspec.json.decode(response.content, type=_Problem)
        except msgspec.MsgspecError:
            problem = _Problem(f"{self.url} answered {response.status_code}, and not as a wall does")
        detail = problem.detail
        if response.is_server_error:
            raise ServerUnavailable(detail)
        raise ServerRefused(response.status_code, detail)
