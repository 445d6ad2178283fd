"""What thinks of an answer: a model behind the OpenAI chat protocol, or a chatbot that needs none."""

import asyncio
from collections.abc import AsyncIterator
from typing import Literal, NamedTuple, Protocol

from saywhatwant.bot.personalities import answer
from saywhatwant.entities import Entity

MAX_ANSWER = 4_000
"""Characters of an answer; a model that goes on is cut off there."""
NLTK = "nltk:"


class Turn(NamedTuple):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class ModelFailed(Exception):
    """There is no answer; the text says why, for people."""


class Model(Protocol):
    """Something that answers."""

    def stream(self, entity: Entity, turns: list[Turn]) -> AsyncIterator[str]:
        """The answer, piece by piece as it comes; raises ``ModelFailed``."""


class Chatbot:
    """The personalities of NLTK: at once, and of the last turn alone."""

    async def stream(self, entity: Entity, turns: list[Turn]) -> AsyncIterator[str]:
        """See ``Model``."""
        try:
            said = await asyncio.to_thread(answer, entity.model.removeprefix(NLTK), turns[-1].content)
        except LookupError as error:
            raise ModelFailed(str(error)) from None
        yield said[:MAX_ANSWER]
