"""What went wrong in the original in prompts and answers, by the numbers in the notes of its operators.

Black box: a real server and bot over HTTP, and a model server that speaks as real ones do. ``test_field_failures`` has the
table of all failures.
"""

from collections.abc import Iterator

import pytest
from field_wall import FieldWall, field_wall
from scripted_models import ScriptedModel, plays_both_sides
from server_streams import llama_cpp

from conftest import MakeServer

pytestmark = pytest.mark.one_deployment("it is about prompts and answers, which the bot makes")

SAMPLING = {"temperature": 0.7, "max_tokens": 150, "top_p": 0.8, "top_k": 40, "min_p": 0.5, "repeat_penalty": 1.15, "seed": 7}
PERSON = {"system_prompt": "You are a probe.", "concurrency": 8}
ENTITIES = {
    **dict.fromkeys(("both", "long", "thinker"), PERSON),
    "sampled": PERSON | SAMPLING | {"stop": ["\nThe end"], "extra_body": {"cache_prompt": True}},
}


@pytest.fixture(scope="module")
def wall(make_server: MakeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FieldWall]:
    with field_wall(tmp_path_factory.mktemp("wall"), make_server, ENTITIES, max_attempts=2) as started:
        yield started


def test_failure_36_the_request_is_system_then_alternating_roles_with_all_parameters(wall: FieldWall) -> None:
    visitor = wall.visitor(ScriptedModel("Well."), "sampled")
    visitor.ask("One")
    visitor.ask("Two")
    asked = wall.asked("sampled")
    assert asked.turns == [("system", "You are a probe."), ("user", "One"), ("assistant", "Well."), ("user", "Two")]
    sent = {name: asked.parameters.get(name) for name in [*SAMPLING, "cache_prompt"]}
    assert sent == SAMPLING | {"cache_prompt": True}
    assert "\nThe end" in asked.parameters["stop"]


@pytest.mark.parametrize("honours_stop", [True, False], ids=["with stop sequences", "without"])
def test_failure_37_what_a_model_writes_for_the_other_side_is_cut_off(wall: FieldWall, *, honours_stop: bool) -> None:
    visitor = wall.visitor(ScriptedModel(plays_both_sides, honours_stop=honours_stop, piece_length=3), "both")
    assert visitor.ask("How are you?") == "Fine."


@pytest.mark.parametrize("lines", ["Both: Fine.", "Fine.\nBoth: And you?", "Fine.\n### User: Yes", "Fine.\nAda: Good."])
def test_failure_37_names_of_either_side_end_an_answer(wall: FieldWall, lines: str) -> None:
    visitor = wall.visitor(ScriptedModel(lines, honours_stop=False, piece_length=2), "both")
    visitor.username = "Ada"
    assert visitor.ask("How are you?") == "Fine."


@pytest.mark.parametrize(
    "text",
    [
        "<think>They ask.</think>Yes.",
        "<think>\nThey ask.\n</think>\n\nYes.",
        "They ask.</think>Yes.",
        "<thinking>Hm.</thinking>Yes.",
    ],
)
def test_reasoning_is_never_part_of_an_answer(wall: FieldWall, text: str) -> None:
    visitor = wall.visitor(ScriptedModel(text, stream=llama_cpp, piece_length=3), "thinker")
    assert visitor.ask("Are you there?") == "Yes."


def test_an_answer_that_reaches_max_tokens_ends_at_a_sentence_or_says_that_it_goes_on(wall: FieldWall) -> None:
    sentences = " ".join(f"Sentence number {number} is here." for number in range(100))
    answer = wall.visitor(ScriptedModel(sentences), "long").ask("Tell me all.")
    assert sentences.startswith(answer.removesuffix("…").rstrip())
    assert answer.endswith((".", "…"))
    words = wall.visitor(ScriptedModel("word " * 1_000), "long").ask("Tell me all.")
    assert words.endswith("…")
