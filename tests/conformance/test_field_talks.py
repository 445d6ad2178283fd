"""What went wrong in the original in the talks of visitors with entities, by the numbers in the notes of its operators.

Black box: a real server and bot over HTTP, and a model server that speaks as real ones do. ``test_field_failures`` has the
table of all failures.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path

import pytest
from field_wall import FieldWall, Visitor, field_wall
from scripted_models import ScriptedModel, recalls
from scripted_server import ScriptedServer
from server_words import BROKEN, SERVERS, TOO_MANY, Words, loaded, models, props

from conftest import MakeServer

WINDOW = 1_024
TURNS = 170
LONG = "The sea is wide and the wind is up. " * 14
"""About 500 characters."""
PERSON = {"system_prompt": "You are a probe.", "concurrency": 8}
WINDOWED = {words.name: f"window-{number}" for number, words in enumerate(SERVERS)}
"""An entity for each kind of server."""
DENSE = {words.name: f"dense-{number}" for number, words in enumerate(SERVERS)}
"""Others, since a bot keeps what it learns about a model."""
ENTITIES = {
    **dict.fromkeys(["probe", "strict", *WINDOWED.values(), *DENSE.values()], PERSON),
    "alias": PERSON | {"alias": True},
    "alone": {},
    "host": PERSON | {"reads": "wall", "context": 20},
}


@pytest.fixture(scope="module")
def wall(make_server: MakeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FieldWall]:
    with field_wall(tmp_path_factory.mktemp("wall"), make_server, ENTITIES, max_attempts=2) as started:
        # Ollama refuses nothing: it drops the oldest turns without a word, but it tells the window of what is loaded.
        started.models.documents["/api/ps"] = loaded({WINDOWED["Ollama"]: WINDOW, "another": 8 * WINDOW})
        yield started


@pytest.mark.one_deployment("the bot fits its prompts into the window")
@pytest.mark.parametrize("words", SERVERS, ids=lambda words: words.name)
def test_p4_failure_32_a_talk_that_outgrows_the_window_goes_on(wall: FieldWall, words: Words) -> None:
    """Whatever the words of the refusal; the oldest turns are left out, the question never."""
    entity = WINDOWED[words.name]
    visitor = wall.visitor(ScriptedModel(words=words, window=WINDOW), entity)
    assert visitor.ask("My name is Ada.") == "I see."
    for number in range(10):
        assert visitor.ask(f"{number}. {LONG}") == "I see."
    last = visitor.post(f"What is my name? {LONG}")
    assert wall.answer_to(last) == "Your name is Ada."
    assert wall.message(last)["botParams"]["attempt"] == 1
    asked = wall.asked(entity)
    assert asked.tokens <= WINDOW
    assert asked.turns[0] == ("system", "You are a probe.")
    assert asked.said[-1] == f"What is my name? {LONG}".strip()
    assert not any(turn.startswith("1. The sea") for turn in asked.said), "an old turn was left out"


@pytest.mark.one_deployment("the bot fits its prompts into the window")
@pytest.mark.parametrize(
    ("path", "document"),
    [("/props", props(WINDOW)), ("/v1/models", models("told", WINDOW)), ("/api/ps", loaded({"told": WINDOW}))],
    ids=["llama.cpp", "vLLM", "Ollama"],
)
def test_failure_32_a_window_that_the_server_tells_is_never_exceeded(
    tmp_path: Path, make_server: MakeServer, path: str, document: object
) -> None:
    with ScriptedServer() as server:
        server.documents[path] = document
        server.scripts["told"] = ScriptedModel(window=WINDOW)
        with field_wall(tmp_path, make_server, {"told": PERSON | {"base_url": server.base_url}}) as wall:
            visitor = Visitor(wall, "told")
            visitor.ask("My name is Ada.")
            for number in range(10):
                assert visitor.ask(f"{number}. {LONG}") == "I see."
            assert visitor.ask("What is my name?") == "Your name is Ada."
        assert max(asked.tokens for asked in server.asked) <= WINDOW, "none was refused"


@pytest.mark.one_deployment("the bot fits its prompts into the window")
@pytest.mark.parametrize("words", [words for words in SERVERS if words.too_long], ids=lambda words: words.name)
def test_p4_failure_32_a_server_that_counts_many_more_tokens_is_believed(wall: FieldWall, words: Words) -> None:
    """Three times as many as usual, as with a language that its tokenizer was not made for."""
    entity = DENSE[words.name]
    visitor = wall.visitor(ScriptedModel(words=words, window=WINDOW, cost=3), entity)
    visitor.ask("My name is Ada.")
    for number in range(8):
        visitor.ask(f"{number}. {LONG[:300]}")
    last = visitor.post("What is my name?")
    assert wall.answer_to(last) == "Your name is Ada."
    assert wall.message(last)["botParams"]["attempt"] == 1


@pytest.mark.one_deployment("the bot fits its prompts into the window")
def test_p4_failure_32_a_question_that_exceeds_the_window_alone_is_answered(wall: FieldWall) -> None:
    visitor = wall.visitor(ScriptedModel(window=WINDOW), WINDOWED["llama.cpp"])
    assert visitor.ask(f"My name is Bob. {'long ' * 970} What is my name?") == "Your name is Bob."


@pytest.mark.parametrize("words", SERVERS, ids=lambda words: words.name)
def test_p4_failure_33_roles_alternate_whatever_the_talk_has(wall: FieldWall, words: Words) -> None:
    """Two questions in a row, because the first one failed; then two that came before the first answer."""
    failing = ScriptedModel(words=words, alternates=True, before=[TOO_MANY._replace(status=401)] * 2)
    visitor = wall.visitor(failing, "strict")
    assert wall.until_ended(visitor.post("My name is Ada."))["botParams"]["status"] == "failed"
    for posted in [visitor.post("My town is Paris."), visitor.post("My dog is Rex.")]:
        wall.answer_to(posted)
    assert visitor.ask("What is my name?") == "Your name is Ada."
    assert wall.asked("strict").roles in (
        ["system", "user", "assistant", "user"],
        ["system", *["user", "assistant"] * 2, "user"],
    )


def test_p4_failure_33_roles_alternate_for_an_entity_that_reads_the_whole_wall(wall: FieldWall) -> None:
    """It reads who said what; several people in a row are one turn."""
    ann, ben = wall.visitor(ScriptedModel(recalls, alternates=True), "host"), Visitor(wall, "probe", "Ben")
    wall.models.scripts["probe"] = ScriptedModel(recalls)
    ann.ask("I like tea.")
    ben.ask("I like rain.")
    assert ann.ask("What do we like?") == "I see."
    said = "\n".join(wall.asked("host").said)
    assert "Ben: I like rain." in said
    assert said.endswith("Human: What do we like?")
    assert said.count("What do we like?") == 1


def test_failure_34_a_fact_is_remembered_whatever_others_say_in_between(wall: FieldWall) -> None:
    visitor = wall.visitor(ScriptedModel(recalls))
    visitor.ask("My name is Ada.")
    others = [Visitor(wall, "probe") for _ in range(10)]
    for posted in [other.post(f"I am number {number}.") for number in range(5) for other in others]:
        wall.answer_to(posted)
    assert visitor.ask("What is my name?") == "Your name is Ada."


def test_failure_34_so_it_is_in_a_burst_of_thirty(wall: FieldWall) -> None:
    """Each has told a fact, and all ask for it at once."""
    wall.models.scripts["probe"] = ScriptedModel(recalls)
    visitors = [Visitor(wall, "probe", f"Visitor {number}") for number in range(30)]
    with ThreadPoolExecutor(30) as people:
        told = list(people.map(lambda pair: pair[1].post(f"My town is T{pair[0]}."), enumerate(visitors)))
        assert {wall.answer_to(posted) for posted in told} == {"I see."}
        asked = list(people.map(lambda visitor: visitor.post("What is my town?"), visitors))
    assert [wall.answer_to(posted) for posted in asked] == [f"Your town is T{number}." for number in range(30)]


@pytest.mark.needs("durability")
def test_failure_34_a_fact_is_remembered_by_a_server_and_a_bot_that_were_killed(
    tmp_path: Path, make_server: MakeServer
) -> None:
    with field_wall(tmp_path, make_server, {"probe": PERSON}) as wall:
        visitor = wall.visitor(ScriptedModel(recalls))
        visitor.ask("My name is Ada.")
        wall.server.restart()
        assert visitor.ask("What is my name?") == "Your name is Ada."


@pytest.mark.needs("memory", "short calls")
def test_failure_34_a_fact_of_the_first_of_170_turns_is_known_in_the_last(wall: FieldWall) -> None:
    """With a window of 1,024 tokens. ``test_long_talk`` has the same beside 1,800 other talks, in one process."""
    visitor = wall.visitor(ScriptedModel(window=WINDOW), WINDOWED["llama.cpp"])
    visitor.ask("My name is Ada.")
    for turn in range(1, TURNS - 1):
        visitor.ask(f"{turn}. Tell me something about the sea, please; it is a long evening here.")
    assert visitor.ask("What is my name?") == "Your name is Ada."
    assert wall.asked(WINDOWED["llama.cpp"]).tokens <= WINDOW


def test_failure_35_nobody_reads_a_strangers_words_in_a_talk(wall: FieldWall) -> None:
    """Not even those of somebody of the same name."""
    ann = wall.visitor(ScriptedModel(recalls))
    bob = Visitor(wall, "probe")
    ann.ask("My name is Ann.")
    bob.ask("My name is Bob.")
    assert ann.ask("What is my name?") == "Your name is Ann."
    assert wall.asked("probe").said == ["My name is Ann.", "What is my name?"]
    assert bob.ask("What is my name?") == "Your name is Bob."
    assert wall.asked("probe").said == ["My name is Bob.", "What is my name?"]


def test_failure_35_a_session_is_a_talk_of_its_own(wall: FieldWall) -> None:
    visitor = wall.visitor(ScriptedModel(recalls))
    visitor.ask("My name is Ann.", sessionId="one")
    assert visitor.ask("What is my name?", sessionId="two") == "I do not know your name."
    assert visitor.ask("What is my name?", sessionId="one") == "Your name is Ann."


def test_failure_34_a_message_to_anyone_joins_the_talk_that_its_author_had_last(wall: FieldWall) -> None:
    """Also while that entity, which answers one at a time, is asked for in another call than the others."""
    for name in ENTITIES:
        wall.models.scripts.setdefault(name, ScriptedModel(recalls))
    visitor = wall.visitor(ScriptedModel(recalls), "alone")
    visitor.ask("My name is Ada.")
    asked = visitor.post("What is my name?", entity=None)
    assert wall.answer_to(asked) == "Your name is Ada."
    assert [answer["username"] for answer in wall.answers_to(asked)] == ["Alone"]
    assert visitor.ask("What is my name?") == "Your name is Ada."
    assert wall.asked("alone").said[1] == "What is my name?", "what was said to anyone is part of the talk"


def test_failure_34_what_a_client_sends_as_context_is_remembered_for_that_answer_alone(wall: FieldWall) -> None:
    visitor = wall.visitor(ScriptedModel(recalls))
    visitor.ask("My name is Ada.")
    posted = wall.post(visitor.body("What is my name?") | {"context": ["Human: My name is Bob.", "Probe: I see."]})
    assert wall.answer_to(posted) == "Your name is Bob."
    assert wall.asked("probe").said == ["My name is Bob.", "What is my name?"]
    assert "Bob" not in str(wall.message(posted)), "it is in no feed"
    assert visitor.ask("Then what is my name?") == "Your name is Ada."


def test_failure_38_an_answer_appears_under_the_name_that_the_post_asks_for(wall: FieldWall) -> None:
    posted = wall.visitor(ScriptedModel("Yes."), "alias").post("Who are you?", ais="MyAI:255069000")
    wall.until_ended(posted)
    (answer,) = wall.answers_to(posted)
    assert (answer["username"], answer["color"]) == ("MyAI", "255069000")


def test_p8_failure_38_such_a_name_is_refused_where_the_entity_does_not_allow_it(wall: FieldWall) -> None:
    body = {
        "text": "Why?",
        "username": "Human",
        "color": "169080199",
        "botParams": {"entity": "probe", "ais": "MyAI:255069000"},
    }
    refused = wall.server.http.post("/api/comments", json=body)
    assert refused.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert "ais" in refused.json()["field"]


@pytest.mark.one_deployment("the bot fits its prompts into the window")
def test_p4_no_apology_for_an_error_is_posted_as_an_answer(wall: FieldWall) -> None:
    """An error that was posted as an AI message came back as context; here the message has failed, and says why."""
    visitor = wall.visitor(ScriptedModel(before=[BROKEN._replace(status=401)] * 2), "probe")
    failed = visitor.post("My name is Ada.")
    assert "refused with 401" in wall.until_ended(failed)["botParams"]["error"]
    assert wall.answers_to(failed) == []
    visitor.ask("Are you there?")
    assert "assistant" not in wall.asked("probe").roles
