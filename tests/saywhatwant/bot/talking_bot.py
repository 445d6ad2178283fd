"""Visitors who talk with an entity, and a model that records what it is asked."""

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from bot_harness import FakeModel, Harness

from saywhatwant.entities import Entities, Entity
from saywhatwant.message import Message
from saywhatwant.models import Answer, Finished, Piece, Request
from saywhatwant.schemas import PostParams, PostRequest

ENTITY = """
[zen]
display_name = "Zen"
color = "070140180"
model = "fake"
"""


class Recorder(FakeModel):
    """Answers with ``pieces`` of the request; by default with a word."""

    def __init__(self, pieces: Callable[[Request], Sequence[Piece]] | None = None) -> None:
        super().__init__()
        self.requests: list[Request] = []
        self._pieces = pieces or (lambda _: [Answer("I see."), Finished("stop")])

    @property
    def contents(self) -> list[list[str]]:
        """What each request's turns say."""
        return [[turn.content for turn in request.turns] for request in self.requests]

    async def stream(self, entity: Entity, request: Request) -> AsyncIterator[Piece]:  # noqa: ARG002 - for any entity
        self.requests.append(request)
        for piece in self._pieces(request):
            yield piece


def answering(*pieces: str, at_limit: bool = False) -> Recorder:
    """A model that writes these pieces."""
    return Recorder(lambda _: [*map(Answer, pieces), Finished("length" if at_limit else "stop")])


def entities(directory: Path, *more: str) -> Entities:
    """The file with one entity, which has these lines too."""
    file = directory / "entities.toml"
    file.write_text("\n".join([ENTITY, *more]))
    return Entities(file)


async def ask(harness: Harness, text: str, username: str = "Ada", **more: Any) -> Message:
    """Post as this visitor and wait for the answer; returns it."""
    return (await answers_to(harness, await say(harness, text, username, **more)))[0]


async def say(
    harness: Harness,
    text: str,
    username: str = "Ada",
    *,
    context: list[str] | None = None,
    entity: str | None = "zen",
    **params: Any,
) -> str:
    """Post as this visitor; returns the id."""
    post = PostRequest(
        text=text, username=username, color="169080199", context=context, bot_params=PostParams(entity=entity, **params)
    )
    return (await harness.direct.post(post, uuid4().hex)).id


async def answers_to(harness: Harness, message_id: str) -> list[Message]:
    """The replies to a message, once it is complete."""
    await harness.until_complete(message_id)
    return await harness.replies(message_id)
