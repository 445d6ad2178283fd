"""Waiting claims on a simulated queue."""

import asyncio
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from durable_objects import Stub
from durable_objects.simulated import SimulatedRuntime
from saywhatwant.message import NewMessage, decode
from saywhatwant.queue import MessageQueue, QueueConfig
from saywhatwant.schemas import ClaimNextResponse
from saywhatwant.topology import SingleWall
from saywhatwant.worker.claim_waiters import ClaimWaiters
from saywhatwant.worker.queue_events import QueueEvents
from scenario import turns

CONFIG = QueueConfig(entities=("zen", "rude", "eliza", "suntsu"))

P = ParamSpec("P")
R = TypeVar("R")


class SlowStub:
    """A stub whose answers can be held back, as those of a busy disk are; its events are not."""

    def __init__(self, stub: Stub[MessageQueue]) -> None:
        self._stub = stub
        self.events = stub.events
        self.options = stub.options
        self.settle = stub.settle
        self.calls = 0
        self.busy = 0
        self.open = asyncio.Event()
        self.open.set()

    async def call(self, method: Callable[Concatenate[MessageQueue, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        self.calls += 1
        self.busy += 1
        try:
            return await self._stub.call(method, *args, **kwargs)
        finally:
            try:
                await self.open.wait()
            finally:
                self.busy -= 1


class Harness:
    """Make it inside a running event loop."""

    def __init__(self) -> None:
        self.runtime = SimulatedRuntime()
        self.queue = self.runtime.namespace("MessageQueue", MessageQueue, CONFIG).get("global-queue")
        self.stub = SlowStub(self.queue)
        self.waiters = ClaimWaiters(SingleWall(self.stub), QueueEvents(SingleWall(self.queue)))

    async def post(self, entity: str | None = "zen", priority: int = 50, username: str = "Human") -> str:
        """A message's id."""
        message = NewMessage(text="Why?", username=username, color="169080199", entity=entity, priority=priority)
        return (await self.queue.call(MessageQueue.post, message)).id

    async def pending(self) -> list[str]:
        """The ids of claimable messages."""
        return [decode(wire).id for wire in await self.queue.call(MessageQueue.pending, 1_000)]

    def tickets(self) -> list[str]:
        """The tickets in storage."""
        return [key for key, _ in self.runtime.disk.list("MessageQueue/global-queue", "waiting/", "", 1_000)]

    async def wait(
        self, worker: str, *entities: str, limit: int = 1, gone: asyncio.Event | None = None
    ) -> asyncio.Task[ClaimNextResponse]:
        """A claim that has come as far as it can; ``gone`` is its client leaving."""

        async def disconnected() -> None:
            await (gone or asyncio.Event()).wait()

        claim = asyncio.create_task(self.waiters.claim(worker, entities or None, limit, 60, disconnected))
        await turns()
        return claim


def ids(claim: asyncio.Task[ClaimNextResponse]) -> list[str]:
    """What a finished claim got."""
    return [decode(wire).id for wire in claim.result().messages]
