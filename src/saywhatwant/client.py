"""A client of the HTTP interface, for the bot and the commands."""

from collections.abc import Mapping
from types import TracebackType
from typing import Annotated, Any, Self, TypeVar

import httpx
import msgspec
import stamina
from msgspec import Meta, Struct

from saywhatwant import schemas
from saywhatwant.addresses import is_loopback
from saywhatwant.errors import ExpectedError
from saywhatwant.history import Step
from saywhatwant.history.points import Points
from saywhatwant.message import Message
from saywhatwant.moderation import schemas as moderation
from saywhatwant.moderation.rules import Ban, Filter
from saywhatwant.overview import DecodedStory

T = TypeVar("T")

MAX_RETRY_AFTER_SECONDS = 5.0
"""The longest pause that a server or proxy may ask for."""
MAX_IDLE_CONNECTIONS = 20
"""Connections kept open between calls."""
ERASE_TIMEOUT = httpx.Timeout(600, connect=5)
UNAUTHORIZED = 401
LATER = {408, 425, 429}
"""Statuses below 500 after which the same call may succeed."""


class ServerRefused(ExpectedError):
    """The server refuses this call; a retry would be refused too."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class ServerUnavailable(ExpectedError):
    """The server cannot be reached or cannot handle the call now, or a proxy answered instead.

    ``retry_after`` is the requested pause in seconds, at most ``MAX_RETRY_AFTER_SECONDS``; 0 without one.
    """

    def __init__(self, what: str, retry_after: float = 0.0) -> None:
        super().__init__(what)
        self.retry_after = retry_after


class ClaimedTalk(Struct, frozen=True):
    """``schemas.Talk`` with its messages decoded."""

    turns: list[Message]
    context: list[str] | None = None


class ClaimedNext(Struct, frozen=True):
    """``schemas.ClaimNextResponse`` with its messages decoded."""

    messages: list[Message]
    talks: dict[str, ClaimedTalk] = {}
    """By the id of each message; empty unless the claim asks for ``context``."""
    conflicts: list[schemas.Conflict] = []


class Moderated(Struct, frozen=True):
    """``moderation.ModerationResponse`` or ``EraseResponse`` with its message decoded."""

    message: Message
    left: str | None = None


class HiddenText(Struct, frozen=True, rename="camel"):
    """``moderation.HiddenMessage`` with its message decoded."""

    message: Message
    text: str
    username: str
    reason: str
    hidden_at: int


class Reported(Struct, frozen=True, rename="camel"):
    """``moderation.ReportSummary`` with its message decoded."""

    message_id: str
    last_at: int
    count: int
    reasons: list[str]
    message: Message | None


class ModerationState(Struct, frozen=True, rename="camel"):
    """``moderation.ModerationState`` with its messages decoded."""

    bans: list[Ban]
    filters: list[Filter]
    slow_seconds: int
    review: list[moderation.HeldSummary]
    review_count: int
    reports: list[Reported]
    report_count: int


class _Wall(Struct, frozen=True, rename="camel"):
    max_text: int


class _Problem(Struct, frozen=True):
    """A problem document of this server; a proxy may send others."""

    type: Annotated[str, Meta(pattern="^urn:saywhatwant:problem:")]
    detail: str


class WallClient:
    """Calls one server. An asynchronous context manager.

    Idempotent calls are retried for ``patience_seconds`` while the server cannot be reached or fails. Every method raises
    ``ServerRefused`` or, when retries did not help, ``ServerUnavailable``. A server on this machine (``is_here``, or a loopback
    address) is called without a proxy. ``transport`` carries the requests in place of a network.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        patience_seconds: float = 30.0,
        is_here: bool = False,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.headers: Mapping[str, str] = headers
        """Those of every call."""
        self.has_network = transport is None
        """Whether its calls go over a network, so that WebSockets can too."""
        self.url = url.rstrip("/")
        self.is_direct = is_here or is_loopback(httpx.URL(self.url).host)
        """Whether it goes through no proxy: one named in the environment is for other machines."""
        self._patience_seconds = patience_seconds
        self._http = httpx.AsyncClient(
            base_url=self.url,
            headers=headers,
            timeout=httpx.Timeout(10, connect=5),
            # Long polls occupy connections; completions must not queue behind them.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=MAX_IDLE_CONNECTIONS),
            trust_env=not self.is_direct,
            transport=transport,
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

    async def post(self, post: schemas.PostRequest, key: str | None = None) -> schemas.PostResponse:
        """Post a message; ``key``, or an id in ``post``, makes retries safe (P7)."""
        headers = None if key is None else {"Idempotency-Key": key}
        return await self._call("POST", "/api/comments", schemas.PostResponse, body=post, headers=headers)

    async def read(
        self,
        since: int = 0,
        limit: int | None = None,
        order: str = "asc",
        *,
        before: int | None = None,
        conversation: str | None = None,
    ) -> list[Message]:
        """Messages with a timestamp above ``since`` and below ``before``, in milliseconds; it may be fewer than ``limit``."""
        given = {"since": since, "before": before, "order": order, "limit": limit, "conversation": conversation}
        query = {name: value for name, value in given.items() if value is not None}
        return await self._call("GET", "/api/comments", list[Message], query=query)

    async def max_text(self) -> int:
        """The characters that a text may have on this wall."""
        return (await self._call("GET", "/api/entities", _Wall)).max_text

    async def stats(self) -> schemas.Stats:
        """Figures of the queue."""
        return await self._call("GET", "/api/stats", schemas.Stats)

    async def listing(self, state: schemas.ListState, limit: int) -> list[schemas.ListedMessage]:
        """Messages by state: pending, waiting, held or failed, with the details of their failures."""
        query = {"state": state, "limit": limit}
        return await self._call("GET", "/api/queue/messages", list[schemas.ListedMessage], query=query)

    async def story(self, message_id: str) -> DecodedStory:
        """All that is known of one message."""
        return await self._call("GET", "/api/ops/message", DecodedStory, query={"messageId": message_id})

    async def bots(self) -> list[schemas.BotSummary]:
        """The bots that the server has seen within the last hour."""
        return await self._call("GET", "/api/queue/bots", list[schemas.BotSummary])

    async def history(self, step: Step, limit: int, since: int | None = None) -> Points:
        """The figures of minutes or hours: those that begin after ``since`` (milliseconds since 1970), or the latest."""
        query = {"step": step, "limit": limit} | ({} if since is None else {"since": since})
        return await self._call("GET", "/api/ops/history", Points, query=query)

    async def claim_next(self, claim: schemas.ClaimRequest) -> ClaimedNext:
        """Claim, waiting up to ``claim.wait`` seconds. Not retried: a lost answer may have claimed something."""
        limit = httpx.Timeout(claim.wait + 10, connect=5)
        return await self._once("POST", "/api/queue/claim", ClaimedNext, body=claim, limit=limit)

    async def complete(self, complete: schemas.CompleteRequest) -> schemas.CompleteResponse:
        """Finish a message. A repeated call gets the first answer again."""
        return await self._call("POST", "/api/queue/complete", schemas.CompleteResponse, body=complete)

    async def extend(self, extend: schemas.ExtendRequest) -> schemas.ExtendResponse:
        """Extend the lease (heartbeat)."""
        return await self._call("POST", "/api/queue/extend", schemas.ExtendResponse, body=extend)

    async def progress(self, progress: schemas.ProgressRequest) -> schemas.Ok:
        """Show that a model wakes up or thinks, or a reply being written. Not retried: the next call has more of it."""
        return await self._once("POST", "/api/queue/progress", schemas.Ok, body=progress)

    async def fail(self, fail: schemas.FailRequest) -> schemas.FailResponse:
        """Give a message back after a failure, or fail it for good."""
        return await self._call("POST", "/api/queue/fail", schemas.FailResponse, body=fail)

    async def release(self, release: schemas.ReleaseRequest) -> schemas.FailResponse:
        """Give a message back unanswered: pending at once, and the attempt does not count."""
        return await self._call("POST", "/api/queue/release", schemas.FailResponse, body=release)

    async def batch(self, batch: schemas.BatchRequest) -> schemas.BatchResponse:
        """Retry, fail or discard messages. Not retried: the lost answer may have had the ids of what changed."""
        return await self._once("POST", "/api/queue/batch", schemas.BatchResponse, body=batch)

    async def hide(self, hide: moderation.HideRequest) -> Moderated:
        """Hide a message. A repeated call changes nothing more; so it is with all calls of those who moderate."""
        return await self._call("POST", "/api/moderation/hide", Moderated, body=hide)

    async def restore(self, restore: moderation.RestoreRequest) -> Moderated:
        """Show a hidden message again."""
        return await self._call("POST", "/api/moderation/restore", Moderated, body=restore)

    async def erase(self, erase: moderation.EraseRequest) -> Moderated:
        """Remove the text of a message for good; this may take as long as the server needs to rewrite its data."""
        return await self._call("POST", "/api/moderation/erase", Moderated, body=erase, limit=ERASE_TIMEOUT)

    async def hidden(self, message_id: str) -> HiddenText:
        """What a hidden message says."""
        return await self._call("GET", "/api/moderation/hidden", HiddenText, query={"messageId": message_id})

    async def moderation_state(self) -> ModerationState:
        """The rules in force, the posts that wait for review, and the reports."""
        return await self._call("GET", "/api/moderation", ModerationState)

    async def audit(self, limit: int) -> moderation.AuditPage:
        """What operators have done, newest first."""
        return await self._call("GET", "/api/moderation/audit", moderation.AuditPage, query={"limit": limit})

    async def ban(self, ban: moderation.BanRequest) -> moderation.BanResponse:
        """Take no posts from somebody for a while. A repeated call sets the end again."""
        return await self._call("POST", "/api/moderation/ban", moderation.BanResponse, body=ban)

    async def moderate(self, call: str, body: Struct) -> None:
        """One of the calls of ``/api/moderation/`` that answer nothing else than that it is done. Each may be repeated."""
        await self._call("POST", f"/api/moderation/{call}", schemas.Ok, body=body)

    async def report_circuit(self, report: schemas.CircuitReport) -> schemas.Ok:
        """Report that the circuit of a provider is open, or closed again (0 seconds)."""
        return await self._call("POST", "/api/queue/circuit", schemas.Ok, body=report)

    async def _call(self, method: str, path: str, answer: type[T], **request: Any) -> T:  # noqa: ANN401 - passed on
        patience = self._patience_seconds
        async for attempt in stamina.retry_context(self._pause, attempts=None, timeout=patience, wait_initial=0.05):
            with attempt:
                return await self._once(method, path, answer, **request)
        raise AssertionError  # stamina raises or the loop returns

    def _pause(self, error: Exception) -> bool | float:
        """The pause before the next attempt: the server's Retry-After in seconds, True for stamina's, False for no retry."""
        if not isinstance(error, ServerUnavailable):
            return False
        return min(error.retry_after, self._patience_seconds) or True

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
        except httpx.RequestError as error:
            raise ServerUnavailable(f"{self.url} cannot be reached: {str(error) or type(error).__name__}") from error
        if response.is_success:
            return self._decode(response, answer)
        problem = self._decode(response, _Problem)
        if response.is_server_error or response.status_code in LATER:
            raise ServerUnavailable(problem.detail, _retry_after(response))
        hint = "; set SWW_BOT_TOKEN to the server's" if response.status_code == UNAUTHORIZED else ""
        raise ServerRefused(response.status_code, problem.detail + hint)

    def _decode(self, response: httpx.Response, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(response.content, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            what = f"{self.url} answered {response.status_code}, but not like a Say What Want server"
            raise ServerUnavailable(what, _retry_after(response)) from error


def _retry_after(response: httpx.Response) -> float:
    """The Retry-After header in seconds; a date, which few servers send, counts as 0."""
    asked: str = response.headers.get("retry-after", "")
    return min(float(asked), MAX_RETRY_AFTER_SECONDS) if asked.isascii() and asked.isdecimal() else 0.0
