"""The long talk of the original's operators: a fact from the first of 170 turns is asked for in the last.

Meanwhile 1,800 others talk on the wall and eight more with the same entity, whose model has a window of 1,024 tokens.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from bot_harness import CLAIM, COMPLETE, PROGRESS, FakeModel, Harness, entities_file, run
from scripted_models import recalls
from scripted_server import Asked

from saywhatwant.entities import Entity
from saywhatwant.limits import MAX_CLAIM
from saywhatwant.message import Message
from saywhatwant.models import Answer, Finished, Piece, Request, WindowExceeded
from saywhatwant.schemas import ClaimRequest, CompleteRequest, PostParams, PostRequest, Reply

TURNS, OTHER_TALKS, OTHERS, BURST = 170, 1_800, 8, 30
PAUSE = 10
"""Turns between two looks at the others."""
WINDOW = 1_024
RETENTION = 200
"""The default: finished messages that are kept of the whole wall."""
TOPICS = ("the sea", "rain on a roof", "why people sing", "old trains", "bread", "the colour of snow", "bees", "sleep")

pytestmark = pytest.mark.usefixtures("no_settings")


class RecallingModel(FakeModel):
    """Knows only what is in its prompt, and refuses one of more than ``WINDOW`` tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Asked] = []
        self.refused = 0
        self._window: int | None = None

    async def window(self, entity: Entity) -> int | None:  # noqa: ARG002 - all have the same
        """Known once it has refused."""
        return self._window

    async def stream(self, entity: Entity, request: Request) -> AsyncIterator[Piece]:
        asked = Asked(entity.model, [(turn.role, turn.content) for turn in request.turns], {}, "", 0)
        if asked.tokens > WINDOW:
            self.refused += 1
            self._window = WINDOW
            raise WindowExceeded(WINDOW, asked.tokens)
        self.asked.append(asked)
        yield Answer(recalls(asked))
        yield Finished("stop")


class Visitor:
    """Somebody who talks with an entity on a simulated wall."""

    def __init__(self, harness: Harness, number: int, entity: str = "probe") -> None:
        self._harness = harness
        self._entity = entity
        self._color = f"{number // 200 % 200:03d}{number % 200:03d}100"

    async def post(self, text: str) -> int:
        """Post; returns the message's timestamp."""
        params = PostParams(entity=self._entity)
        post = PostRequest(text=text, username="Human", color=self._color, bot_params=params)
        return (await self._harness.direct.post(post, uuid4().hex)).timestamp

    async def ask(self, text: str) -> str:
        """Post, and wait for the text of the answer."""
        return await self.answer_to(await self.post(text))

    async def answer_to(self, timestamp: int) -> str:
        """Wait for the text of the answer to the message of this timestamp."""
        answers = self._harness.proxy.statuses
        seen = len(answers)
        while (params := (await self._now(timestamp)).bot_params).answered_at is None:
            assert params.status != "failed", params.error
            while len(answers) == seen:  # noqa: ASYNC110 - the bot has got no answer to a call
                await asyncio.sleep(0.001)
            seen = len(answers)
        return (await self._now(params.answered_at)).text

    async def _now(self, timestamp: int) -> Message:
        (message,) = await self._harness.direct.read(timestamp - 1, 1)
        return message


async def talk_elsewhere(harness: Harness, first: int, last: int) -> None:
    """Other visitors talk with another entity, which answers all of them."""
    for number in range(first, last):
        await Visitor(harness, number, "zen").post(f"My name is Stranger{number}.")
    while claimed := await _claim(harness):
        for message in claimed:
            reply = Reply(text="I see.", username="Zen")
            attempt = message.bot_params.attempt
            await harness.direct.complete(CompleteRequest(message.id, worker_id="zen", attempt=attempt, reply=reply))


async def _claim(harness: Harness) -> list[Message]:
    return (await harness.direct.claim_next(ClaimRequest("zen", entities=["zen"], limit=MAX_CLAIM))).messages


def test_a_fact_outlives_170_turns_and_1800_other_talks_in_a_window_of_1024_tokens(tmp_path: Path) -> None:
    model = RecallingModel()

    async def scenario(harness: Harness) -> None:
        ada, others = Visitor(harness, 0), [Visitor(harness, 1 + number) for number in range(OTHERS)]
        writes = harness.runtime.meter.writes
        assert await ada.ask("My name is Ada.") == "I see."
        first_writes = harness.runtime.meter.writes - writes
        for turn in range(1, TURNS - 1):
            await ada.ask(f"{turn}. Tell me something about {TOPICS[turn % len(TOPICS)]}, please, it is a long evening here.")
            if turn % PAUSE == 0:
                asked = [await other.post(f"My name is Other{number}.") for number, other in enumerate(others)]
                for other, posted in zip(others, asked, strict=True):
                    await other.answer_to(posted)
                await talk_elsewhere(harness, 100 + OTHER_TALKS * (turn - PAUSE) // TURNS, 100 + OTHER_TALKS * turn // TURNS)
        writes = harness.runtime.meter.writes
        assert await ada.ask("What is my name?") == "Your name is Ada."
        writes = harness.runtime.meter.writes - writes
        assert first_writes <= writes <= first_writes + 1, "the last message costs as much as the first, but for its count"
        assert [await other.ask("What is my name?") for other in others] == [f"Your name is Other{n}." for n in range(OTHERS)]
        check_the_calls(harness)
        await check_the_rows(harness)

    file = entities_file(tmp_path / "entities.toml", "probe", "zen")
    run(scenario, file, model, names=("probe",), retention=RETENTION)
    last = next(asked for asked in reversed(model.asked) if "My name is Ada." in asked.said)
    assert last.tokens <= WINDOW
    assert not any("Stranger" in turn or "Other" in turn for turn in last.said)
    assert model.refused == 1, "the window is learnt from a refusal"


def check_the_calls(harness: Harness) -> None:
    """A claim brings the talk: each message costs the bot one claim and one completion, and no read."""
    calls = Counter(harness.proxy.calls)
    assert set(calls) <= {CLAIM, COMPLETE, PROGRESS}
    # A claim that waits when there is nothing brings nothing; one waits in the end.
    assert calls[COMPLETE] <= calls[CLAIM] <= calls[COMPLETE] + 1


async def check_the_rows(harness: Harness) -> None:
    """One for each message; beside them those of keys, waiting claims, and 256 archived messages each: none for a talk."""
    keys = [key for entries in harness.runtime.disk._entries.values() for key in entries]
    messages = [key for key in keys if key.startswith("message/")]
    assert len(messages) == len(await harness.wall())
    assert {key.partition("/")[0] for key in keys} <= {"message", "\x01keys", "waiting", "archive", "outcomes"}
    assert sum(key.startswith("archive/") for key in keys) <= 3 + len(messages) // 256


def test_a_burst_of_thirty_visitors_is_remembered_each_with_its_own_fact(tmp_path: Path) -> None:
    model = RecallingModel()

    async def scenario(harness: Harness) -> None:
        visitors = [Visitor(harness, number) for number in range(BURST)]
        told = [await visitor.post(f"My town is T{number}.") for number, visitor in enumerate(visitors)]
        for visitor, posted in zip(visitors, told, strict=True):
            assert await visitor.answer_to(posted) == "I see."
        asked = [await visitor.post("What is my town?") for visitor in visitors]
        answers = [await visitor.answer_to(posted) for visitor, posted in zip(visitors, asked, strict=True)]
        assert answers == [f"Your town is T{number}." for number in range(BURST)]

    run(scenario, entities_file(tmp_path / "entities.toml", "probe"), model, names=("probe",))
