"""Streams as servers and gateways really send them, and in any pieces that a network makes of them."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import pairwise

import httpx2
import pytest
import stamina
from asking import pieces_of, probe, run, text_of
from hypothesis import given
from hypothesis import strategies as st
from scripted_models import ScriptedModel
from scripted_server import Exchange, ScriptedServer, chunk, event
from server_streams import DONE, STREAMS, gateway

from saywhatwant.models import Answer, Finished, ModelFailed, Piece, Reasoning
from saywhatwant.models.chat import ChatModel
from saywhatwant.models.chat.call import ATTEMPTS
from saywhatwant.models.chat.chunks import Reading, pieces
from saywhatwant.models.chat.events import MAX_LINE_BYTES, events
from saywhatwant.models.chat.failures import NotAnAnswer
from saywhatwant.models.chat.refusals import RefusedMidway

TEXT = "Because it is dark \U0001f311."
WORDS = ("Because", " it is", " dark \U0001f311", ".")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as started:
        yield started


def read(*parts: bytes) -> list[Piece | Reading]:
    """The pieces of a stream that arrives in these parts."""

    async def arrive() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    async def collect() -> list[Piece | Reading]:
        request = httpx2.Request("POST", "http://127.0.0.1/v1/chat/completions")
        return [piece async for piece in pieces(events(arrive(), request))]

    return asyncio.run(collect())


def read_text(text: str) -> list[Piece | Reading]:
    return read(text.encode())


@pytest.mark.parametrize("name", STREAMS)
def test_p4_an_answer_arrives_whole_in_the_stream_of_each_server(server: ScriptedServer, name: str) -> None:
    server.scripts["test"] = ScriptedModel(TEXT, stream=STREAMS[name])

    async def scenario(model: ChatModel) -> None:
        found = await pieces_of(model, probe(server.base_url))
        assert text_of(found) == TEXT
        assert found[-1] == Finished("stop")
        thoughts = "".join(piece.text for piece in found if isinstance(piece, Reasoning))
        assert thoughts == ("They ask for a name." if name.startswith("reasoning") else "")

    run(scenario)


KEEP_ALIVES = (
    ": ping\n\n",
    "id: 7\n\n",
    "retry: 3000\n\n",
    "event: ping\n\n",
    "data:\n\n",
    "\n",
    ":\n",
    'data: {"choices": []}\n\n',
)


@given(
    between=st.lists(st.sampled_from(KEEP_ALIVES), max_size=8),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    bom=st.sampled_from(["", "\ufeff"]),
    cuts=st.lists(st.integers(0, 600), max_size=20),
)
def test_p4_keep_alives_line_ends_and_cuts_change_nothing(between: list[str], newline: str, bom: str, cuts: list[int]) -> None:
    """Wherever the network cuts it, also within a character, a line end or the byte order mark."""
    parts = [event({"content": word}) for word in WORDS] + [event({}, "stop"), DONE]
    for number, keep_alive in enumerate(between):
        parts.insert(number % len(parts), keep_alive)
    data = (bom + "".join(parts).replace("\n", newline)).encode()
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    found = read(*(data[start:end] for start, end in pairwise(edges)))
    assert found == [*map(Answer, WORDS), Finished("stop")]


@pytest.mark.parametrize(
    ("ends", "reason"),
    [
        ([event({}, "stop"), DONE], "stop"),
        ([event({}, "length"), DONE], "length"),
        ([event({}, "stop")], "stop"),
        ([event({}, "stop").rstrip("\n")], "stop"),
        ([DONE], "stop"),
        ([event({}, "length"), event({}, "stop"), DONE], "length"),
        ([event({}, "content_filter"), DONE], "stop"),
        ([event(None, "stop"), "data:   [DONE]  \n\n"], "stop"),
        ([event({"content": ""}, ""), event({}, "stop"), "data: [DONE]"], "stop"),
    ],
    ids=[
        "usual",
        "cut",
        "without DONE",
        "without the last empty line",
        "DONE only",
        "two",
        "filtered",
        "spaces",
        "empty reason",
    ],
)
def test_p4_every_way_to_end_an_answer_is_understood(ends: Sequence[str], reason: str) -> None:
    assert read_text(event({"content": "Yes."}) + "".join(ends)) == [Answer("Yes."), Finished(reason)]  # type: ignore[arg-type]


@pytest.mark.parametrize("stays_open", [False, True], ids=["broken off", "kept open"])
def test_p4_an_answer_that_has_ended_counts_whatever_becomes_of_its_connection(
    server: ScriptedServer,
    stays_open: bool,  # noqa: FBT001
) -> None:
    """Gateways break it off without the end of the body, or keep it open without ``[DONE]``."""

    def script(exchange: Exchange) -> None:
        exchange.begin()
        # At once, so that only the silence behind it can be too long.
        exchange.send("".join(event({"content": word}) for word in WORDS) + event({}, "stop"))
        exchange.close_connection = True
        if stays_open:
            exchange.wait()

    server.scripts["test"] = script

    async def scenario(model: ChatModel) -> None:
        found = await pieces_of(model, probe(server.base_url))
        assert (text_of(found), found[-1]) == (TEXT, Finished("stop"))

    run(scenario, idle_seconds=0.1)


def test_p4_an_answer_without_an_end_is_not_taken_for_a_whole_one() -> None:
    with pytest.raises(NotAnAnswer, match="cut off before the answer was complete"):
        read_text(event({"content": "Yes, bu"}))


ERROR = {"code": 500, "message": "the slot is gone", "type": "server_error"}


@pytest.mark.parametrize(
    "wire",
    [
        f"data: {json.dumps({'error': ERROR})}\n\n",
        f"error: {json.dumps(ERROR)}\n\n",
        f"event: error\ndata: {json.dumps(ERROR)}\n\n",
        f"{json.dumps({'error': 'the slot is gone'})}\n",
        f"data: {json.dumps({'object': 'error', **ERROR})}\n\ndata: [DONE]\n\n",
        f"data: {json.dumps({**chunk({'content': ''}, 'error'), 'error': ERROR})}\n\ndata: [DONE]\n\n",
    ],
    ids=["llama.cpp, vLLM", "older llama.cpp", "LM Studio", "Ollama", "older vLLM", "OpenRouter"],
)
def test_p4_an_error_inside_a_stream_is_seen_with_the_servers_words(wire: str) -> None:
    with pytest.raises(RefusedMidway) as refused:
        read_text(event({"content": "Yes, bu"}) + wire)
    assert refused.value.refusal.message == "the slot is gone"


def test_a_second_choice_is_not_mixed_into_the_answer() -> None:
    second = chunk({"content": "No."})
    second["choices"][0]["index"] = 1
    found = read_text(event({"content": "Yes."}) + f"data: {json.dumps(second)}\n\n" + event({}, "stop"))
    assert found == [Answer("Yes."), Finished("stop")]


def test_reasoning_that_comes_as_a_part_of_the_content_is_not_the_answer() -> None:
    """As Mistral's reasoning models send it."""
    thinking = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "Yes."}]
    assert read_text(event({"content": thinking}) + event({}, "stop")) == [Reasoning("Hm."), Answer("Yes."), Finished("stop")]


def test_an_endless_line_is_given_up() -> None:
    with pytest.raises(NotAnAnswer, match="cannot be read"):
        read(b"data: " + b"x" * MAX_LINE_BYTES, b"x")


def test_p4_a_server_that_does_not_stream_is_understood(server: ScriptedServer) -> None:
    def whole(exchange: Exchange) -> None:
        message = {"role": "assistant", "content": TEXT, "reasoning_content": "Hm."}
        exchange.send_document(200, {"choices": [{"index": 0, "message": message, "finish_reason": "length"}]})

    server.scripts["test"] = whole

    async def scenario(model: ChatModel) -> None:
        assert await pieces_of(model, probe(server.base_url)) == [Reasoning("Hm."), Answer(TEXT), Finished("length")]

    run(scenario)


def test_a_connection_is_used_again_after_an_answer(server: ScriptedServer) -> None:
    connections = set()

    def script(exchange: Exchange) -> None:
        connections.add(exchange.client_address)
        ScriptedModel("Yes.", stream=gateway)(exchange)

    server.scripts["test"] = script

    async def scenario(model: ChatModel) -> None:
        for _ in range(3):
            await pieces_of(model, probe(server.base_url))
        assert len(connections) == 1

    run(scenario)


def test_an_answer_of_nothing_but_reasoning_fails_and_operators_see_why(server: ScriptedServer) -> None:
    server.scripts["test"] = ScriptedModel("", stream=lambda _, __: [event({"reasoning": "Hm, "}), event({}, "length"), DONE])

    async def scenario(model: ChatModel) -> None:
        with pytest.raises(ModelFailed) as failed:
            await pieces_of(model, probe(server.base_url))
        assert str(failed.value) == "the model was still thinking when it reached its limit of tokens"
        assert "after 4 characters of reasoning (finish reason: length)" in failed.value.detail

    run(scenario)


def test_p4_an_error_before_the_first_word_of_a_stream_is_tried_again(server: ScriptedServer) -> None:
    """As a gateway sends it that has answered 200 before it asked its own provider."""
    error = {"error": {"code": 502, "message": "Provider returned error"}}

    def script(exchange: Exchange) -> None:
        exchange.begin()
        if exchange.asked.times == 1:
            exchange.send(": OPENROUTER PROCESSING\n\n")
            exchange.send_json(error)
        else:
            exchange.stream("Yes.", finish="stop")
        exchange.end()

    server.scripts["test"] = script

    async def scenario(model: ChatModel) -> None:
        with stamina.set_testing(True, attempts=ATTEMPTS):
            assert text_of(await pieces_of(model, probe(server.base_url))) == "Yes."
        assert server.requests["test"] == 2

    run(scenario)
