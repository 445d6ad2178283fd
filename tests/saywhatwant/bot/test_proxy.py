"""A bot when a proxy answers instead of the wall, or a model gives a reason that the wall would refuse (P3, P4)."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from bot_harness import (
    CLAIM,
    COMPLETE,
    EXTEND,
    FAIL,
    LEASE_SECONDS,
    Body,
    FakeModel,
    Harness,
    Scenario,
    SlowModel,
    run,
    run_alone,
)

from saywhatwant.bot import reply_stream
from saywhatwant.entities import Entity
from saywhatwant.models import ModelFailed, OpenCircuit, Piece, Request

pytestmark = pytest.mark.usefixtures("no_settings")

PAGE = b"<html></html>"

Answer = tuple[int, dict[str, str], bytes]
INSTEAD: dict[str, Answer] = {
    "a page": (200, {"Content-Type": "text/html"}, PAGE),
    "nothing": (204, {}, b""),
    "another shape": (200, {}, b'{"ok": true}'),
    "not UTF-8": (200, {}, b'{"messages": [{"text": "\xff"}]}'),
    "too deep": (200, {}, b'{"x": ' + b"[" * 100_000),
    "broken gzip": (200, {"Content-Encoding": "gzip"}, b"abcd"),
    "a login": (302, {"Location": "/login"}, b""),
    "a login nowhere": (302, {"Location": "http://[x"}, b""),
    "no such page": (404, {"Content-Type": "text/html"}, PAGE),
    "a problem of its own": (
        404,
        {"Content-Type": "application/problem+json"},
        b'{"type": "about:blank", "detail": "no route"}',
    ),
    "not authenticated": (401, {"Content-Type": "application/json"}, b'{"detail": "Not authenticated"}'),
    "too late": (408, {}, b""),
    "too early": (425, {}, b""),
    "too many": (429, {"Retry-After": "0"}, b""),
    "too many, without a time": (429, {"Retry-After": "nan"}, b""),
    "a list": (503, {}, b"[]"),
}


def instead(path: str, what: str, scenario: Scenario) -> Scenario:
    """``scenario`` with something else than the wall answering the first call of ``path``."""

    async def begin(harness: Harness) -> None:
        status, headers, content = INSTEAD[what]
        harness.proxy.instead[path] = [httpx.Response(status, headers=headers, stream=Body(content))]
        await scenario(harness)
        assert not harness.proxy.instead[path]

    return begin


@pytest.mark.parametrize("what", INSTEAD)
def test_p4_a_bot_continues_after_any_answer_of_a_proxy_to_its_claim(what: str) -> None:
    async def scenario(harness: Harness) -> None:
        await harness.until_complete(await harness.post())
        assert harness.count(CLAIM) > 1

    run(instead(CLAIM, what, scenario), model=FakeModel())


@pytest.mark.parametrize("what", ["a page", "too late", "too many", "no such page"])
def test_p4_a_finished_answer_is_kept_after_any_answer_of_a_proxy(what: str) -> None:
    async def scenario(harness: Harness) -> None:
        posted = await harness.post()
        assert (await harness.until_complete(posted)).bot_params.attempt == 1
        assert len(await harness.replies(posted)) == 1
        assert harness.count(COMPLETE) > 1

    run(instead(COMPLETE, what, scenario), model=FakeModel())


@pytest.mark.parametrize("what", ["a page", "too late", "too many", "broken gzip"])
def test_p3_heartbeats_continue_after_any_answer_of_a_proxy(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply_stream, "HEARTBEATS", 100 * LEASE_SECONDS)

    async def scenario(harness: Harness) -> None:
        model = SlowModel()
        bot = asyncio.create_task(harness.new_bot("bot", model).run())
        posted = await harness.post()
        await harness.until_called(EXTEND, 3)
        model.done.set()
        assert (await harness.until_complete(posted)).bot_params.attempt == 1
        bot.cancel()
        await asyncio.wait([bot])

    run_alone(instead(EXTEND, what, scenario))


def test_p3_a_bot_that_loses_its_lease_stops_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """The heartbeat finds out; the model would have gone on for nothing."""
    monkeypatch.setattr(reply_stream, "HEARTBEATS", 100 * LEASE_SECONDS)

    async def scenario(harness: Harness) -> None:
        model = SlowModel()
        bot = asyncio.create_task(harness.new_bot("late", model).run())
        posted = await harness.post()
        await model.asked.wait()
        harness.runtime.advance(LEASE_SECONDS + 1)
        await harness.claim("another")
        while (EXTEND, 409) not in harness.proxy.statuses:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.001)
        model.asked.clear()
        next_one = await harness.post()
        await model.asked.wait()
        model.done.set()
        await harness.until_complete(next_one)
        assert await harness.replies(posted) == []
        assert harness.count(FAIL) == 0, "it no longer has anything to give back"
        bot.cancel()
        await asyncio.wait([bot])

    run_alone(scenario)


class FailingModel(FakeModel):
    """Fails, with its circuit open from then on."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self._reason = reason

    async def stream(self, entity: Entity, request: Request) -> AsyncIterator[Piece]:
        self.circuit = OpenCircuit("http://127.0.0.1:1/v1", 30, self._reason)
        raise ModelFailed(self._reason)
        async for piece in super().stream(entity, request):  # type: ignore[unreachable]
            yield piece


REASONS = pytest.mark.parametrize(
    "reason",
    ["half \ud83d a face", "half \x00 a word", "half \x1b[2J a page", "half " + "and half " * 1_000 + "a novel"],
    ids=["surrogate", "NUL", "escape", "endless"],
)


@REASONS
def test_p4_a_reason_with_odd_characters_reaches_the_queue(reason: str) -> None:
    async def scenario(harness: Harness) -> None:
        posted = await harness.post()
        failed = (await harness.until(posted, lambda params: params.error)).bot_params
        assert failed.status == "pending"
        assert (failed.error or "").startswith("half ")

    run(scenario, model=FailingModel(reason))


@REASONS
def test_p4_an_open_circuit_is_reported_with_a_reason_of_odd_characters(reason: str) -> None:
    async def scenario(harness: Harness) -> None:
        await harness.post()
        while not (circuits := (await harness.direct.stats()).circuits):  # noqa: ASYNC110 - polls the wall
            await asyncio.sleep(0.002)
        assert circuits[0].reason.startswith("half ")

    run(scenario, model=FailingModel(reason))


class RecoveringModel(FakeModel):
    """Opens its circuit with the first message; a second one, under way at the time, is answered and closes it."""

    def __init__(self) -> None:
        super().__init__()
        self.recover = asyncio.Event()

    async def stream(self, entity: Entity, request: Request) -> AsyncIterator[Piece]:
        if request.turns[-1].content == "fail":
            self.circuit = OpenCircuit("http://127.0.0.1:1/v1", 30, "refused with 500")
            raise ModelFailed("refused with 500")
        await self.recover.wait()
        self.circuit = None
        async for piece in super().stream(entity, request):
            yield piece


def test_a_circuit_that_closes_early_is_no_longer_shown() -> None:
    async def scenario(harness: Harness) -> None:
        model = RecoveringModel()
        bot = asyncio.create_task(harness.new_bot("bot", model, ("zen", "eliza")).run())
        slow, failing = await harness.post("slow", "zen"), await harness.post("fail", "eliza")
        await harness.until(failing, lambda params: params.error)
        while not (await harness.direct.stats()).circuits:  # noqa: ASYNC110 - polls the wall
            await asyncio.sleep(0.002)
        model.recover.set()
        await harness.until_complete(slow)
        while (await harness.direct.stats()).circuits:  # noqa: ASYNC110 - polls the wall
            await asyncio.sleep(0.002)
        bot.cancel()
        await asyncio.wait([bot])

    run_alone(scenario)


def test_p4_a_restarted_worker_goes_on_though_the_lease_ended_while_it_looked() -> None:
    """Between its look at what a dead process held and giving that back."""

    async def scenario(harness: Harness) -> None:
        posted = await harness.post()
        await harness.claim("bot")
        harness.proxy.after["/api/queue/messages"] = lambda: harness.runtime.advance(LEASE_SECONDS + 1)
        await harness.bot.release_held()
        assert not harness.proxy.after
        assert await harness.bot.run_once()
        await harness.until_complete(posted)

    run_alone(scenario, model=FakeModel())


def test_p4_a_restarted_worker_gives_back_what_it_held_and_nothing_else() -> None:
    async def scenario(harness: Harness) -> None:
        mine, others = await harness.post(), await harness.post(entity="rude")
        await harness.claim("bot")
        await harness.claim("another", "rude")
        await harness.bot.release_held()
        given_back = (await harness.message(mine)).bot_params
        assert (given_back.status, given_back.attempt, given_back.tries) == ("pending", 1, 0)
        assert (await harness.message(others)).bot_params.status == "processing"

    run_alone(scenario)


class HalfReady(FakeModel):
    """Cannot warm up for one entity, against its contract."""

    def warm_up(self, entity: Entity) -> None:
        if entity.display_name == "Zen":
            raise ImportError("there is no zen in here")


def test_p4_an_entity_whose_model_cannot_warm_up_does_not_silence_the_others() -> None:
    async def scenario(harness: Harness) -> None:
        await harness.until_complete(await harness.post(entity="eliza"))

    run(scenario, model=HalfReady(), names=["zen", "eliza"])
