"""The model server of the tests does what real ones do: what it promises here, other tests rely on."""

import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest
from scripted_models import Loading, ScriptedModel, plays_both_sides, recalls
from scripted_server import ScriptedServer
from server_streams import STREAMS
from server_words import LLAMA_CPP, OLLAMA, SERVERS, TOO_MANY, Words

from servers import DEADLINE_SECONDS, until

TALK = ("My name is Ada.", "I see.", "What is my name?")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as started:
        yield started


def body_of(contents: Sequence[str], **parameters: Any) -> dict[str, Any]:
    turns = [{"role": ("user", "assistant")[number % 2], "content": content} for number, content in enumerate(contents)]
    return {"model": "test", "messages": turns, "stream": True, **parameters}


def ask(server: ScriptedServer, contents: Sequence[str] = TALK, **parameters: Any) -> httpx.Response:
    url = f"{server.base_url}/chat/completions"
    return httpx.post(url, json=body_of(contents, **parameters), timeout=DEADLINE_SECONDS, trust_env=False)


def text_of(response: httpx.Response) -> tuple[str, list[str]]:
    """The content of a stream, and the reasons for its end."""
    assert response.status_code == 200, response.text
    data = [line.removeprefix("data:").strip() for line in response.text.splitlines() if line.startswith("data:")]
    choices = [choice for text in data if text not in {"", "[DONE]"} for choice in json.loads(text)["choices"]]
    contents = [(choice.get("delta") or {}).get("content") or "" for choice in choices]
    return "".join(contents), [choice["finish_reason"] for choice in choices if choice["finish_reason"]]


@pytest.mark.parametrize("name", STREAMS)
def test_every_stream_carries_the_answer_that_is_in_the_prompt(server: ScriptedServer, name: str) -> None:
    server.scripts["test"] = ScriptedModel(stream=STREAMS[name])
    text, ends = text_of(ask(server))
    assert text == "Your name is Ada."
    assert set(ends) == {"stop"}
    assert server.of("test")[0].roles == ["user", "assistant", "user"]


def test_what_is_not_in_the_prompt_is_not_known(server: ScriptedServer) -> None:
    server.scripts["test"] = ScriptedModel(recalls)
    assert text_of(ask(server, TALK[2:]))[0] == "I do not know your name."
    assert (
        text_of(ask(server, ("I know that my name is a secret", "I see.", "What is my name?")))[0] == "I do not know your name."
    )


@pytest.mark.parametrize("words", SERVERS, ids=lambda words: words.name)
def test_a_prompt_that_exceeds_the_window_is_refused_or_cut(server: ScriptedServer, words: Words) -> None:
    server.scripts["test"] = ScriptedModel(words=words, window=64)
    answer = ask(server, ("My name is Ada.", "I see." * 40, "What is my name?"))
    if words.too_long is None:
        assert text_of(answer)[0] == "I do not know your name."
    else:
        assert "64" in answer.text or "context length" in answer.text
        assert answer.status_code in {400, 200}
        assert "choices" not in answer.text
    assert text_of(ask(server))[0] == "Your name is Ada.", "a short one is answered"


@pytest.mark.parametrize("words", SERVERS, ids=lambda words: words.name)
def test_roles_that_do_not_alternate_and_parameters_it_does_not_take_are_refused(server: ScriptedServer, words: Words) -> None:
    server.scripts["test"] = ScriptedModel(words=words, alternates=True, refused={"top_k"})
    assert "alternate" in ask(server, TALK[:2]).text
    refused = ask(server, top_k=40)
    assert refused.status_code in {400, 422}
    assert "top_k" in refused.text
    assert text_of(ask(server))[0] == "Your name is Ada."


def test_stop_and_max_tokens_are_honoured_if_the_script_says_so(server: ScriptedServer) -> None:
    server.scripts["test"] = ScriptedModel(plays_both_sides)
    assert text_of(ask(server, stop=["\nHuman:"])) == ("Fine.", ["stop"])
    assert text_of(ask(server, max_tokens=1)) == ("Fine", ["length"])
    server.scripts["test"] = ScriptedModel(plays_both_sides, honours_stop=False)
    assert "Human: And you?" in text_of(ask(server, stop=["\nHuman:"]))[0]


def test_a_cold_model_keeps_silent_and_begins_again_when_the_client_hangs_up(server: ScriptedServer) -> None:
    loading = Loading()
    server.scripts["test"] = ScriptedModel(words=OLLAMA, loading=loading)
    with httpx.Client(trust_env=False) as impatient, pytest.raises(httpx.ReadTimeout):
        impatient.post(f"{server.base_url}/chat/completions", json=body_of(TALK), timeout=0.05)
    until(lambda: loading.begun == 1 and not loading.waiting.is_set(), "the end of the first load")
    answers: list[httpx.Response] = []
    patient = threading.Thread(target=lambda: answers.append(ask(server)))
    patient.start()
    until(lambda: loading.begun == 2 and loading.waiting.is_set(), "the second load")
    loading.finish()
    patient.join(DEADLINE_SECONDS)
    assert text_of(answers[0])[0] == "Your name is Ada."


def test_llama_cpp_refuses_while_it_loads(server: ScriptedServer) -> None:
    loading = Loading()
    server.scripts["test"] = ScriptedModel(words=LLAMA_CPP, loading=loading)
    assert ask(server).json() == {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}
    loading.finish()
    assert text_of(ask(server))[0] == "Your name is Ada."


def test_refusals_come_first_and_in_order(server: ScriptedServer) -> None:
    server.scripts["test"] = ScriptedModel(before=[TOO_MANY])
    assert [ask(server).status_code for _ in range(2)] == [429, 200]
    assert [asked.times for asked in server.of("test")] == [1, 2]
