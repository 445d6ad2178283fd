"""What an entity remembers reaches its model: its talk with one person, and nothing of anybody else's."""

import asyncio
from pathlib import Path

import pytest
from bot_harness import Harness, run
from talking_bot import ENTITY, Recorder, ask, entities, say

from saywhatwant.entities import Entities, Entity
from saywhatwant.models import Answer, Finished, Piece, Request, Turn, WindowExceeded

pytestmark = pytest.mark.usefixtures("no_settings")


def test_a_talk_reaches_the_model_as_turns(tmp_path: Path) -> None:
    model = Recorder()

    async def scenario(harness: Harness) -> None:
        await ask(harness, "My name is Ada.")
        await ask(harness, "What is my name?")

    run(scenario, entities(tmp_path, 'system_prompt = "You are Zen."'), model)
    assert model.requests[-1].turns == [
        Turn("system", "You are Zen."),
        Turn("user", "My name is Ada."),
        Turn("assistant", "I see."),
        Turn("user", "What is my name?"),
    ]


def test_two_people_who_talk_with_one_entity_never_see_each_others_words(tmp_path: Path) -> None:
    model = Recorder()

    async def scenario(harness: Harness) -> None:
        for word in ("one", "two", "three"):
            await ask(harness, f"Ann's {word}", "Ann")
            await ask(harness, f"Bob's {word}", "Bob")

    run(scenario, entities(tmp_path, "context = 20"), model)
    assert len(model.requests) == 6
    for contents in model.contents:
        others = "Bob" if contents[-1].startswith("Ann") else "Ann"
        assert others not in "".join(contents)
    assert model.contents[-1] == ["Bob's one", "I see.", "Bob's two", "I see.", "Bob's three"]


def test_two_sessions_of_one_person_are_two_talks(tmp_path: Path) -> None:
    model = Recorder()

    async def scenario(harness: Harness) -> None:
        await ask(harness, "One.", session_id="first")
        await ask(harness, "Two.", session_id="second")

    run(scenario, entities(tmp_path), model)
    assert model.contents == [["One."], ["Two."]]


def test_a_message_to_anyone_joins_the_talk_of_the_entity_that_answers(tmp_path: Path) -> None:
    model = Recorder()

    async def scenario(harness: Harness) -> None:
        await ask(harness, "My name is Ada.")
        await ask(harness, "What is my name?", entity=None)

    run(scenario, entities(tmp_path), model)
    assert model.contents[-1] == ["My name is Ada.", "I see.", "What is my name?"]


def test_it_does_so_also_while_another_entity_has_waited_longer(tmp_path: Path) -> None:
    """An entity that has answered claims again, beside the claim for the others."""
    model = Recorder()
    file = tmp_path / "entities.toml"
    file.write_text(ENTITY + ENTITY.replace("[zen]", "[eliza]").replace('"Zen"', '"Eliza"'))

    async def scenario(harness: Harness) -> None:
        await ask(harness, "My name is Ada.")
        while len(harness.bot._claims.tasks) < 2:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.001)
        assert (await ask(harness, "What is my name?", entity=None)).username == "Zen"

    run(scenario, Entities(file), model, names=())
    assert model.contents[-1] == ["My name is Ada.", "I see.", "What is my name?"]


@pytest.mark.parametrize(
    ("more", "remembered"),
    [("context = 2", ["Two.", "I see.", "Three."]), ("context = 0", ["Three."])],
    ids=["two messages", "nothing"],
)
def test_an_entity_remembers_as_much_as_its_file_says(tmp_path: Path, more: str, remembered: list[str]) -> None:
    model = Recorder()

    async def scenario(harness: Harness) -> None:
        for text in ("One.", "Two.", "Three."):
            await ask(harness, text)

    run(scenario, entities(tmp_path, more), model)
    assert model.contents[-1] == remembered


@pytest.mark.parametrize("more", ["", "context = 0", 'reads = "wall"'])
def test_what_a_client_sends_as_context_wins_for_that_answer(tmp_path: Path, more: str) -> None:
    model = Recorder()

    async def scenario(harness: Harness) -> None:
        await ask(harness, "My name is Eve.")
        await ask(harness, "What is my name?", context=["Ada: My name is Ada.", "Zen: Hello.", "Bob: Hi."])
        assert "Bob" not in "".join(message.text for message in await harness.wall())

    run(scenario, entities(tmp_path, more), model)
    assert model.contents[-1] == ["My name is Ada.", "Hello.", "Bob: Hi.\nWhat is my name?"]


def test_an_entity_that_reads_the_wall_sees_everybody_by_name(tmp_path: Path) -> None:
    model = Recorder()

    async def scenario(harness: Harness) -> None:
        await say(harness, "Anybody there?", "Bob", answer=False, entity=None)
        await ask(harness, "Hello.", "Ada")
        await ask(harness, "Who is here?", "Ada")

    run(scenario, entities(tmp_path, 'reads = "wall"'), model)
    assert model.contents[-1] == ["Bob: Anybody there?\nAda: Hello.", "I see.", "Ada: Who is here?"]


class Small(Recorder):
    """A model whose server refuses what has more than some characters, and names no number unless it should."""

    def __init__(self, characters: int, *, names_numbers: bool) -> None:
        super().__init__(self._refuse_what_is_long)
        self._characters = characters
        self._names_numbers = names_numbers

    async def window(self, _: Entity) -> int | None:
        return None

    def _refuse_what_is_long(self, request: Request) -> list[Piece]:
        size = sum(len(turn.content) for turn in request.turns)
        if size > self._characters:
            raise WindowExceeded(self._characters // 4, size // 4) if self._names_numbers else WindowExceeded(None, None)
        return [Answer("I see."), Finished("stop")]


@pytest.mark.parametrize("names_numbers", [True, False], ids=["with numbers", "without"])
def test_a_prompt_that_does_not_fit_is_tried_with_less_in_the_same_attempt(tmp_path: Path, names_numbers: bool) -> None:  # noqa: FBT001
    model = Small(4_000, names_numbers=names_numbers)

    async def scenario(harness: Harness) -> None:
        for number in range(12):
            posted = await say(harness, f"{number}. " + "This is a long story that goes on and on. " * 20)
            assert (await harness.until_complete(posted)).bot_params.attempt == 1

    run(scenario, entities(tmp_path, "max_tokens = 50"), model)
    assert model.contents[-1][-1].startswith("11. ")
    assert len(model.contents[-1]) > 1, "what fits is remembered"
    assert len(model.requests) <= 24, "a refusal teaches something"


def test_a_question_that_is_longer_than_the_window_is_answered(tmp_path: Path) -> None:
    model = Small(4_000, names_numbers=True)

    async def scenario(harness: Harness) -> None:
        await ask(harness, "First, " + "and then " * 540 + "who am I?")

    run(scenario, entities(tmp_path, "max_tokens = 50"), model)
    question = model.contents[-1][-1]
    assert question.startswith("First, ")
    assert question.endswith("who am I?")
