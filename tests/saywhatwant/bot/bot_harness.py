"""A bot on a simulated wall, in the process of its test, with a proxy between them that may answer instead."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from sockets import Sockets
from structlog.testing import capture_logs

from durable_objects.simulated import SimulatedRuntime
from saywhatwant.bot import Bot
from saywhatwant.client import WallClient
from saywhatwant.entities import Entities, Entity
from saywhatwant.limits import MAX_ENTITIES
from saywhatwant.message import BotParams, Message
from saywhatwant.models import Answer, Finished, Model, ModelRouter, OpenCircuit, Piece, Request
from saywhatwant.schemas import ClaimRequest, PostParams, PostRequest
from saywhatwant.settings import load
from saywhatwant.worker import create_worker
from servers import DEADLINE_SECONDS

URL = "http://127.0.0.1"
LEASE_SECONDS = 600
"""By the simulated clock, which stands still until a test advances it."""
CLAIM, COMPLETE, EXTEND, FAIL, PROGRESS = (f"/api/queue/{name}" for name in ("claim", "complete", "extend", "fail", "progress"))


def no_model() -> Model:
    raise AssertionError("none of these entities needs a model")


class Body(httpx.AsyncByteStream):
    """A body that is decoded when it is read, like one from a socket."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content


class Proxy(httpx.ASGITransport):
    """The way to the wall."""

    def __init__(self, app: object) -> None:
        super().__init__(app)  # type: ignore[arg-type]
        self.instead: dict[str, list[httpx.Response | Exception]] = {}
        """Answers to the next calls of a path."""
        self.after: dict[str, Callable[[], object]] = {}
        """What to call after the next call of a path."""
        self.calls: list[str] = []
        """The path of every call."""
        self.statuses: list[tuple[str, int]] = []
        """Path and status of every answer of the wall."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.calls.append(path)
        if answers := self.instead.get(path):
            answer = answers.pop()
            if isinstance(answer, Exception):
                raise answer
            return answer
        response = await super().handle_async_request(request)
        self.statuses.append((path, response.status_code))
        self.after.pop(path, lambda: None)()
        return response


class FakeModel:
    """A model that answers at once, unless its circuit is open."""

    def __init__(self, answer: str = "Yes.") -> None:
        self.circuit: OpenCircuit | None = None
        self._answer = answer

    def warm_up(self, entity: Entity) -> None:
        """Nothing."""

    async def wake(self, entity: Entity) -> None:
        """Nothing."""

    async def window(self, entity: Entity) -> int | None:
        return entity.context_tokens

    async def stream(self, entity: Entity, request: Request) -> AsyncIterator[Piece]:  # noqa: ARG002 - it has one answer
        assert self.circuit is None, "asked while its circuit is open"
        yield Answer(self._answer)
        yield Finished("stop")

    def preview(self, entity: Entity, request: Request) -> dict[str, Any]:
        return {"model": entity.model, "turns": [turn.content for turn in request.turns]}

    def open_circuit(self, _: Entity) -> OpenCircuit | None:
        return self.circuit

    async def aclose(self) -> None:
        """Nothing."""


class SlowModel(FakeModel):
    """Answers once ``done`` is set; ``asked`` is set when it has been asked."""

    def __init__(self, answer: str = "Yes.") -> None:
        super().__init__(answer)
        self.asked, self.done = asyncio.Event(), asyncio.Event()

    async def stream(self, entity: Entity, request: Request) -> AsyncIterator[Piece]:
        self.asked.set()
        await self.done.wait()
        async for piece in super().stream(entity, request):
            yield piece


class Harness:
    """The wall, the proxy and a bot. Make it inside a running event loop.

    Args:
        entities: those of the file that ships by default.
        model: the chatbots of NLTK by default.
        names: the entities that the bot answers for.
        grace_seconds: see ``Bot``.
        settings: of the wall.
        has_sockets: whether the bot can open WebSockets.
    """

    def __init__(
        self,
        entities: Entities | None = None,
        model: Model | None = None,
        names: Sequence[str] = ("zen",),
        *,
        grace_seconds: float = 0.05,
        settings: Mapping[str, float] | None = None,
        has_sockets: bool = False,
    ) -> None:
        self.runtime = SimulatedRuntime()
        worker = create_worker(self.runtime, load(**{"lease_seconds": LEASE_SECONDS, "retention": 1_000, **(settings or {})}))
        self.proxy = Proxy(worker.app)
        self.sockets = Sockets(worker.app) if has_sockets else None
        self.worker = worker
        self.client = self.new_client(self.proxy)
        """What tests look at the wall with; the bot has its own, through the proxy."""
        self.direct = self.new_client(httpx.ASGITransport(worker.app))
        self._entities = entities or Entities()
        self.bot = self.new_bot("bot", model, names, grace_seconds=grace_seconds)

    @staticmethod
    def new_client(transport: httpx.AsyncBaseTransport) -> WallClient:
        return WallClient(URL, transport=transport)

    def new_bot(
        self, worker_id: str, model: Model | None, names: Sequence[str] = ("zen",), *, grace_seconds: float = 0.05
    ) -> Bot:
        router = model or ModelRouter(no_model)
        connect = None if self.sockets is None else self.sockets.connect
        return Bot(self.client, worker_id, self._entities, router, names=names, grace_seconds=grace_seconds, connect=connect)

    async def aclose(self) -> None:
        for client in (self.client, self.direct):
            await client._http.aclose()

    async def post(self, text: str = "Why?", entity: str | None = "zen") -> str:
        post = PostRequest(text=text, username="Human", color="169080199", bot_params=PostParams(entity=entity))
        return (await self.direct.post(post, uuid4().hex)).id

    async def claim(self, worker_id: str, entity: str = "zen") -> list[Message]:
        return (await self.direct.claim_next(ClaimRequest(worker_id=worker_id, entities=[entity]))).messages

    async def wall(self) -> list[Message]:
        return await self.direct.read()

    async def message(self, message_id: str) -> Message:
        (found,) = [message for message in await self.wall() if message.id == message_id]
        return found

    async def replies(self, message_id: str) -> list[Message]:
        return [message for message in await self.wall() if message.reply_to == message_id]

    async def until(self, message_id: str, holds: Callable[[BotParams], object]) -> Message:
        """The message, once ``holds`` is true of it."""
        while not holds((message := await self.message(message_id)).bot_params):  # noqa: ASYNC110 - polls the wall
            await asyncio.sleep(0.002)
        return message

    async def until_complete(self, message_id: str) -> Message:
        return await self.until(message_id, lambda params: params.status == "complete")

    async def until_failed(self, message_id: str) -> str:
        """The reason with which it failed."""
        return (await self.until(message_id, lambda params: params.status == "failed")).bot_params.error or ""

    def count(self, path: str) -> int:
        """Calls of this path that came through the proxy."""
        return self.proxy.calls.count(path)

    async def until_called(self, path: str, times: int = 1) -> None:
        while self.count(path) < times:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.001)


Scenario = Callable[[Harness], Awaitable[None]]


def run(
    scenario: Scenario,
    entities: Entities | None = None,
    model: Model | None = None,
    names: Sequence[str] = ("zen",),
    **settings: float,
) -> list[str]:
    """Run ``scenario`` next to a bot; returns the lines that the bot logged."""

    async def bounded() -> None:
        harness = Harness(entities, model, names, settings=settings)
        bot = asyncio.create_task(harness.bot.run())
        test = asyncio.ensure_future(scenario(harness))
        try:
            await asyncio.wait({bot, test}, timeout=DEADLINE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            assert not bot.done(), f"the bot ended: {bot.exception()!r}"
            assert test.done(), "it hangs"
            test.result()
        finally:
            for task in (bot, test):
                task.cancel()
            await asyncio.gather(bot, test, return_exceptions=True)
            await harness.aclose()
            if model is not None:
                await model.aclose()

    with capture_logs() as log:
        asyncio.run(bounded())
    return [str(entry) for entry in log]


def run_alone(scenario: Scenario, model: Model | None = None) -> None:
    """Run ``scenario`` with a bot that it starts itself."""

    async def bounded() -> None:
        harness = Harness(model=model)
        try:
            await asyncio.wait_for(scenario(harness), DEADLINE_SECONDS)
        finally:
            await harness.aclose()

    asyncio.run(bounded())


async def stop(task: "asyncio.Task[None]") -> None:
    """Stop a running bot as SIGTERM does."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def entities_file(path: Path, *names: str, model: str = "fake") -> Entities:
    """A file of entities; written again, it has changed."""
    tables = [f'[{name}]\ndisplay_name = "Zen"\ncolor = "070140180"\nmodel = "{model}"\n' for name in names]
    path.write_text("".join(tables) + f"# {time.time_ns()}\n")
    return Entities(path)


def many_entities(directory: Path) -> Entities:
    """More than one claim may name."""
    return entities_file(directory / "entities.toml", *(f"entity-{number}" for number in range(MAX_ENTITIES + 1)))
