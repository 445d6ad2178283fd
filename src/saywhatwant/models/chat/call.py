"""One request to a model: finds an address that answers, retries while the model loads, and drops what it refuses."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import AsyncExitStack, aclosing
from http import HTTPStatus
from typing import Any, Protocol

import httpx2
import stamina

from saywhatwant.entities import Entity
from saywhatwant.models.chat.chunks import Reading, pieces, whole
from saywhatwant.models.chat.events import events
from saywhatwant.models.chat.failures import FAILURES, NotAnAnswer, detail, pause
from saywhatwant.models.chat.patience import Patience, Silence
from saywhatwant.models.chat.places import Place
from saywhatwant.models.chat.refusals import Refusal
from saywhatwant.models.chat.transport import Transport
from saywhatwant.models.model import Piece, Request, WindowExceeded

ATTEMPTS = 4
"""Attempts for one answer while the provider is busy (429) or broken (5xx)."""
MAX_RETRY_AFTER_SECONDS = 30.0
LOADING_POLL_SECONDS = 1.0
"""Between two requests to a model that reports that it is being loaded."""
LEAST_TOKENS = 64
"""An answer is not cut shorter than this to fit the window; the prompt is."""
MAX_BODY_BYTES = 1024 * 1024
"""Of an answer that is not streamed."""
_OF_THE_REQUEST = {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}


class Route(Protocol):
    """Where one question may go."""

    @property
    def attempts(self) -> int:
        """Attempts for one answer, at all places together."""

    def next(self, failed: Collection[Place]) -> Place:
        """The place to ask next; ``failed`` are those that have failed for this question."""

    def has_another(self, failed: Collection[Place]) -> bool:
        """Whether a healthy place is left that has not failed for this question."""

    def patience(self, place: Place) -> Patience:
        """The time limits of an answer from this place."""


class Call:
    """One question to an entity's model."""

    def __init__(self, transport: Transport, route: Route, entity: Entity, request: Request) -> None:
        self._transport = transport
        self._route = route
        self._entity = entity
        self._request = request
        self._patience: Patience | None = None
        self.place: Place | None = None
        """The place that was asked last."""
        self.failed: dict[Place, Exception] = {}
        """The places that failed, with the last error of each."""

    @property
    def is_waking(self) -> bool:
        """Whether the model may be loading at this moment."""
        return self._patience is not None and self._patience.is_waking

    async def pieces(self) -> AsyncGenerator[Piece]:
        """The pieces of the answer; raises ``WindowExceeded``, and one of ``FAILURES`` for any other reason."""
        async with AsyncExitStack() as stack:
            place, first, rest = await self._begin(stack)
            try:
                yield first
                async for piece in rest:
                    yield piece
            except FAILURES as error:
                self._note(place, error)
                raise

    async def _begin(self, stack: AsyncExitStack) -> tuple[Place, Piece, AsyncIterator[Piece]]:
        """The place that answers, and its first piece; ``stack`` closes what was opened."""
        attempts = stamina.retry_context(self._pause, attempts=self._route.attempts, timeout=None, wait_initial=0.2)
        async for attempt in attempts:
            with attempt:
                place = self._route.next(self.failed)
                async with AsyncExitStack() as turn:
                    await turn.enter_async_context(place.circuit.turn())
                    if place is not self.place:
                        self.place, self._patience = place, self._route.patience(place)
                    place.calls += 1
                    turn.callback(_ends, place)
                    try:
                        first, rest = await self._ask(place, turn)
                    except FAILURES as error:
                        self._note(place, error)
                        raise
                    self.failed.pop(place, None)
                    stack.push_async_exit(turn.pop_all())
                return place, first, rest
        raise AssertionError  # stamina raises, or the loop returns

    async def _ask(self, place: Place, turn: AsyncExitStack) -> tuple[Piece, AsyncIterator[Piece]]:
        """Ask until it answers: again while it loads, without parameters that it refuses, or for a shorter answer."""
        learnt = place.learnt
        tokens, is_shorter = self._request.max_tokens or self._entity.max_tokens, False
        while True:
            body = learnt.body(self._entity, self._request, tokens, progress=place.reports_progress)
            try:
                answer = await self._post(place, body, turn)
            except FAILURES as error:
                refusal = Refusal.of(error)
                if refusal is None:
                    raise
                if refusal.is_loading and self._must_wait_for(place) and self._limits.loads():
                    await asyncio.sleep(LOADING_POLL_SECONDS)
                elif overflow := refusal.overflow:
                    place.window = overflow.limit or place.window
                    room = overflow.limit - overflow.prompt if overflow.limit and overflow.prompt else 0
                    if is_shorter or not min(tokens, LEAST_TOKENS) <= room < tokens:
                        words = detail(self._entity, error)
                        raise WindowExceeded(overflow.limit, overflow.prompt, f"{place}: {words}") from None
                    tokens, is_shorter = room, True
                elif better := learnt.after(refusal, body):
                    learnt = better
                else:
                    raise
            else:
                place.learnt = learnt
                return answer

    def _must_wait_for(self, place: Place) -> bool:
        """Whether no other place can answer while this one is loading its model."""
        return not self._route.has_another({*self.failed, place})

    async def _post(self, place: Place, body: dict[str, Any], turn: AsyncExitStack) -> tuple[Piece, AsyncIterator[Piece]]:
        response = await self._limits.wait(self._transport.post(self._entity, place, body))
        turn.push_async_callback(response.aclose)
        answer = await turn.enter_async_context(aclosing(self._read(response)))
        first = await anext(answer)
        self._limits.begins()
        place.answered()
        return first, answer

    async def _read(self, response: httpx2.Response) -> AsyncGenerator[Piece]:
        content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type == "text/html":
            raise NotAnAnswer("answered with text/html instead of a stream of events")
        if content_type == "application/json":
            body = b""
            async for chunk in self._chunks(response):
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise NotAnAnswer("answered with something that cannot be read")
            for piece in whole(body.decode(errors="replace")):
                if not isinstance(piece, Reading):
                    yield piece
            return
        async with aclosing(pieces(events(self._chunks(response), response.request))) as answer:
            async for piece in answer:
                if isinstance(piece, Reading):
                    self._limits.reads()
                else:
                    yield piece

    async def _chunks(self, response: httpx2.Response) -> AsyncIterator[bytes]:
        """The bytes of the answer, each waited for as long as the limits allow; a keep-alive is a sign of life."""
        chunks = response.aiter_bytes()
        while chunk := await self._limits.wait(anext(chunks, b"")):
            yield chunk

    @property
    def _limits(self) -> Patience:
        assert self._patience is not None  # noqa: S101 - set before anything is asked
        return self._patience

    def _note(self, place: Place, error: Exception) -> None:
        self.failed[place] = error
        if isinstance(error, Silence):
            place.fell_silent()

    def _pause(self, error: Exception) -> bool | float:
        """The pause before the next attempt; False for none."""
        if not isinstance(error, FAILURES):
            return False
        refusal = Refusal.of(error)
        if self._route.has_another(self.failed) and not (refusal and refusal.status in _OF_THE_REQUEST):
            return 0.0
        if refusal and refusal.is_loading:  # it had all the time that it may have
            return False
        seconds = pause(error, MAX_RETRY_AFTER_SECONDS)
        return seconds if self._limits.seconds_left > float(seconds) else False


def _ends(place: Place) -> None:
    place.calls -= 1
