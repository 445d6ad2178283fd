"""A waiting room on a simulated queue, and the bots in it."""

import asyncio
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from msgspec import Raw

from durable_objects import Stub
from durable_objects.simulated import SimulatedRuntime
from saywhatwant.message import NewMessage, decode
from saywhatwant.queue import MessageQueue
from saywhatwant.worker.claim_waiters import ClaimWaiters
from scenario import turns

P = ParamSpec("P")
R = TypeVar("R")


class SlowStub:
    """A stub whose answers can be held back, as those of a busy disk are; its events are not."""

    def __init__(self, stub: Stub[MessageQueue]) -> None:
        self._stub = stub
        self.subscribe = stub.subscribe
        self.open = asyncio.Event()
        self.open.set()

    async def call(self, method: Callable[Concatenate[MessageQueue, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        result = await self._stub.call(method, *args, **kwargs)
        await self.open.wait()
        return result


class Scene:
    """Make it inside a running event loop."""

    def __init__(self) -> None:
        self.runtime = SimulatedRuntime()
        self.queue = self.runtime.namespace("MessageQueue", MessageQueue).get("global-queue")
        self.slow = SlowStub(self.queue)
        self.room = ClaimWaiters(self.slow)

    async def post(self, entity: str | None = "zen") -> str:
        """A message's id."""
        message = NewMessage(text="Why?", username="Human", color="169080199", entity=entity)
        return (await self.queue.call(MessageQueue.post, message)).id

    async def wait(
        self, worker: str, *entities: str, limit: int = 1, gone: asyncio.Event | None = None
    ) -> asyncio.Task[list[Raw]]:
        """A claim that has come as far as it can; ``gone`` is its client leaving."""

        async def disconnected() -> None:
            await (gone or asyncio.Event()).wait()

        claim = asyncio.create_task(self.room.claim(worker, entities or None, limit, 60, disconnected))
        await turns()
        return claim


def ids(claim: asyncio.Task[list[Raw]]) -> list[str]:
    """What a finished claim got."""
    return [decode(wire).id for wire in claim.result()]
