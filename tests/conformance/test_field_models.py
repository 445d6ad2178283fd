"""What went wrong in the original between bots and models, by the numbers in the notes of its operators.

Black box: a real server and bot over HTTP, and a model server that speaks as real ones do. ``test_field_failures`` has the
table of all failures.
"""

from collections.abc import Iterator

import pytest
from field_wall import FieldWall, field_wall
from readers import Feed
from scripted_models import Loading, ScriptedModel
from scripted_server import Exchange, Refusal
from server_streams import STREAMS
from server_words import BROKEN, OLLAMA, OPENAI, TOO_MANY

from conftest import MakeServer
from servers import until

pytestmark = pytest.mark.one_deployment("it is about models, which the bot asks")

PERSON = {"system_prompt": "You are a probe.", "concurrency": 8}
ENTITIES = dict.fromkeys(("probe", "silent", "newer", "streams", "busy", "broken"), PERSON)
COLD = {name: PERSON | {"loading_seconds": 3_600} for name in ("cold", "loading", "hanging")}


@pytest.fixture(scope="module")
def wall(make_server: MakeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FieldWall]:
    with field_wall(tmp_path_factory.mktemp("wall"), make_server, ENTITIES, max_attempts=2) as started:
        yield started


@pytest.fixture(scope="module")
def impatient(make_server: MakeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FieldWall]:
    """A wall whose bot gives a model that answered lately up after two seconds of silence."""
    with field_wall(tmp_path_factory.mktemp("impatient"), make_server, COLD, model_idle_seconds=2) as started:
        yield started


def hang(exchange: Exchange) -> None:
    exchange.wait()


@pytest.mark.parametrize("answer", ["  \n \t ", "\x00\x07\x1b"], ids=["white space", "control characters"])
def test_p4_failure_11_a_model_that_answers_nothing_fails_with_a_reason(wall: FieldWall, answer: str) -> None:
    message = wall.until_ended(wall.visitor(ScriptedModel(answer), "silent").post("Are you there?"))
    assert message["botParams"]["status"] == "failed"
    assert "empty" in message["botParams"]["error"]
    assert wall.answers_to(message["id"]) == []


def test_p4_failure_29_a_cold_model_is_waited_for_and_loads_once(impatient: FieldWall) -> None:
    """The wall shows that it wakes up; a model that answered lately, and then says nothing, has failed meanwhile."""
    loading = Loading()
    cold = impatient.visitor(ScriptedModel(words=OLLAMA, loading=loading), "cold")
    with Feed(impatient.server) as feed:
        waits = cold.post("What is my name?")
        until(loading.waiting.is_set, "the request that loads the model")
        feed.until(lambda event: (event["type"], event.get("id"), event.get("state")) == ("progress", waits, "waking"))
    visitor = impatient.visitor(ScriptedModel("Yes."), "hanging")
    assert visitor.ask("Are you there?") == "Yes."
    impatient.models.scripts["hanging"] = hang
    hangs = visitor.post("And now?")
    reason = until(lambda: impatient.message(hangs)["botParams"]["error"], "the end of the bot's patience")
    assert "(timeout)" in reason
    assert impatient.message(waits)["botParams"]["status"] == "processing"
    loading.finish()
    assert impatient.answer_to(waits) == "I do not know your name."
    assert (loading.begun, impatient.message(waits)["botParams"]["attempt"]) == (1, 1)


def test_p4_failure_29_llama_cpp_is_asked_again_until_it_has_loaded(impatient: FieldWall) -> None:
    loading = Loading()
    waits = impatient.visitor(ScriptedModel(loading=loading), "loading").post("What is my name?")
    until(lambda: impatient.models.requests["loading"] > 1, "a second request")
    loading.finish()
    assert impatient.answer_to(waits) == "I do not know your name."
    assert impatient.message(waits)["botParams"]["attempt"] == 1


def test_p4_failure_30_a_model_that_fails_does_not_silence_its_neighbour_on_the_same_server(wall: FieldWall) -> None:
    broken = wall.visitor(ScriptedModel(before=[BROKEN] * 1_000), "broken")
    for _ in range(3):
        broken.post("Are you there?")
    circuits = until(lambda: wall.server.http.get("/api/stats").json()["circuits"], "the open circuit")
    assert [circuit["entities"] for circuit in circuits] == [["broken"]]
    assert wall.visitor(ScriptedModel("Yes.")).ask("And you?") == "Yes."


@pytest.mark.parametrize("name", STREAMS)
def test_p4_every_kind_of_stream_is_read(wall: FieldWall, name: str) -> None:
    """Keep-alives, ids, events without data, chunks without choices or delta, two ends, and reasoning beside the answer."""
    visitor = wall.visitor(ScriptedModel("My name is Zoë.", stream=STREAMS[name]), "streams")
    assert visitor.ask("Who are you?") == "My name is Zoë."


def test_p4_parameters_that_a_model_refuses_are_left_out_from_then_on(wall: FieldWall) -> None:
    """OpenAI's newer models take neither ``max_tokens`` nor a temperature."""
    visitor = wall.visitor(ScriptedModel("Yes.", words=OPENAI, refused={"max_tokens", "temperature"}), "newer")
    posted = visitor.post("Are you there?")
    assert wall.answer_to(posted) == "Yes."
    assert wall.message(posted)["botParams"]["attempt"] == 1
    requests = wall.models.requests["newer"]
    assert visitor.ask("And now?") == "Yes."
    assert wall.models.requests["newer"] == requests + 1
    assert wall.asked("newer").max_tokens, "it is bounded under the other name"


def test_p4_a_model_that_is_busy_is_asked_again_in_the_same_attempt(wall: FieldWall) -> None:
    soon = TOO_MANY._replace(headers={"Retry-After": "0"})
    posted = wall.visitor(ScriptedModel("Yes.", before=[soon, soon]), "busy").post("Are you there?")
    assert wall.answer_to(posted) == "Yes."
    assert wall.message(posted)["botParams"]["attempt"] == 1


def test_p8_the_words_of_a_provider_reach_the_operator_and_no_visitor(wall: FieldWall) -> None:
    """The public reason has neither them nor the model's address."""
    refusal = Refusal(401, {"error": {"message": "Your quota of 17 tokens is used up", "code": "quota"}})
    failed = wall.visitor(ScriptedModel(before=[refusal] * 2), "silent").post("Are you there?")
    wall.until_ended(failed)
    (listed,) = [
        message
        for message in wall.server.http.get("/api/queue/messages", params={"state": "failed"}).json()
        if message["id"] == failed
    ]
    assert "Your quota of 17 tokens is used up" in listed["detail"]
    assert wall.models.base_url in listed["detail"]
    feed = wall.server.http.get("/api/comments").text
    assert "quota" not in feed
    assert wall.models.base_url not in feed
