"""A bot when something else answers in place of the wall, or says what it should not (P4)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from scene import LEASE_SECONDS, Body, Moody, Scene, run

from saywhatwant.entities import Entity
from saywhatwant.models import ModelFailed, OpenCircuit, Turn
from saywhatwant.queue import MessageQueue

pytestmark = pytest.mark.usefixtures("no_settings")

CLAIM, COMPLETE, EXTEND = (f"/api/queue/{name}" for name in ("claim", "complete", "extend"))
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
    "another's problem": (404, {"Content-Type": "application/problem+json"}, b'{"type": "about:blank", "detail": "no route"}'),
    "who are you": (401, {"Content-Type": "application/json"}, b'{"detail": "Not authenticated"}'),
    "too late": (408, {}, b""),
    "too early": (425, {}, b""),
    "too many": (429, {"Retry-After": "1"}, b""),
    "too many, one knows not when": (429, {"Retry-After": "nan"}, b""),
    "a list": (503, {}, b"[]"),
}


def instead(what: str) -> httpx.Response:
    status, headers, content = INSTEAD[what]
    return httpx.Response(status, headers=headers, stream=Body(content))


class Thinking(Moody):
    """Answers when it has been told to."""

    def __init__(self) -> None:
        super().__init__()
        self.done = asyncio.Event()

    async def stream(self, entity: Entity, turns: list[Turn]) -> AsyncIterator[str]:
        await self.done.wait()
        async for piece in super().stream(entity, turns):
            yield piece


@pytest.mark.parametrize("what", INSTEAD)
def test_p4_a_bot_outlives_whatever_a_proxy_says_instead_of_the_wall(what: str) -> None:
    async def scenario(scene: Scene) -> None:
        posted = await scene.post()
        await scene.until_complete(posted)
        assert scene.between.seen[CLAIM] > 1

    run(meeting(CLAIM, what, scenario), model=Moody())


@pytest.mark.parametrize("what", ["a page", "too late", "too many", "no such page"])
def test_p4_a_finished_answer_is_not_thrown_away_for_what_a_proxy_says(what: str) -> None:
    async def scenario(scene: Scene) -> None:
        posted = await scene.post()
        assert (await scene.until_complete(posted)).bot_params.attempt == 1
        assert len(await scene.replies(posted)) == 1
        assert scene.between.seen[COMPLETE] > 1

    run(meeting(COMPLETE, what, scenario), model=Moody())


@pytest.mark.parametrize("what", ["a page", "too late", "too many", "broken gzip"])
def test_p3_signs_of_life_go_on_whatever_a_proxy_says(what: str) -> None:
    model = Thinking()

    async def scenario(scene: Scene) -> None:
        posted = await scene.post()
        while scene.between.seen[EXTEND] < 3:  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0.01)
        model.done.set()
        assert (await scene.until_complete(posted)).bot_params.attempt == 1

    run(meeting(EXTEND, what, scenario), model=model, lease_seconds=1)


def meeting(path: str, what: str, scenario: Callable[[Scene], Awaitable[None]]) -> Callable[[Scene], Awaitable[None]]:
    """The same, where the first call of ``path`` meets something else than the wall."""

    async def begin(scene: Scene) -> None:
        scene.between.instead[path].append(instead(what))
        await scenario(scene)
        assert not scene.between.instead[path]

    return begin


class Broken(Moody):
    """Fails, and leaves its provider alone for it."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self._reason = reason

    async def stream(self, entity: Entity, turns: list[Turn]) -> AsyncIterator[str]:
        self.circuit = OpenCircuit("http://127.0.0.1:1/v1", 30, self._reason)
        raise ModelFailed(self._reason)
        async for piece in super().stream(entity, turns):  # type: ignore[unreachable]
            yield piece


REASONS = pytest.mark.parametrize(
    "reason",
    ["half \ud83d a face", "half \x00 a word", "half \x1b[2J a page", "half " + "and half " * 1_000 + "a novel"],
    ids=["surrogate", "NUL", "escape", "endless"],
)


@REASONS
def test_p4_whatever_characters_a_reason_has_the_queue_hears_of_it_at_once(reason: str) -> None:
    async def scenario(scene: Scene) -> None:
        posted = await scene.post()
        failed = (await scene.until(posted, lambda params: params.error)).bot_params
        assert failed.status == "pending"
        assert (failed.error or "").startswith("half ")

    run(scenario, model=Broken(reason))


@REASONS
def test_p4_whatever_characters_it_has_people_hear_why_a_provider_is_left_alone(reason: str) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.post()
        while not (circuits := (await scene.client.stats()).circuits):  # noqa: ASYNC110 - polls the wall
            await asyncio.sleep(0.01)
        assert circuits[0].reason.startswith("half ")

    run(scenario, model=Broken(reason))


def test_p4_up_works_though_what_it_gives_back_has_just_run_out() -> None:
    """Between its look at what a dead process held, and giving that back."""

    async def release_held() -> None:
        scene = Scene(model=Moody())
        posted = await scene.post()
        await scene.queue.call(MessageQueue.claim_next, "bot")
        scene.between.after["/api/queue/messages"] = lambda: scene.runtime.advance(LEASE_SECONDS + 1)
        await scene.bot.release_held()
        assert not scene.between.after
        assert await scene.bot.run_once()
        await scene.until_complete(posted)

    asyncio.run(release_held())


class HalfWarm(Moody):
    """Can not get ready for one entity, against its word."""

    def warm_up(self, entity: Entity) -> None:
        if entity.display_name == "Zen":
            raise ImportError("there is no zen in here")


def test_p4_an_entity_whose_model_can_not_get_ready_does_not_silence_the_others() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.until_complete(await scene.post(entity="eliza"))

    run(scenario, model=HalfWarm(), names=["zen", "eliza"])
