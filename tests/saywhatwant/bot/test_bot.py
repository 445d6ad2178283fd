"""The bot: which messages it answers, and how it handles failures of models and of the wall (P3, P4)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from bot_harness import (
    CLAIM,
    COMPLETE,
    LEASE_SECONDS,
    PROGRESS,
    URL,
    FakeModel,
    Harness,
    SlowModel,
    entities_file,
    many_entities,
    no_model,
    run,
    run_alone,
    stop,
)

from saywhatwant.bot import Bot
from saywhatwant.bot.answers import UNEXPECTED
from saywhatwant.client import ClaimedNext, WallClient
from saywhatwant.entities import Entities, Entity
from saywhatwant.limits import MAX_ENTITIES
from saywhatwant.models import ModelRouter, OpenCircuit, Piece, Request
from saywhatwant.schemas import ClaimRequest

pytestmark = pytest.mark.usefixtures("no_settings")

ENTITIES = Entities().current
OPEN = OpenCircuit("http://127.0.0.1:1/v1", 0.02, "refused with 500")


def test_p8_a_bot_for_an_unknown_entity_is_refused() -> None:
    with pytest.raises(ValueError, match="no such entity: nobody; must be one of eliza, "):
        Bot(WallClient(URL), "bot", Entities(), ModelRouter(no_model), names=["zen", "nobody"])


Answers = Callable[[Callable[[str], str | None]], None]


@pytest.fixture
def chatbot_answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Replaces what the chatbots answer."""

    def replace(respond: Callable[[str], str | None]) -> None:
        monkeypatch.setattr("saywhatwant.models.chatbot.personality", lambda _: SimpleNamespace(respond=respond))

    return replace


def test_p4_a_bot_answers_messages_to_its_entity_and_to_no_entity() -> None:
    async def scenario(harness: Harness) -> None:
        for entity in ("zen", None):
            posted = await harness.post(entity=entity)
            message = await harness.until_complete(posted)
            (reply,) = await harness.replies(posted)
            assert (reply.username, reply.color, reply.message_type) == ("Zen", ENTITIES["zen"].color, "AI")
            assert message.bot_params.answered_by == reply.id
        other = await harness.post(entity="rude")
        await harness.until_complete(await harness.post())
        assert (await harness.message(other)).bot_params.status == "pending"

    run(scenario)


@pytest.mark.parametrize("answer", [None, "", "  \n"], ids=["nothing", "empty", "only space"])
def test_p4_a_message_without_an_answer_goes_back_with_the_reason(chatbot_answers: Answers, answer: str | None) -> None:
    chatbot_answers(lambda _: answer)

    async def scenario(harness: Harness) -> None:
        posted = await harness.post()
        given_back = (await harness.until(posted, lambda params: params.error)).bot_params
        assert given_back.error == "zen has no answer"
        assert given_back.status == "pending"
        assert await harness.replies(posted) == []

    run(scenario)


def test_p4_a_chatbot_that_breaks_fails_its_message_and_the_next_is_answered(chatbot_answers: Answers) -> None:
    def respond(text: str) -> str:
        if text == "break":
            raise ZeroDivisionError("broken")
        return "Yes."

    chatbot_answers(respond)

    async def scenario(harness: Harness) -> None:
        broken, next_one = await harness.post("break"), await harness.post()
        await harness.until_complete(next_one)
        assert (await harness.message(broken)).bot_params.error == UNEXPECTED

    run(scenario)


class TooSlow(FakeModel):
    """While it answers the first message, the lease ends and another worker claims it."""

    harness: Harness

    async def stream(self, entity: Entity, request: Request) -> AsyncIterator[Piece]:
        if request.turns[-1].content == "slow":
            self.harness.runtime.advance(LEASE_SECONDS + 1)
            await self.harness.claim("another")
        async for piece in super().stream(entity, request):
            yield piece


def test_p3_a_late_reply_is_refused_and_the_bot_continues() -> None:
    model = TooSlow()

    async def scenario(harness: Harness) -> None:
        model.harness = harness
        slow = await harness.post("slow")
        await harness.until_complete(await harness.post())
        assert (COMPLETE, 409) in harness.proxy.statuses
        taken = (await harness.message(slow)).bot_params
        assert (taken.status, taken.claimed_by, taken.attempt) == ("processing", "another", 2)
        assert await harness.replies(slow) == []

    log = run(scenario, model=model)
    assert any("this attempt no longer holds the message" in line for line in log)


def test_p3_two_bots_never_answer_the_same_message() -> None:
    """One is paused until its lease has passed on; the other holds the message when the first one comes back."""

    async def scenario(harness: Harness) -> None:
        late, holder = SlowModel("the late answer"), SlowModel("the holder's answer")
        first = asyncio.create_task(harness.new_bot("first", late).run())
        asked = await harness.post()
        await late.asked.wait()
        harness.runtime.advance(LEASE_SECONDS + 1)
        second = asyncio.create_task(harness.new_bot("second", holder).run())
        await holder.asked.wait()
        late.done.set()
        await harness.until_called(COMPLETE)
        while not harness.proxy.statuses or harness.proxy.statuses[-1] != (COMPLETE, 409):  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.001)
        holder.done.set()
        await harness.until_complete(asked)
        assert [reply.text for reply in await harness.replies(asked)] == ["the holder's answer"]
        await stop(first)
        await stop(second)

    run_alone(scenario)


def test_p4_two_bots_with_one_entity_answer_each_message_once() -> None:
    async def scenario(harness: Harness) -> None:
        bots = [asyncio.create_task(harness.new_bot(name, FakeModel()).run()) for name in ("one", "two")]
        asked = [await harness.post(f"question {number}") for number in range(40)]
        for message_id in asked:
            await harness.until_complete(message_id)
        replies = [message.reply_to for message in await harness.wall() if message.message_type == "AI"]
        assert sorted(filter(None, replies)) == sorted(asked)
        for bot in bots:
            await stop(bot)

    run_alone(scenario)


def test_p4_a_completion_whose_answer_was_lost_counts_as_answered() -> None:
    """The wall has the reply; the repeated call gets the first answer again (P7)."""
    ids: list[str] = []

    async def scenario(harness: Harness) -> None:
        posted = await harness.post()
        ids.append(posted)
        complete = harness.proxy.handle_async_request
        lost: list[httpx.Response] = []

        async def lose_the_first(request: httpx.Request) -> httpx.Response:
            response = await complete(request)
            if request.url.path == COMPLETE and not lost:
                lost.append(response)
                raise httpx.ReadError("the connection broke")
            return response

        harness.proxy.handle_async_request = lose_the_first  # type: ignore[method-assign]
        await harness.until_complete(posted)
        await harness.until_called(COMPLETE, 2)
        await harness.until_complete(await harness.post())
        assert len(await harness.replies(posted)) == 1

    log = run(scenario)
    (line,) = [line for line in log if ids[0] in line]
    assert "'event': 'answered'" in line


def test_p4_a_bot_continues_after_a_server_error_on_its_claim() -> None:
    """Otherwise one 500, from the server or a proxy in front of it, would silence an entity until somebody notices."""

    async def scenario(harness: Harness) -> None:
        harness.proxy.instead[CLAIM] = [httpx.Response(500), httpx.Response(500)]
        await harness.until_complete(await harness.post())
        assert not harness.proxy.instead[CLAIM]

    run(scenario)


def test_p4_while_a_circuit_is_open_its_messages_keep_their_attempts() -> None:
    model = FakeModel()
    model.circuit = OPEN

    async def scenario(harness: Harness) -> None:
        posted = await harness.post()
        for _ in range(50):
            await asyncio.sleep(0.001)
            assert (await harness.message(posted)).bot_params.attempt == 0
        model.circuit = None
        assert (await harness.until_complete(posted)).bot_params.attempt == 1

    run(scenario, model=model)


def test_p4_an_entity_that_returns_to_the_file_is_answered_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saywhatwant.bot.loop.MAX_PAUSE_SECONDS", 0.01)
    file = tmp_path / "entities.toml"

    async def scenario(harness: Harness) -> None:
        await harness.until_complete(await harness.post())
        while not harness.bot._claims.tasks:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.001)
        entities_file(file, "another")
        lost = await harness.post()
        await harness.until(lost, lambda params: params.error == "nobody answers as 'zen' any more")
        meanwhile = await harness.post()
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert (await harness.message(meanwhile)).bot_params.attempt == 0
        entities_file(file, "zen")
        await harness.until_complete(meanwhile)

    run(scenario, entities_file(file, "zen"), FakeModel())


def test_p4_a_bot_answers_for_more_entities_than_one_claim_may_name(tmp_path: Path) -> None:
    async def scenario(harness: Harness) -> None:
        for name in ("entity-0", f"entity-{MAX_ENTITIES}"):
            await harness.until_complete(await harness.post(entity=name))

    run(scenario, many_entities(tmp_path), FakeModel(), names=())


def test_a_claim_whose_answer_is_late_does_not_make_the_bot_ask_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other claim, which it has beside that one, is answered in time and made again."""
    monkeypatch.setattr("saywhatwant.bot.claims.MAX_WAIT_SECONDS", 0.05)
    claim_next = WallClient.claim_next
    waits: list[float] = []

    async def late_once(client: WallClient, claim: ClaimRequest) -> ClaimedNext:
        waits.append(claim.wait)
        if len(waits) == 1:
            await asyncio.Event().wait()
        return await claim_next(client, claim)

    monkeypatch.setattr(WallClient, "claim_next", late_once)

    async def scenario(_: Harness) -> None:
        while len(waits) < 5:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)
        assert min(waits) > 0

    run(scenario, many_entities(tmp_path), FakeModel(), names=())


def test_an_idle_bot_has_one_long_poll_and_makes_no_other_call() -> None:
    async def scenario(harness: Harness) -> None:
        await harness.until_called(CLAIM)
        for _ in range(200):
            await asyncio.sleep(0)
        assert harness.proxy.calls == [CLAIM]

    run(scenario)


def test_a_reply_that_comes_in_one_piece_is_not_announced() -> None:
    """Its progress would arrive after the reply, and be refused."""

    async def scenario(harness: Harness) -> None:
        for _ in range(20):
            await harness.until_complete(await harness.post())
        assert harness.count(PROGRESS) == 0

    run(scenario)


def test_p4_a_stopped_bot_gives_back_what_it_cannot_finish() -> None:
    async def scenario(harness: Harness) -> None:
        model = SlowModel()
        bot = asyncio.create_task(harness.new_bot("stopped", model, grace_seconds=0.01).run())
        held = await harness.post()
        await model.asked.wait()
        await stop(bot)
        given_back = (await harness.message(held)).bot_params
        assert (given_back.status, given_back.attempt, given_back.tries) == ("pending", 1, 0)

    run_alone(scenario)


def test_p4_a_message_whose_bots_are_stopped_again_and_again_is_still_answered() -> None:
    """An autoscaler stops bots as it likes; that is not the message's fault."""

    async def scenario(harness: Harness) -> None:
        held = await harness.post()
        for _ in range(5):
            model = SlowModel()
            bot = asyncio.create_task(harness.new_bot("stopped", model, grace_seconds=0.01).run())
            await model.asked.wait()
            await stop(bot)
        bot = asyncio.create_task(harness.new_bot("another", FakeModel()).run())
        answered = (await harness.until_complete(held)).bot_params
        assert (answered.attempt, answered.tries) == (6, 1)
        await stop(bot)

    run_alone(scenario)


def test_p4_a_stopped_bot_gives_back_what_it_was_just_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server has claimed it for the bot; the answer is still on its way when the bot is stopped."""
    claimed, claim_next = asyncio.Event(), WallClient.claim_next

    async def answer_late(client: WallClient, claim: ClaimRequest) -> ClaimedNext:
        messages = await claim_next(client, claim)
        claimed.set()
        await asyncio.Event().wait()
        return messages

    async def scenario(harness: Harness) -> None:
        monkeypatch.setattr(WallClient, "claim_next", answer_late)
        bot = asyncio.create_task(harness.new_bot("stopped", FakeModel()).run())
        held = await harness.post()
        await claimed.wait()
        await stop(bot)
        given_back = (await harness.message(held)).bot_params
        assert (given_back.status, given_back.attempt, given_back.tries) == ("pending", 1, 0)

    run_alone(scenario)


def test_p4_a_stopped_bot_finishes_what_is_done_in_time() -> None:
    async def scenario(harness: Harness) -> None:
        model = SlowModel()
        bot = asyncio.create_task(harness.new_bot("stopped", model, grace_seconds=60).run())
        held = await harness.post()
        await model.asked.wait()
        bot.cancel()
        await asyncio.sleep(0)
        model.done.set()
        await stop(bot)
        assert (await harness.message(held)).bot_params.status == "complete"

    run_alone(scenario)


def test_a_bot_whose_server_is_away_stops_within_its_grace() -> None:
    """It would try for half a minute to give back what it holds; a service manager kills it after ten seconds."""

    async def scenario(harness: Harness) -> None:
        model = SlowModel()
        bot = asyncio.create_task(harness.new_bot("stopped", model, grace_seconds=0.01).run())
        await harness.post()
        await model.asked.wait()
        harness.proxy.handle_async_request = _unreachable  # type: ignore[method-assign]
        await stop(bot)

    run_alone(scenario)


async def _unreachable(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)
