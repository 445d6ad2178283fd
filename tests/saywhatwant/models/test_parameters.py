"""Parameters: those of the entity are sent, and those that a model refuses are left out from then on."""

from collections.abc import Iterator
from typing import Any

import pytest
from asking import TALK, answer_of, pieces_of, probe, run
from scripted_models import ScriptedModel
from scripted_server import Refusal, ScriptedServer
from server_words import LLAMA_CPP, LM_STUDIO, OLLAMA, OPENAI, VLLM, Words

from saywhatwant.models import ModelFailed, Request, Turn
from saywhatwant.models.chat import ChatModel
from saywhatwant.models.chat.refusals import Refusal as Read

SERVERS = (LLAMA_CPP, VLLM, OPENAI, LM_STUDIO, OLLAMA)
SAMPLING: dict[str, Any] = {
    "temperature": 0.8,
    "max_tokens": 100,
    "top_p": 0.9,
    "top_k": 40,
    "min_p": 0.05,
    "seed": 7,
    "stop": ["\nHuman:"],
}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer({"test": ScriptedModel("Yes.")}) as started:
        yield started


def sent(server: ScriptedServer) -> dict[str, Any]:
    """The parameters of the last request."""
    return {name: value for name, value in server.asked[-1].parameters.items() if name != "stream"}


def test_everything_that_the_file_sets_is_sent_under_the_names_that_servers_know(server: ScriptedServer) -> None:
    entity = probe(
        server.base_url, repeat_penalty=1.15, extra_body={"chat_template_kwargs": {"enable_thinking": False}}, **SAMPLING
    )

    async def scenario(model: ChatModel) -> None:
        await pieces_of(model, entity, max_tokens=50)
        assert sent(server) == {
            **SAMPLING,
            "max_tokens": 50,
            "stop": ["\nHuman:"],
            "repeat_penalty": 1.15,
            "repetition_penalty": 1.15,
            "chat_template_kwargs": {"enable_thinking": False},
        }
        assert server.asked[-1].turns == [tuple(turn) for turn in TALK]

    run(scenario)


def test_what_the_file_does_not_set_is_not_sent(server: ScriptedServer) -> None:
    async def scenario(model: ChatModel) -> None:
        await pieces_of(model, probe(server.base_url))
        assert sent(server) == {"temperature": 0.8, "max_tokens": 200}

    run(scenario)


def test_extra_body_replaces_parameters(server: ScriptedServer) -> None:
    extra = {"temperature": 0, "max_completion_tokens": 9}

    async def scenario(model: ChatModel) -> None:
        await pieces_of(model, probe(server.base_url, extra_body=extra))
        assert sent(server) == {"temperature": 0, "max_completion_tokens": 9}

    run(scenario)


def test_the_preview_is_the_request_that_is_sent(server: ScriptedServer) -> None:
    entity = probe(server.base_url, **SAMPLING)

    async def scenario(model: ChatModel) -> None:
        preview = model.preview(entity, Request(TALK))
        await pieces_of(model, entity)
        assert {name: value for name, value in preview.items() if name not in {"model", "messages", "stream"}} == sent(server)
        assert [tuple(turn.values()) for turn in preview["messages"]] == server.asked[-1].turns

    run(scenario)


@pytest.mark.parametrize("words", SERVERS, ids=lambda words: words.name)
@pytest.mark.parametrize("parameter", SAMPLING)
def test_p4_a_refused_parameter_is_left_out_at_once_and_from_then_on(
    server: ScriptedServer, words: Words, parameter: str
) -> None:
    """OpenAI's newer models take no ``max_tokens`` and no temperature; others know no top_k, min_p or stop."""
    server.scripts["test"] = ScriptedModel("Yes.", words=words, refused=[parameter])

    async def scenario(model: ChatModel) -> None:
        entity = probe(server.base_url, **SAMPLING)
        assert await answer_of(model, entity) == "Yes."
        assert server.requests["test"] == 2
        kept = {name: value for name, value in SAMPLING.items() if name != parameter}
        assert sent(server) == kept | ({"max_completion_tokens": 100} if parameter == "max_tokens" else {})
        assert await answer_of(model, entity) == "Yes."
        assert server.requests["test"] == 3

    run(scenario)


def test_p4_a_model_that_refuses_nearly_everything_answers(server: ScriptedServer) -> None:
    server.scripts["test"] = ScriptedModel("Yes.", words=OPENAI, refused=[*SAMPLING, "max_completion_tokens"])

    async def scenario(model: ChatModel) -> None:
        assert await answer_of(model, probe(server.base_url, **SAMPLING)) == "Yes."
        assert sent(server) == {}

    run(scenario)


def test_what_one_model_refuses_is_sent_to_another(server: ScriptedServer) -> None:
    server.scripts["strict"] = ScriptedModel("Yes.", words=OPENAI, refused=["temperature"])

    async def scenario(model: ChatModel) -> None:
        await answer_of(model, probe(server.base_url, "strict"))
        assert "temperature" not in sent(server)
        await answer_of(model, probe(server.base_url))
        assert "temperature" in sent(server)

    run(scenario)


def test_nothing_is_learnt_from_a_refusal_that_leaving_out_does_not_mend(server: ScriptedServer) -> None:
    """A server may name a parameter though something else is wrong."""
    misleading = Refusal(400, {"error": {"message": "invalid request near 'temperature'"}})
    broken = ScriptedModel("Yes.", before=[misleading, Refusal(400, {"error": {"message": "no such adapter"}})])
    server.scripts["test"] = broken

    async def scenario(model: ChatModel) -> None:
        entity = probe(server.base_url)
        with pytest.raises(ModelFailed, match="refused with 400"):
            await pieces_of(model, entity)
        assert await answer_of(model, entity) == "Yes."
        assert sent(server)["temperature"] == 0.8

    run(scenario)


def test_more_tokens_than_a_model_writes_are_lowered_to_what_it_does(server: ScriptedServer) -> None:
    words = "max_tokens is too large: 8000. This model supports at most 4096 completion tokens, whereas you provided 8000."
    too_large = Refusal(400, {"error": {"message": words, "param": "max_tokens", "code": "invalid_value"}})
    server.scripts["test"] = ScriptedModel("Yes.", before=[too_large])

    async def scenario(model: ChatModel) -> None:
        for _ in range(2):
            assert await answer_of(model, probe(server.base_url, max_tokens=8_000)) == "Yes."
            assert sent(server)["max_tokens"] == 4_096
        assert server.requests["test"] == 3

    run(scenario)


def test_more_stop_sequences_than_a_model_takes_are_cut(server: ScriptedServer) -> None:
    words = "Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with length 6 instead."
    too_many = Refusal(400, {"error": {"message": words, "param": "stop", "code": "array_above_max_length"}})
    server.scripts["test"] = ScriptedModel("Yes.", before=[too_many])

    async def scenario(model: ChatModel) -> None:
        for _ in range(2):
            assert await answer_of(model, probe(server.base_url, stop=list("abcdef"))) == "Yes."
            assert sent(server)["stop"] == list("abcd")
        assert server.requests["test"] == 3

    run(scenario)


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal(400, {"error": {"message": "System role not supported", "type": "BadRequestError"}}),
        Refusal(500, {"error": {"code": 500, "message": "Jinja Exception: System role not supported", "type": "server_error"}}),
    ],
    ids=["vLLM", "llama.cpp"],
)
def test_p4_a_template_without_a_system_turn_gets_its_text_in_the_first_question(
    server: ScriptedServer, refusal: Refusal
) -> None:
    """As those of Gemma 2."""
    server.scripts["test"] = ScriptedModel("Yes.", before=[refusal])

    async def scenario(model: ChatModel) -> None:
        for _ in range(2):
            assert await answer_of(model, probe(server.base_url)) == "Yes."
            assert server.asked[-1].roles == ["user", "assistant", "user"]
            assert server.asked[-1].turns[0] == ("user", "You are a probe.\n\nMy name is Ada.")
        assert server.requests["test"] == 3

    run(scenario)


@pytest.mark.parametrize("status", [401, 402, 403, 429])
def test_a_refusal_of_the_caller_is_not_read_as_one_of_a_parameter(status: int) -> None:
    words = "invalid: temperature, maximum context length is 5 tokens"
    refusal = Read(status, words, words, "temperature")
    assert refusal.refused(["temperature"]) is None
    assert refusal.overflow is None


@pytest.mark.parametrize(
    "words",
    ["Invalid request: please stop and try again", "unknown error, the seed of doubt", "your account is not supported"],
)
def test_everyday_words_are_not_taken_for_parameters(words: str) -> None:
    assert Read(400, words, words).refused(["stop", "seed", "temperature"]) is None


def test_the_turns_of_a_request_stay_as_they_are_for_a_model_with_a_system_turn(server: ScriptedServer) -> None:
    async def scenario(model: ChatModel) -> None:
        await answer_of(model, probe(server.base_url), [Turn("user", "Why?")])
        assert server.asked[-1].turns == [("user", "Why?")]

    run(scenario)
