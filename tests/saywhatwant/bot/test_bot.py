"""The bot: what its personalities make of odd texts, and what it does when something goes wrong (P3, P4)."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from scene import LEASE_SECONDS, URL, Moody, Scene, entities_file, many_entities, no_model, run

from profiles import examples
from saywhatwant.bot import Bot
from saywhatwant.bot.loop import UNFORESEEN
from saywhatwant.client import WallClient
from saywhatwant.entities import Entities
from saywhatwant.limits import MAX_ENTITIES, MAX_WAIT_SECONDS
from saywhatwant.message import Color, Message, clean_text, clean_username
from saywhatwant.models import MAX_ANSWER, ModelFailed, ModelRouter, OpenCircuit
from saywhatwant.models.chatbot import answer, personality
from saywhatwant.queue import MessageQueue
from saywhatwant.schemas import ClaimRequest

pytestmark = pytest.mark.usefixtures("no_settings")

ENTITIES = Entities().current
THINKING_SECONDS = 2

WORDS = st.sampled_from(
    ["I", "am", "you", "why", "because", "my", "mother", "%1", "%", "quit", "(", ".*", "\\", "\n", "?", "!"]
)
CHARACTERS = st.characters(codec="utf-8", exclude_categories=["Cc"])
TEXTS = st.one_of(
    st.text(CHARACTERS, min_size=1, max_size=200),
    st.lists(WORDS, min_size=1, max_size=20).map(" ".join),
    st.text(CHARACTERS, min_size=1).map(lambda text: f"I am {text}"),
).filter(lambda text: bool(text.strip()))
"""Texts that the wall takes."""


@contextmanager
def stopwatch() -> Iterator[None]:
    """Ends what would think for ever; a bot could not."""

    def stop(*_: object) -> None:
        pytest.fail(f"it thought for more than {THINKING_SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, THINKING_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("entity", ENTITIES)
def test_p4_a_thousand_odd_texts_get_an_answer_that_the_wall_takes_or_a_reason(entity: str) -> None:
    @settings(max_examples=examples(1_000), phases=[Phase.generate])
    @given(TEXTS)
    def answers(text: str) -> None:
        with stopwatch(), suppress(ModelFailed):
            said = answer(entity, text)
            assert clean_text(said, 2 * MAX_ANSWER) == said

    answers()


@pytest.mark.parametrize("entity", ENTITIES)
@pytest.mark.parametrize("text", ["I am 100%", "I feel %1", "Why are %s and %9 the same?", "I need %1 %1 %1", "You are %"])
def test_p4_a_percent_sign_is_a_character_like_any_other(entity: str, text: str) -> None:
    """The personalities mark with it where to repeat what they were told."""
    with stopwatch():
        for _ in range(20):  # they choose at random what to say
            assert answer(entity, text)


@pytest.mark.parametrize("name", ENTITIES)
def test_p4_every_entity_has_a_personality_and_a_name_and_colour_that_the_wall_takes(name: str) -> None:
    entity = ENTITIES[name]
    assert personality(name).respond("Hello")
    assert clean_username(entity.display_name) == entity.display_name
    assert msgspec.convert(entity.color, Color) == entity.color


def test_p8_a_bot_for_an_entity_that_is_not_there_is_not_made() -> None:
    with pytest.raises(ValueError, match="nobody"):
        Bot(WallClient(URL), "bot", Entities(), ModelRouter(no_model), names=["zen", "nobody"])


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str], str | None]], None]:
    """Replaces what the personalities say."""

    def replace(respond: Callable[[str], str | None]) -> None:
        monkeypatch.setattr("saywhatwant.models.chatbot.personality", lambda _: SimpleNamespace(respond=respond))

    return replace


Says = Callable[[Callable[[str], str | None]], None]


def test_p4_a_bot_answers_what_is_asked_of_its_entity_and_of_nobody() -> None:
    async def scenario(scene: Scene) -> None:
        for entity in ("zen", None):
            posted = await scene.post(entity=entity)
            message = await scene.until_complete(posted)
            (reply,) = await scene.replies(posted)
            assert (reply.username, reply.color, reply.message_type) == ("Zen", ENTITIES["zen"].color, "AI")
            assert message.bot_params.answered_by == reply.id
        stranger = await scene.post(entity="rude")
        await scene.until_complete(await scene.post())
        assert (await scene.message(stranger)).bot_params.status == "pending"

    run(scenario)


def test_p4_a_bot_is_not_sent_away_when_the_uptime_is_about_to_be_a_power_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a float loses there made its claims wait for a little more than a server takes."""
    uptime = 2**15 - 30 + 3 * 2**-38
    assert uptime + MAX_WAIT_SECONDS - uptime > MAX_WAIT_SECONDS
    monkeypatch.setattr("saywhatwant.bot.loop.time", SimpleNamespace(monotonic=lambda: uptime))

    async def scenario(scene: Scene) -> None:
        await scene.until_complete(await scene.post())

    run(scenario)


@pytest.mark.parametrize("answer", [None, "", "  \n"], ids=["nothing", "empty", "only space"])
def test_p4_a_message_that_gets_no_answer_is_given_back_with_the_reason(says: Says, answer: str | None) -> None:
    says(lambda _: answer)

    async def scenario(scene: Scene) -> None:
        posted = await scene.post()
        given_back = (await scene.until(posted, lambda params: params.error)).bot_params
        assert "zen can think of nothing to say" in (given_back.error or "")
        assert given_back.status == "pending"
        assert await scene.replies(posted) == []

    run(scenario)


def test_p4_a_personality_that_breaks_fails_its_message_and_the_next_is_answered(says: Says) -> None:
    def respond(text: str) -> str:
        if text == "break":
            raise ZeroDivisionError("broken")
        return "Yes."

    says(respond)

    async def scenario(scene: Scene) -> None:
        broken, next_one = await scene.post("break"), await scene.post()
        await scene.until_complete(next_one)
        assert (await scene.message(broken)).bot_params.error == UNFORESEEN

    run(scenario)


def test_p3_a_bot_whose_lease_has_passed_on_drops_the_work_and_goes_on(says: Says) -> None:
    """While it thought, the lease ran out and another worker got the message."""
    scenes: list[Scene] = []

    def respond(text: str) -> str:
        if text == "slow":
            scene = scenes[0]
            scene.runtime.advance(LEASE_SECONDS + 1)
            scene.runtime.run(scene.queue.call(MessageQueue.claim_next, "another", ("zen",)))
        return "Yes."

    says(respond)

    async def scenario(scene: Scene) -> None:
        scenes.append(scene)
        slow = await scene.post("slow")
        await scene.until_complete(await scene.post())
        taken = (await scene.message(slow)).bot_params
        assert (taken.status, taken.claimed_by, taken.attempt) == ("processing", "another", 2)
        assert await scene.replies(slow) == []

    run(scenario)


def test_p4_a_bot_outlives_a_server_that_fails_on_its_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else one 500, from the server or a proxy before it, would silence an entity until somebody notices."""
    claim_next = MessageQueue.claim_next
    failures: list[str] = []

    def fail_twice(queue: MessageQueue, worker_id: str, entities: tuple[str, ...] | None = None, limit: int = 1) -> object:
        if len(failures) < 2:
            failures.append(worker_id)
            raise ZeroDivisionError
        return claim_next(queue, worker_id, entities, limit)

    fail_twice.__name__ = "claim_next"
    monkeypatch.setattr(MessageQueue, "claim_next", fail_twice)

    async def scenario(scene: Scene) -> None:
        posted = await scene.post()
        await scene.until_complete(posted)
        assert len(failures) == 2

    run(scenario)


def test_p4_a_message_for_a_provider_that_is_left_alone_keeps_its_attempts_and_is_answered_after() -> None:
    model = Moody()
    model.circuit = OpenCircuit("http://127.0.0.1:1/v1", 0.02, "refused with 500")

    async def scenario(scene: Scene) -> None:
        posted = await scene.post()
        for _ in range(50):
            await asyncio.sleep(0.001)
            assert (await scene.message(posted)).bot_params.attempt == 0
        model.circuit = None
        assert (await scene.until_complete(posted)).bot_params.attempt == 1

    run(scenario, model=model)


def test_p4_a_bot_whose_file_has_left_it_nobody_to_answer_for_answers_when_it_has_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saywhatwant.bot.loop.MAX_PAUSE_SECONDS", 0.01)
    file = tmp_path / "entities.toml"

    async def scenario(scene: Scene) -> None:
        await scene.until_complete(await scene.post())
        while not scene.bot._claims:  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0.001)
        entities_file(file, "another")
        lost = await scene.post()
        await scene.until(lost, lambda params: "has no 'zen' any more" in (params.error or ""))
        meanwhile = await scene.post()
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert (await scene.message(meanwhile)).bot_params.attempt == 0
        entities_file(file, "zen")
        await scene.until_complete(meanwhile)

    run(scenario, entities_file(file, "zen"), Moody())


def test_p4_a_bot_for_more_entities_than_one_claim_may_name_answers_for_all(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        for name in ("entity-0", f"entity-{MAX_ENTITIES}"):
            await scene.until_complete(await scene.post(entity=name))

    run(scenario, many_entities(tmp_path), Moody(), names=())


def test_a_claim_whose_answer_is_late_does_not_make_the_bot_ask_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other claim, which it has beside that one, is answered in time and made anew."""
    monkeypatch.setattr("saywhatwant.bot.loop.MAX_WAIT_SECONDS", 0.05)
    claim_next = WallClient.claim_next
    waits: list[float] = []

    async def late_once(client: WallClient, claim: ClaimRequest) -> list[Message]:
        waits.append(claim.wait)
        if len(waits) == 1:
            await asyncio.sleep(10)
        return await claim_next(client, claim)

    monkeypatch.setattr(WallClient, "claim_next", late_once)

    async def scenario(_: Scene) -> None:
        while len(waits) < 5:  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0.01)
        assert min(waits) > 0

    run(scenario, many_entities(tmp_path), Moody(), names=())
