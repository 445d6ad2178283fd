"""A bot at work on a simulated wall, in the process of its test, with something between them that may answer instead."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import httpx

from durable_objects.simulated import SimulatedRuntime
from saywhatwant.bot import Bot
from saywhatwant.client import WallClient
from saywhatwant.entities import Entities, Entity
from saywhatwant.limits import MAX_ENTITIES
from saywhatwant.message import BotParams, Message, NewMessage, decode_list
from saywhatwant.models import Model, ModelRouter, OpenCircuit, Turn
from saywhatwant.queue import MessageQueue
from saywhatwant.queue.config import QueueConfig
from saywhatwant.settings import load
from saywhatwant.worker import create_worker

URL = "http://127.0.0.1"
LEASE_SECONDS = 60


def no_model() -> Model:
    raise AssertionError("none of these entities needs a model")


class Body(httpx.AsyncByteStream):
    """Bytes as they come from a socket: what is wrong with them shows when they are read."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content


class Between(httpx.ASGITransport):
    """The way to the wall. ``instead`` has answers to the next calls of a path, ``after`` what happens after the next one."""

    def __init__(self, app: object) -> None:
        super().__init__(app)  # type: ignore[arg-type]
        self.instead: defaultdict[str, list[httpx.Response]] = defaultdict(list)
        self.after: dict[str, Callable[[], object]] = {}
        self.seen: Counter[str] = Counter()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.seen[path] += 1
        if self.instead[path]:
            return self.instead[path].pop()
        response = await super().handle_async_request(request)
        self.after.pop(path, lambda: None)()
        return response


class Moody:
    """A model that answers, when its circuit is closed."""

    def __init__(self) -> None:
        self.circuit: OpenCircuit | None = None

    def warm_up(self, entity: Entity) -> None:
        """Nothing."""

    async def stream(self, entity: Entity, turns: list[Turn]) -> AsyncIterator[str]:  # noqa: ARG002 - it has one answer
        assert self.circuit is None, "asked while its circuit is open"
        yield "Yes."

    def open_circuit(self, _: Entity) -> OpenCircuit | None:
        return self.circuit


class Scene:
    """Make it inside a running event loop."""

    def __init__(
        self,
        entities: Entities | None = None,
        model: Model | None = None,
        names: Sequence[str] = ("zen",),
        *,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self.runtime = SimulatedRuntime()
        worker = create_worker(self.runtime, load(lease_seconds=lease_seconds))
        policy = QueueConfig(lease_ms=round(1_000 * lease_seconds))
        self.queue = self.runtime.namespace("MessageQueue", partial(MessageQueue, config=policy)).get("global-queue")
        self.client = WallClient(URL)
        self.between = Between(worker.app)
        self.client._http = httpx.AsyncClient(transport=self.between, base_url=URL)
        self.bot = Bot(self.client, "bot", entities or Entities(), model or ModelRouter(no_model), names=names)

    async def post(self, text: str = "Why?", entity: str | None = "zen") -> str:
        message = NewMessage(text=text, username="Human", color="169080199", entity=entity)
        return (await self.queue.call(MessageQueue.post, message)).id

    async def message(self, message_id: str) -> Message:
        (found,) = [message for message in await self.wall() if message.id == message_id]
        return found

    async def wall(self) -> list[Message]:
        return decode_list((await self.queue.call(MessageQueue.read)).body)

    async def replies(self, message_id: str) -> list[Message]:
        return [message for message in await self.wall() if message.reply_to == message_id]

    async def until(self, message_id: str, come_true: Callable[[BotParams], object]) -> Message:
        """The message, once that has come true of it."""
        while not come_true((message := await self.message(message_id)).bot_params):  # noqa: ASYNC110 - polls the wall
            await asyncio.sleep(0.002)
        return message

    async def until_complete(self, message_id: str) -> Message:
        return await self.until(message_id, lambda params: params.status == "complete")


def entities_file(path: Path, *names: str) -> Entities:
    """A file of entities on a model; written anew, it has changed."""
    tables = [f'[{name}]\ndisplay_name = "Zen"\ncolor = "070140180"\nmodel = "moody"\n' for name in names]
    path.write_text("".join(tables) + f"# {time.time_ns()}\n")
    return Entities(path)


def run(
    scenario: Callable[[Scene], Awaitable[None]],
    entities: Entities | None = None,
    model: Model | None = None,
    names: Sequence[str] = ("zen",),
    *,
    lease_seconds: float = LEASE_SECONDS,
) -> None:
    """Run ``scenario`` beside a bot."""

    async def bounded() -> None:
        scene = Scene(entities, model, names, lease_seconds=lease_seconds)
        at_work = asyncio.create_task(scene.bot.run())
        story = asyncio.ensure_future(scenario(scene))
        try:
            await asyncio.wait({at_work, story}, timeout=20, return_when=asyncio.FIRST_COMPLETED)
            assert not at_work.done(), f"the bot gave up: {at_work.exception()!r}"
            assert story.done(), "it takes too long"
            story.result()
        finally:
            for task in (at_work, story):
                task.cancel()
            await asyncio.gather(at_work, story, return_exceptions=True)
            await scene.client._http.aclose()

    asyncio.run(bounded())


def many_entities(directory: Path) -> Entities:
    """More than one claim may name."""
    return entities_file(directory / "entities.toml", *(f"entity-{number}" for number in range(MAX_ENTITIES + 1)))
