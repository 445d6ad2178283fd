"""The window of a model: by its server's own word, or learnt from a refusal in the words of each server."""

from collections.abc import Iterator

import pytest
from asking import TALK, Clock, answer_of, pieces_of, probe, run
from scripted_models import ScriptedModel
from scripted_server import Refusal, ScriptedServer
from server_words import LM_STUDIO, SERVERS, VLLM, Words, models, props

from saywhatwant.models import ModelFailed, Turn, WindowExceeded
from saywhatwant.models.chat import ChatModel, windows
from saywhatwant.models.chat.refusals import Overflow
from saywhatwant.models.chat.refusals import Refusal as Read
from saywhatwant.models.chat.windows import window_in

WINDOW = 1_024
TOO_LONG = [Turn("user", "word " * 2_000)]
REFUSING = [words for words in SERVERS if words.too_long]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer({"test": ScriptedModel("Yes.", window=WINDOW)}) as started:
        yield started


@pytest.mark.parametrize("words", REFUSING, ids=lambda words: words.name)
def test_p4_a_prompt_that_does_not_fit_is_refused_as_that_and_the_window_is_learnt(
    server: ScriptedServer, words: Words
) -> None:
    """Failure 32: 1,140 tokens for a slot of 1,024 were refused for ever."""
    server.scripts["test"] = ScriptedModel("Yes.", window=WINDOW, words=words)
    names_numbers = words.name != "Ollama that does not truncate"

    async def scenario(model: ChatModel) -> None:
        entity = probe(server.base_url)
        with pytest.raises(WindowExceeded) as refused:
            await pieces_of(model, entity, TOO_LONG)
        assert str(refused.value) == "the message does not fit the model's window"
        assert server.requests["test"] == 1
        assert refused.value.limit_tokens == (WINDOW if names_numbers else None)
        assert refused.value.prompt_tokens == (server.asked[-1].tokens if names_numbers else None)
        assert await model.window(entity) == refused.value.limit_tokens
        assert model.open_circuit(entity) is None
        assert await answer_of(model, entity) == "Yes."

    run(scenario)


@pytest.mark.parametrize("words", [words for words in REFUSING if words.counts_answer], ids=lambda words: words.name)
def test_p4_an_answer_that_does_not_fit_beside_its_prompt_is_asked_for_shorter(server: ScriptedServer, words: Words) -> None:
    server.scripts["test"] = ScriptedModel("Yes.", window=WINDOW, words=words)

    async def scenario(model: ChatModel) -> None:
        assert await answer_of(model, probe(server.base_url, max_tokens=1_020)) == "Yes."
        assert server.requests["test"] == 2
        assert server.asked[-1].max_tokens == WINDOW - server.asked[-1].tokens

    run(scenario)


def test_p4_an_answer_is_not_made_too_short_to_be_one(server: ScriptedServer) -> None:
    server.scripts["test"] = ScriptedModel("Yes.", window=WINDOW, words=VLLM)
    nearly_full = [Turn("user", "x" * 4 * (WINDOW - 20))]

    async def scenario(model: ChatModel) -> None:
        with pytest.raises(WindowExceeded) as refused:
            await pieces_of(model, probe(server.base_url), nearly_full)
        assert refused.value.prompt_tokens == WINDOW - 16
        assert server.requests["test"] == 1
        assert await answer_of(model, probe(server.base_url), nearly_full, max_tokens=10) == "Yes."

    run(scenario)


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/props", props(WINDOW)),
        ("/v1/models", models("test", WINDOW)),
        ("/v1/models", {"data": [{"id": "other"}, {"id": "test", "context_length": WINDOW}]}),
        ("/v1/models", {"models": [{"name": "x"}], "data": [{"id": "x", "meta": {"n_ctx": WINDOW, "n_ctx_train": 8_192}}]}),
        ("/api/ps", {"models": [{"name": "test:latest", "model": "test:latest", "context_length": WINDOW}]}),
        ("/api/v0/models", {"data": [{"id": "test", "loaded_context_length": WINDOW, "max_context_length": 32_768}]}),
    ],
    ids=["llama.cpp", "vLLM", "OpenRouter", "newer llama.cpp", "Ollama", "LM Studio"],
)
def test_the_window_is_what_the_server_tells(server: ScriptedServer, path: str, document: object) -> None:
    server.documents[path] = document

    async def scenario(model: ChatModel) -> None:
        assert await model.window(probe(server.base_url)) == WINDOW
        assert server.asked == []

    run(scenario)


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"data": [{"id": "a", "max_model_len": 5}, {"id": "b", "max_model_len": 6}]},
        {"data": [{"id": "test", "meta": {"n_ctx_train": 8_192}}]},
        {"data": [{"id": "test", "context_length": True}]},
        {"data": [{"id": "test", "state": "not-loaded", "max_context_length": 32_768}]},
        {"data": "none"},
    ],
    ids=["a list", "other models", "training length", "not a number", "not loaded", "another shape"],
)
def test_a_window_that_the_server_does_not_tell_is_unknown(document: object) -> None:
    assert window_in(document, "test") is None


def test_the_file_may_name_less_than_the_server_has_and_a_refusal_less_than_both(server: ScriptedServer) -> None:
    server.documents["/props"] = props(8_192)
    entity = probe(server.base_url, context_tokens=4_096)

    async def scenario(model: ChatModel) -> None:
        assert await model.window(entity) == 4_096
        with pytest.raises(WindowExceeded):
            await pieces_of(model, entity, TOO_LONG)
        assert await model.window(entity) == WINDOW

    run(scenario)


def test_of_several_addresses_the_smallest_window_counts(server: ScriptedServer) -> None:
    with ScriptedServer() as another:
        server.documents["/props"], another.documents["/props"] = props(4_096), props(WINDOW)

        async def scenario(model: ChatModel) -> None:
            assert await model.window(probe([server.base_url, another.base_url])) == WINDOW

        run(scenario)


def test_a_server_is_not_asked_before_each_message(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.documents["/props"] = props(WINDOW)
    clock = Clock()
    monkeypatch.setattr(windows, "time", clock)

    async def scenario(model: ChatModel) -> None:
        entity = probe(server.base_url)
        assert await model.window(entity) == WINDOW
        server.documents["/props"] = props(2 * WINDOW)
        assert await model.window(entity) == WINDOW
        clock.ahead = windows.ASK_AGAIN_SECONDS + 1
        assert await model.window(entity) == 2 * WINDOW

    run(scenario)


def test_a_server_that_is_away_has_no_window() -> None:
    with ScriptedServer() as gone:
        base_url = gone.base_url

    async def scenario(model: ChatModel) -> None:
        assert await model.window(probe(base_url)) is None

    run(scenario)


@pytest.mark.parametrize(
    ("words", "overflow"),
    [
        (
            "You passed 825 input tokens. However, the model's context length is only 1024 tokens",
            Overflow(1_024, None),
        ),
        ("The decoder prompt (length 9254) is longer than the maximum model length of 4096.", Overflow(4_096, 9_254)),
        ("Requested tokens (1140) exceed context window of 1024", Overflow(1_024, 1_140)),
        ("prompt is too long: 210000 tokens > 200000 maximum", Overflow(200_000, 210_000)),
        ("Context size has been exceeded.", Overflow(None, None)),
        ("Your input exceeds the context window of this model. Please adjust your input.", Overflow(None, None)),
        (
            "The input token count (1043256) exceeds the maximum number of tokens allowed (1048576).",
            Overflow(1_048_576, 1_043_256),
        ),
        (
            "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 200 `max_new_tokens`",
            Overflow(4_096, 5_000),
        ),
        ("Please reduce the length of the messages or completion.", Overflow(None, None)),
        ("The server is overloaded.", None),
        ("Invalid 'tools' format", None),
    ],
    ids=[
        "newer vLLM",
        "vLLM's engine",
        "llama-cpp-python",
        "Anthropic",
        "LM Studio, newer",
        "OpenAI",
        "Gemini",
        "TGI",
        "Groq",
        "overloaded",
        "another refusal",
    ],
)
def test_a_window_is_read_from_many_words(words: str, overflow: Overflow | None) -> None:
    """vLLM stops counting where the prompt no longer fits, so its number is not the prompt's."""
    assert Read(400, words, words).overflow == overflow


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (413, "<html><h1>413 Request Entity Too Large</h1></html>"),
        (413, "Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 7345, please reduce"),
        (429, "Request too large for x on tokens per min (TPM): Limit 10000, Requested 12000. The input or output tokens must"),
    ],
    ids=["a proxy", "Groq", "OpenAI"],
)
def test_p4_a_prompt_that_is_too_large_for_the_provider_is_made_smaller(status: int, words: str) -> None:
    """A talk that has grown too long would be refused for ever."""
    assert Read(status, words, words).overflow == Overflow(None, None)


def test_a_refusal_behind_a_gateway_keeps_its_meaning() -> None:
    """LiteLLM quotes the answer of the server inside its own message."""
    assert LM_STUDIO.too_long is not None
    inner = LM_STUDIO.too_long(2_000, 200, WINDOW)
    document = {"error": {"message": f"litellm.BadRequestError: OpenAIException - {inner.body}", "code": "400"}}
    refusal = Read.in_stream(document, is_error=False)
    assert refusal is not None
    assert (refusal.status, refusal.overflow) == (400, Overflow(WINDOW, 2_000))


def test_p4_a_failure_is_not_taken_for_a_window(server: ScriptedServer) -> None:
    server.scripts["test"] = ScriptedModel("Yes.", before=[Refusal(400, {"error": "no such adapter"})])

    async def scenario(model: ChatModel) -> None:
        with pytest.raises(ModelFailed) as failed:
            await pieces_of(model, probe(server.base_url), TALK)
        assert not isinstance(failed.value, WindowExceeded)
        assert "no such adapter" in failed.value.detail

    run(scenario)


def test_p8_a_refusal_that_repeats_the_key_does_not_show_it(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-never-to-be-seen")
    words = "Key sk-never-to-be-seen: This model's maximum context length is 1024 tokens."
    server.scripts["test"] = ScriptedModel("Yes.", before=[Refusal(400, {"error": {"message": words}})])

    async def scenario(model: ChatModel) -> None:
        with pytest.raises(WindowExceeded) as refused:
            await pieces_of(model, probe(server.base_url))
        assert refused.value.detail.endswith("Key (the key): This model's maximum context length is 1024 tokens.")

    run(scenario)
