"""A cold model: it is waited for in one request, it is shown as waking up, and it does not silence its neighbours."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from typing import cast

import pytest
from asking import LONG, Clock, answer_of, pieces_of, probe, run, text_of
from scripted_models import Loading, ScriptedModel
from scripted_server import Exchange, ScriptedServer, chunk, event
from server_words import BROKEN, LLAMA_CPP, OLLAMA

from saywhatwant.models import Answer, Finished, ModelFailed, Piece, Request, Turn, Waking
from saywhatwant.models.chat import ChatModel, call, chat, patience, places
from saywhatwant.models.chat.circuit import FAILURES
from saywhatwant.models.chat.patience import Patience, Silence, TooLong
from saywhatwant.models.chat.places import COLD_AFTER_SECONDS, Place

SHORT = 0.25
"""Seconds of silence that end an answer of a model that is loaded; more than a server here needs on a busy machine."""


@pytest.fixture
def loading() -> Loading:
    return Loading()


@pytest.fixture
def server(loading: Loading) -> Iterator[ScriptedServer]:
    """Speaks as Ollama does: it keeps silent until the model is loaded, and aborts loading when the client hangs up."""
    with ScriptedServer({"test": ScriptedModel("Yes.", words=OLLAMA, loading=loading)}) as started:
        yield started


@pytest.fixture
def announced_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the time that a model is shown as waking up, the silence has lasted longer than ``SHORT``."""
    monkeypatch.setattr(chat, "WAKING_AFTER_SECONDS", 3 * SHORT)


@pytest.fixture
def announced_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "WAKING_AFTER_SECONDS", 0)


@pytest.mark.usefixtures("announced_late")
def test_p4_a_cold_model_is_waited_for_in_one_request(server: ScriptedServer, loading: Loading) -> None:
    """Failure 29: it took 90 s, was given up after 20 s, and began again each time."""

    async def scenario(model: ChatModel) -> None:
        stream = model.stream(probe(server.base_url), Request([Turn("user", "Why?")]))
        assert await anext(stream) == Waking()
        await asyncio.to_thread(loading.waiting.wait)
        loading.finish()
        assert text_of([piece async for piece in stream]) == "Yes."
        assert (loading.begun, server.requests["test"]) == (1, 1)

    run(scenario, idle_seconds=SHORT)


@pytest.mark.usefixtures("announced_late")
def test_p4_a_model_that_fell_silent_is_given_the_time_to_load_at_the_next_attempt(
    server: ScriptedServer, loading: Loading
) -> None:
    """It answered a moment ago, but its server has unloaded it since."""
    loading.loaded.set()

    async def scenario(model: ChatModel) -> None:
        entity = probe(server.base_url)
        assert await answer_of(model, entity) == "Yes."
        loading.evict()
        with pytest.raises(ModelFailed, match=rf"sent nothing for {SHORT} s \(timeout\)"):
            await answer_of(model, entity)
        stream = model.stream(entity, Request([Turn("user", "Why?")]))
        assert await anext(stream) == Waking()
        await asyncio.to_thread(loading.waiting.wait)
        loading.finish()
        assert text_of([piece async for piece in stream]) == "Yes."

    run(scenario, idle_seconds=SHORT)


@pytest.mark.usefixtures("announced_at_once")
def test_p4_a_server_that_reports_loading_is_waited_for(monkeypatch: pytest.MonkeyPatch, loading: Loading) -> None:
    """As llama.cpp does, with 503; it is no failure, and no attempt of the message."""
    monkeypatch.setattr(call, "LOADING_POLL_SECONDS", 0.001)
    with ScriptedServer({"test": ScriptedModel("Yes.", words=LLAMA_CPP, loading=loading)}) as server:

        async def scenario(model: ChatModel) -> None:
            entity = probe(server.base_url)
            stream = model.stream(entity, Request([Turn("user", "Why?")]))
            assert await anext(stream) == Waking()
            while server.requests["test"] < 2 * call.ATTEMPTS:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.001)
            loading.finish()
            assert text_of([piece async for piece in stream]) == "Yes."

        run(scenario)


def test_p4_while_one_address_loads_another_one_answers(loading: Loading) -> None:
    """A server of two was started again: its visitors do not wait for it."""
    with (
        ScriptedServer({"test": ScriptedModel("One.", words=LLAMA_CPP, loading=loading)}) as one,
        ScriptedServer({"test": ScriptedModel("Two.")}) as two,
    ):

        async def scenario(model: ChatModel) -> None:
            entity = probe([one.base_url, two.base_url])
            assert await answer_of(model, entity) == "Two."
            assert await answer_of(model, entity) == "Two."
            assert one.requests["test"] == 1

        run(scenario)


@pytest.mark.usefixtures("announced_at_once")
def test_p4_a_stream_that_is_closed_while_its_model_loads_is_hung_up(server: ScriptedServer, loading: Loading) -> None:
    async def scenario(model: ChatModel) -> None:
        stream = cast("AsyncGenerator[Piece]", model.stream(probe(server.base_url), Request([Turn("user", "Why?")])))
        assert await anext(stream) == Waking()
        await asyncio.to_thread(loading.waiting.wait)
        await stream.aclose()
        while loading.waiting.is_set():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.001)

    run(scenario)


def test_p4_a_server_that_loads_for_ever_ends_as_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(patience, "time", clock)
    monkeypatch.setattr(call, "LOADING_POLL_SECONDS", 0)
    assert LLAMA_CPP.loading is not None
    loading = LLAMA_CPP.loading

    def script(exchange: Exchange) -> None:
        clock.ahead += 100
        exchange.send_refusal(loading)

    with ScriptedServer({"test": script}) as server:

        async def scenario(model: ChatModel) -> None:
            with pytest.raises(ModelFailed, match="the model is still being loaded"):
                await pieces_of(model, probe(server.base_url))
            assert server.requests["test"] == 2

        run(scenario)


@pytest.mark.usefixtures("announced_at_once")
def test_a_model_that_answered_lately_is_not_shown_as_waking_up(
    server: ScriptedServer, loading: Loading, monkeypatch: pytest.MonkeyPatch
) -> None:
    loading.loaded.set()
    clock = Clock()
    monkeypatch.setattr(places, "time", clock)

    async def scenario(model: ChatModel) -> None:
        entity = probe(server.base_url)
        await answer_of(model, entity)
        assert Waking() not in await pieces_of(model, entity)
        clock.ahead = COLD_AFTER_SECONDS + 1
        assert await pieces_of(model, entity) == [Waking(), Answer("Yes."), Finished("stop")]

    run(scenario)


def test_keep_alives_of_a_gateway_are_no_answer_and_do_not_wait_for_ever(server: ScriptedServer) -> None:
    def script(exchange: Exchange) -> None:
        exchange.begin()
        while not exchange.wait(0.005):
            exchange.send(": OPENROUTER PROCESSING\n\n")

    server.scripts["test"] = script

    async def scenario(model: ChatModel) -> None:
        with pytest.raises(ModelFailed, match=f"did not finish within {1 + SHORT:g} s"):
            await pieces_of(model, probe(server.base_url, loading_seconds=1))

    run(scenario, total_seconds=SHORT)


def test_a_request_that_is_cancelled_while_the_model_loads_is_hung_up(server: ScriptedServer, loading: Loading) -> None:
    async def scenario(model: ChatModel) -> None:
        asking = asyncio.create_task(pieces_of(model, probe(server.base_url)))
        await asyncio.to_thread(loading.waiting.wait)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        while loading.waiting.is_set():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.001)

    run(scenario)


def test_waking_a_model_asks_it_for_a_word_at_each_address(server: ScriptedServer, loading: Loading) -> None:
    loading.loaded.set()
    with ScriptedServer({"test": ScriptedModel("Yes.")}) as another:

        async def scenario(model: ChatModel) -> None:
            await model.wake(probe([server.base_url, another.base_url]))
            assert (server.requests["test"], another.requests["test"]) == (1, 1)
            assert server.asked[0].turns == [("user", "Hello")]

        run(scenario)


def test_waking_a_model_that_is_away_raises_nothing() -> None:
    with ScriptedServer() as gone:
        base_url = gone.base_url

    async def scenario(model: ChatModel) -> None:
        await model.wake(probe(base_url))

    run(scenario)


def test_p4_a_model_that_fails_does_not_silence_another_one_on_its_host() -> None:
    """Failure 30: a model that loaded kept the messages to one that was loaded waiting."""
    with ScriptedServer({"bad": ScriptedModel(before=[BROKEN] * 99), "good": ScriptedModel("Yes.")}) as server:

        async def scenario(model: ChatModel) -> None:
            bad, good = probe(server.base_url, "bad"), probe(server.base_url, "good")
            for _ in range(FAILURES):
                with pytest.raises(ModelFailed, match="refused with 500"):
                    await pieces_of(model, bad)
            circuit = model.open_circuit(bad)
            assert circuit is not None
            assert circuit.provider == f"bad at {server.base_url}"
            assert model.open_circuit(good) is None
            assert await answer_of(model, good) == "Yes."

        run(scenario)


def limits(*, is_cold: bool) -> Patience:
    return Patience(idle_seconds=20, total_seconds=45, loading_seconds=180, is_cold=is_cold)


def test_the_time_for_loading_is_not_taken_from_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(patience, "time", clock)
    cold, warm = limits(is_cold=True), limits(is_cold=False)
    assert cold.seconds_left == pytest.approx(180 + 45)
    assert warm.seconds_left == pytest.approx(45)
    clock.ahead = 170
    cold.begins()
    assert cold.seconds_left == pytest.approx(45)
    assert not cold.is_waking
    assert warm.loads() is True


def test_a_model_that_reports_loading_gets_the_time_for_it_but_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(patience, "time", clock)
    warm = limits(is_cold=False)
    clock.ahead = 179
    assert warm.loads()
    assert warm.is_waking
    clock.ahead = 181
    assert not warm.loads()


def test_a_model_that_reads_a_long_prompt_gets_the_time_for_it_and_is_not_shown_as_waking_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(patience, "time", clock)
    warm = limits(is_cold=False)
    warm.reads()
    assert warm.seconds_left == pytest.approx(180 + 45)
    assert not warm.is_waking


def test_p4_a_prompt_that_llama_cpp_reads_for_long_is_waited_for(server: ScriptedServer) -> None:
    """On a processor, a talk that fills the window takes longer to read than a silence may last."""
    read = threading.Event()
    server.documents["/v1/models"] = {"data": [{"id": "test", "owned_by": "llamacpp", "meta": {"n_ctx": 2_048}}]}

    def script(exchange: Exchange) -> None:
        exchange.begin()
        if exchange.asked.times > 1:
            exchange.send_json({**chunk({"content": None}), "prompt_progress": {"total": 1_791, "processed": 0}})
            read.wait()
        exchange.stream("Yes.", finish="stop")
        exchange.end()

    server.scripts["test"] = script

    async def scenario(model: ChatModel) -> None:
        entity = probe(server.base_url)
        await model.window(entity)
        await answer_of(model, entity)
        assert server.asked[-1].parameters["return_progress"] is True
        asking = asyncio.create_task(pieces_of(model, entity))
        done, _ = await asyncio.wait({asking}, timeout=3 * SHORT)
        assert not done
        read.set()
        assert text_of(await asking) == "Yes."

    run(scenario, idle_seconds=SHORT)


def test_p4_a_question_that_may_wait_behind_another_is_given_the_time(server: ScriptedServer) -> None:
    """LM Studio answers one question at a time; the third of three waits for two answers."""
    first, second = threading.Event(), threading.Event()
    gates = [first, second]

    def script(exchange: Exchange) -> None:
        exchange.begin()
        if exchange.asked.times == 2:
            exchange.send(event({"content": "One"}))
            while not first.wait(SHORT / 5):
                exchange.send(": ping\n\n")
        elif exchange.asked.times == 3:
            second.wait()
        exchange.stream(".", finish="stop")
        exchange.end()

    server.scripts["test"] = script

    async def scenario(model: ChatModel) -> None:
        entity = probe(server.base_url)
        await answer_of(model, entity)
        stream = model.stream(entity, Request([Turn("user", "Why?")]))
        assert await anext(stream) == Answer("One")
        behind = asyncio.create_task(answer_of(model, entity))
        done, _ = await asyncio.wait({behind}, timeout=3 * SHORT)
        assert not done
        for gate in gates:
            gate.set()
        assert text_of([piece async for piece in stream]) == "."
        assert await behind == "."

    run(scenario, idle_seconds=SHORT)


def test_a_silence_and_a_long_answer_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(patience, "time", clock)

    async def scenario() -> None:
        never = asyncio.Event()
        with pytest.raises(Silence) as silence:
            await Patience(idle_seconds=0.001, total_seconds=LONG, loading_seconds=1, is_cold=False).wait(never.wait())
        assert not isinstance(silence.value, TooLong)
        late = limits(is_cold=False)
        clock.ahead = 46
        with pytest.raises(TooLong) as too_long:
            await late.wait(never.wait())
        assert too_long.value.seconds == 45

    asyncio.run(scenario())


def test_a_place_is_cold_until_it_has_answered() -> None:
    place = Place("test", None)
    cold = [place.is_cold]
    for event_of_a_place in (place.answered, place.fell_silent):
        event_of_a_place()
        cold.append(place.is_cold)
    assert cold == [True, False, True]


def test_p4_a_stall_in_the_middle_of_an_answer_is_a_silence(server: ScriptedServer) -> None:
    def script(exchange: Exchange) -> None:
        exchange.begin()
        exchange.send(event({"content": "Becau"}))
        exchange.wait()

    server.scripts["test"] = script

    async def scenario(model: ChatModel) -> None:
        stream = model.stream(probe(server.base_url), Request([Turn("user", "Why?")]))
        assert await anext(stream) == Answer("Becau")
        with pytest.raises(ModelFailed, match="sent nothing for"):
            await anext(stream)
        assert server.requests["test"] == 1

    run(scenario, idle_seconds=SHORT)
