"""Writes an answer: makes the prompt, asks the model, and shows what is certain of its answer."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import NamedTuple, cast

import structlog

from saywhatwant.entities import Entity
from saywhatwant.message import Message, drop_controls
from saywhatwant.models import (
    MAX_ANSWER,
    Answer,
    Finished,
    Model,
    ModelFailed,
    Piece,
    Reasoning,
    Request,
    Waking,
    WindowExceeded,
)
from saywhatwant.models.draft import Draft
from saywhatwant.models.draft.cut import Cut
from saywhatwant.models.draft.reasoning import has_tag
from saywhatwant.models.model import EMPTY, STILL_THINKING
from saywhatwant.models.prompt import Memory, build, tokens_of_turns
from saywhatwant.models.prompt.room import Attempt, Window
from saywhatwant.schemas import ProgressState

MAX_PROMPTS = 8
"""Prompts, each smaller than the last one, that are tried for one answer."""
MAX_LOGGED = 4_000
"""Characters of the reasoning that are logged."""
MAX_QUOTED = 200
"""Characters of what a model wrote instead of an answer, for operators."""
LONG_TALK = 50_000
"""Characters of a talk whose prompt is made beside the event loop, which may be the server's too."""

Show = Callable[[str, ProgressState], None]
"""Shows the answer as written so far, and what the model does."""


class Written(NamedTuple):
    """An answer, and in how many pieces it came."""

    text: str
    pieces: int


class Work(NamedTuple):
    """One message to answer."""

    entity: Entity
    message: Message
    username: str
    """The name that it is answered under."""
    memory: Memory
    max_chars: int = MAX_ANSWER
    """Characters that the answer may have."""

    def names(self) -> tuple[set[str], set[str]]:
        """The names that the entity has in the prompt, and those of the others."""
        own, others = {self.username, self.entity.display_name}, {self.message.username}
        for message in self.memory.messages:
            # In a talk all answers are its own, also those under another alias.
            is_own = message.message_type == "AI" and self.entity.reads == "talk"
            (own if is_own else others).add(message.username)
        return own, others - own


class _Known:
    """What earlier answers have shown of a model."""

    def __init__(self) -> None:
        self.window = Window()
        self.begins_inside: bool | None = None
        """Whether its text begins inside its reasoning, without a tag; None before its first answer."""

    def learn(self, draft: Draft, request: Request) -> None:
        """Learn from a good answer."""
        self.window.worked()
        # A tag that a visitor asked for must not change the answers to others.
        if not any(has_tag(turn.content) for turn in request.turns if turn.role == "user"):
            self.begins_inside = draft.begins_inside


class Writer:
    """Writes answers with one model for each entity, and learns from each what the next ones need."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._known: dict[tuple[str, tuple[str, ...]], _Known] = {}
        self._shortened: set[str] = set()
        """The system prompts that are known to be too long."""
        self._log = structlog.get_logger()

    async def write(self, work: Work, show: Show) -> Written:
        """The answer. A prompt that does not fit the model's window is tried again with less. Raises ``ModelFailed``."""
        known = self._known_of(work.entity)
        attempt = await self._attempt(work.entity, known)
        prompts = 1
        while True:
            request = await self._request(work, attempt)
            try:
                return await self._stream(work, request, known, show)
            except WindowExceeded as refusal:
                estimate = tokens_of_turns(request.turns)
                self._log.info("prompt does not fit", message=work.message.id, estimate=estimate, error=refusal.detail)
                if prompts == MAX_PROMPTS:
                    raise
                prompts += 1
                attempt.refused(refusal, estimate)

    async def request(self, work: Work) -> Request:
        """The request that ``write`` begins with."""
        return await self._request(work, await self._attempt(work.entity, self._known_of(work.entity)))

    def _known_of(self, entity: Entity) -> _Known:
        return self._known.setdefault((entity.model, entity.base_urls), _Known())

    async def _attempt(self, entity: Entity, known: _Known) -> Attempt:
        return known.window.attempt(await self._model.window(entity), entity.max_tokens)

    async def _request(self, work: Work, attempt: Attempt) -> Request:
        make = partial(build, work.entity, work.message, work.memory, own=(work.username,), room=attempt.room)
        is_long = sum(len(message.text) for message in work.memory.messages) > LONG_TALK
        turns = await asyncio.to_thread(make) if is_long else make()
        system = work.entity.system_prompt
        if system and turns[0].content != system and system not in self._shortened:
            self._shortened.add(system)
            self._log.warning("the system prompt does not fit the model's window and is cut", entity=work.entity.display_name)
        is_less = attempt.answer_tokens < work.entity.max_tokens
        return Request(turns, max_tokens=attempt.answer_tokens if is_less else None)

    async def _stream(self, work: Work, request: Request, known: _Known, show: Show) -> Written:
        own, others = work.names()
        draft = Draft(
            lambda: Cut(own, others, work.entity.stop),
            begins_inside=known.begins_inside or False,
            max_chars=work.max_chars,
        )
        pieces, at_limit = 0, False
        # An abandoned answer is closed at once, so that its server stops.
        stream = cast("AsyncGenerator[Piece]", self._model.stream(work.entity, request))
        async with aclosing(stream):
            async for piece in stream:
                match piece:
                    case Waking():
                        show("", "waking")
                        continue
                    case Finished():
                        at_limit = piece.reason == "length"
                        continue
                    case Reasoning():
                        draft.think(drop_controls(piece.text))
                    case Answer():
                        draft.write(drop_controls(piece.text))
                pieces += 1
                if draft.state is not None:
                    show(draft.text, draft.state)
                if draft.is_over and known.begins_inside is False:
                    break  # else a closing tag may still show that all of this was reasoning
        text = draft.finish(at_limit=at_limit)
        if draft.reasoning:
            self._log.debug("reasoning", message=work.message.id, text=draft.reasoning[:MAX_LOGGED])
        if not text:
            reason = _why_empty(draft, at_limit=at_limit)
            raise ModelFailed(reason, f"{work.entity.model}: {reason}; it wrote {draft.written[:MAX_QUOTED]!r}")
        known.learn(draft, request)
        return Written(text, pieces)


def _why_empty(draft: Draft, *, at_limit: bool) -> str:
    if draft.is_over:
        return "the model wrote as the visitor instead of answering"
    if draft.reasoning and at_limit:
        return STILL_THINKING
    return EMPTY
