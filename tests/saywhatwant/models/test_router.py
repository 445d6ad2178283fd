"""Each entity's model: if it cannot be loaded, only its own answers fail, with a reason (P4)."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from socket import create_server
from typing import cast

import pytest
from stamina import instrumentation
from stamina.instrumentation import RetryDetails

from saywhatwant.entities import Entity
from saywhatwant.models import Answer, Model, ModelFailed, ModelRouter, Piece, Request, Turn, chatbot
from saywhatwant.models.chat import ChatModel


def entity(model: str, base_url: str | None = None) -> Entity:
    return Entity(display_name="Probe", color="169080199", model=model, base_url=base_url)


def chat() -> Model:
    return ChatModel(idle_seconds=1, total_seconds=2)


def without_its_library() -> Model:
    raise ImportError(
        "cannot import name 'OpenAI' from 'openai' (/home/me/openai.py)", name="openai", path="/home/me/openai.py"
    )


def reason_of(models: ModelRouter, asked: Entity) -> str:
    """Why there is no answer."""

    async def ask() -> str:
        return str([piece async for piece in models.stream(asked, Request([Turn("user", "Why?")]))])

    models.warm_up(asked)
    assert models.open_circuit(asked) is None
    with pytest.raises(ModelFailed) as failed:
        asyncio.run(ask())
    assert models.open_circuit(asked) is None
    return str(failed.value)


@pytest.fixture
def no_chatbot(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """NLTK is not installed."""

    def import_module(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(chatbot, "import_module", import_module)
    chatbot.personality.cache_clear()
    yield
    chatbot.personality.cache_clear()


@pytest.mark.usefixtures("no_chatbot")
def test_p4_a_chatbot_that_is_not_installed_fails_the_answer_and_not_the_start() -> None:
    chatbot.Chatbot().warm_up(entity("nltk:zen"))
    assert reason_of(ModelRouter(chat), entity("nltk:zen")) == "the installed NLTK has no chatbot 'zen'"


def test_p4_so_does_a_library_that_is_not_installed() -> None:
    reason = "the model cannot be called: the package openai is missing or broken"
    assert reason_of(ModelRouter(without_its_library), entity("tiny")) == reason


def test_p4_a_stream_that_is_closed_closes_the_models_stream_at_once() -> None:
    closed: list[str] = []

    class Endless(ChatModel):
        async def stream(self, *_: object) -> AsyncIterator[Piece]:
            try:
                while True:
                    yield Answer("ha")
            finally:
                closed.append("closed")

    async def scenario() -> None:
        models = ModelRouter(lambda: Endless(idle_seconds=1, total_seconds=2))
        stream = cast("AsyncGenerator[Piece]", models.stream(entity("tiny"), Request([Turn("user", "Why?")])))
        await anext(stream)
        await stream.aclose()
        assert closed == ["closed"]

    asyncio.run(scenario())


def test_p4_so_does_an_environment_in_which_no_provider_can_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "nonsense://me:secret@proxy.example")
    asked = entity("tiny", "http://provider.example/v1")
    chat().warm_up(asked)
    reason = reason_of(ModelRouter(chat), asked)
    assert reason.startswith("the model cannot be called: the bot's environment has a wrong value (a proxy, ")
    assert not re.search("secret|example|tiny", reason)


@pytest.fixture
def repeated() -> Iterator[list[RetryDetails]]:
    """Details of every request that is repeated, without the pause."""
    noted: list[RetryDetails] = []

    def note(details: RetryDetails) -> None:
        noted.append(details)

    before = instrumentation.get_on_retry_hooks()
    instrumentation.set_on_retry_hooks([note])
    yield noted
    instrumentation.set_on_retry_hooks(before)


def test_a_request_that_cannot_be_sent_is_not_repeated(monkeypatch: pytest.MonkeyPatch, repeated: list[RetryDetails]) -> None:
    with create_server(("127.0.0.1", 0)) as listening:
        asked = entity("tiny", f"http://127.0.0.1:{listening.getsockname()[1]}/v1")
        with monkeypatch.context() as patched:
            patched.setenv("OPENAI_ORG_ID", "org\n")
            assert "is not valid in HTTP" in reason_of(ModelRouter(chat), asked)
    assert repeated == []
    assert "cannot be reached" in reason_of(ModelRouter(chat), asked)
    assert repeated != []


def test_a_reason_is_one_line_that_the_wall_takes() -> None:
    assert str(ModelFailed("over\x1bloaded \ud83d\r\n\u2028again\n")) == "overloaded again"


def test_warming_up_loads_what_the_first_answer_would_wait_for() -> None:
    made: list[ChatModel] = []

    def make() -> Model:
        made.append(ChatModel(idle_seconds=1, total_seconds=2))
        return made[-1]

    models = ModelRouter(make)
    models.warm_up(entity("nltk:zen"))
    assert made == []
    for _ in range(2):
        models.warm_up(entity("tiny", "http://127.0.0.1:1/v1"))
    (model,) = made
    assert len(model._transport._clients) == 1
