"""A model at several addresses: the healthy ones in turn, and one that is down costs no visitor anything."""

import asyncio
from collections.abc import Iterator

import httpx2
import openai
import pytest
from asking import Clock, answer_of, pieces_of, probe, run
from scripted_models import ScriptedModel
from scripted_server import Exchange, Refusal, ScriptedServer
from server_words import BROKEN, TOO_MANY

from saywhatwant.entities import Entity
from saywhatwant.models import ModelFailed
from saywhatwant.models.chat import ChatModel, circuit
from saywhatwant.models.chat.circuit import FAILURES, PAUSE_SECONDS
from saywhatwant.models.chat.places import Place, Places
from saywhatwant.models.chat.transport import Transport


@pytest.fixture
def servers() -> Iterator[list[ScriptedServer]]:
    with ScriptedServer({"test": ScriptedModel("One.")}) as one, ScriptedServer({"test": ScriptedModel("Two.")}) as two:
        yield [one, two]


def everywhere(servers: list[ScriptedServer]) -> Entity:
    return probe([server.base_url for server in servers])


async def answers(model: ChatModel, entity: Entity, times: int) -> list[str]:
    return [await answer_of(model, entity) for _ in range(times)]


def test_healthy_addresses_answer_in_turn(servers: list[ScriptedServer]) -> None:
    async def scenario(model: ChatModel) -> None:
        assert await answers(model, everywhere(servers), 4) == ["One.", "Two."] * 2

    run(scenario)


@pytest.mark.parametrize(
    "refusal",
    [BROKEN, TOO_MANY, Refusal(404, {"error": {"message": "no such model"}}), Refusal(401, {"error": {"message": "no key"}})],
    ids=["broken", "busy", "without the model", "without the key"],
)
def test_p4_an_address_that_cannot_answer_sends_the_question_to_the_next_one_at_once(
    servers: list[ScriptedServer], refusal: Refusal
) -> None:
    servers[0].scripts["test"] = ScriptedModel(before=[refusal] * 99)

    async def scenario(model: ChatModel) -> None:
        assert await answer_of(model, everywhere(servers)) == "Two."
        assert servers[0].requests["test"] == 1

    run(scenario)


def test_p4_an_address_that_is_down_costs_one_visitor_its_time_and_no_other(
    servers: list[ScriptedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that does not answer at all costs ``CONNECT_SECONDS``; here it fails as that does, but at once."""
    down, tried = servers[0].base_url, []
    post = Transport.post

    async def post_unless_down(self: Transport, entity: Entity, place: Place, body: dict[str, object]) -> httpx2.Response:
        if place.base_url == down:
            tried.append(place)
            raise openai.APITimeoutError(httpx2.Request("POST", down))
        return await post(self, entity, place, body)

    monkeypatch.setattr(Transport, "post", post_unless_down)

    async def scenario(model: ChatModel) -> None:
        assert await answers(model, everywhere(servers), 5) == ["Two."] * 5
        assert len(tried) == 1
        assert model.open_circuit(everywhere(servers)) is None

    run(scenario)


def test_an_address_that_works_again_is_found_without_a_visitor(
    servers: list[ScriptedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(circuit, "time", clock)
    servers[0].scripts["test"] = ScriptedModel("One.", before=[BROKEN] * 2)

    async def scenario(model: ChatModel) -> None:
        entity = everywhere(servers)
        assert await answers(model, entity, 2) == ["Two."] * 2
        for _ in range(2):  # the first small request fails as well
            clock.ahead += PAUSE_SECONDS + 1
            assert await answer_of(model, entity) == "Two."
            await asyncio.gather(*model._probes)
        assert [asked.turns for asked in servers[0].asked[1:]] == [[("user", "Hello")]] * 2
        assert sorted(await answers(model, entity, 2)) == ["One.", "Two."]

    run(scenario)


def test_an_address_that_refuses_the_small_request_is_called_again(
    servers: list[ScriptedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenAI's reasoning models refuse an answer of one token."""
    clock = Clock()
    monkeypatch.setattr(circuit, "time", clock)
    too_small = Refusal(400, {"error": {"message": "Could not finish the message because max_tokens was reached."}})
    answering = ScriptedModel("One.", before=[BROKEN])

    def script(exchange: Exchange) -> None:
        if exchange.asked.max_tokens == 1:
            exchange.send_refusal(too_small)
        else:
            answering(exchange)

    servers[0].scripts["test"] = script

    async def scenario(model: ChatModel) -> None:
        entity = everywhere(servers)
        assert await answer_of(model, entity) == "Two."
        clock.ahead += PAUSE_SECONDS + 1
        assert await answer_of(model, entity) == "Two."
        await asyncio.gather(*model._probes)
        assert sorted(await answers(model, entity, 2)) == ["One.", "Two."]

    run(scenario)


def test_p4_when_all_addresses_are_down_the_circuit_opens_and_names_one(servers: list[ScriptedServer]) -> None:
    for server in servers:
        server.scripts["test"] = ScriptedModel(before=[BROKEN] * 99)

    async def scenario(model: ChatModel) -> None:
        entity = everywhere(servers)
        for _ in range(FAILURES):
            assert model.open_circuit(entity) is None
            with pytest.raises(ModelFailed, match="refused with 500"):
                await pieces_of(model, entity)
        opened = model.open_circuit(entity)
        assert opened is not None
        assert opened.provider in {f"test at {server.base_url}" for server in servers}
        assert opened.reason.startswith("the model refused with 500 (Internal Server Error): The server had an error")

    run(scenario)


def test_p4_a_question_that_is_wrong_everywhere_is_asked_once(servers: list[ScriptedServer]) -> None:
    for server in servers:
        server.scripts["test"] = ScriptedModel(before=[Refusal(400, {"error": {"message": "no such adapter"}})])

    async def scenario(model: ChatModel) -> None:
        with pytest.raises(ModelFailed, match="refused with 400"):
            await pieces_of(model, everywhere(servers))
        assert sum(server.requests["test"] for server in servers) == 1

    run(scenario)


def test_the_address_whose_pause_ends_first_is_the_last_resort() -> None:
    places = Places()
    entity = probe(["http://one.example/v1", "http://two.example/v1"])
    one, two = places.of(entity)
    for _ in range(FAILURES + 1):
        one.circuit.failed("refused")
    for _ in range(FAILURES):
        two.circuit.failed("refused")
    assert places.next(entity) is two
    assert places.open_circuit(entity) is two
    assert places.to_probe(entity) == []


def test_entities_with_one_model_share_what_is_known_of_it() -> None:
    places = Places()
    one, two = probe("http://one.example/v1"), probe("http://one.example/v1", temperature=0)
    assert places.of(one) == places.of(two)
    assert places.of(probe("http://one.example/v1", "other")) != places.of(one)
    assert places.of(probe(["http://one.example/v1"] * 3)) == places.of(one)


def test_an_address_is_shown_without_its_password() -> None:
    assert str(Place("test", "http://me:secret@one.example:81/v1")) == "test at http://one.example:81/v1"
    assert str(Place("test", None)) == "test at OpenAI"
