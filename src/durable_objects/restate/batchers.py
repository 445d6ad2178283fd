"""All calls of a gateway that wait, by object."""

import asyncio
import secrets
from typing import Final

from durable_objects.contract import ObjectId
from durable_objects.errors import DurableObjectError, Overloaded, RuntimeClosed
from durable_objects.limits import MAX_COMMIT_WAIT_SECONDS, MAX_WAITING_CALLS
from durable_objects.meter import Meter
from durable_objects.restate.batcher import Batcher
from durable_objects.restate.ingress import Ingress
from durable_objects.restate.turns import Turn, Turns

ATTEMPT_SECONDS: Final = 5.0
"""How long a node may take to answer calls before they are sent to the next one as well, which waits for the same answer."""
CLOSE_SECONDS: Final = 5.0
"""How long a gateway that stops waits for answers."""


class Batchers:
    """A ``Batcher`` for each object for which calls wait.

    Args:
        ingress: where they are sent.
        meter: counts the commits that calls were part of.
    """

    def __init__(self, ingress: Ingress, meter: Meter) -> None:
        self._ingress = ingress
        self._meter = meter
        self._by_object: dict[ObjectId, Batcher] = {}
        self._turns = Turns()
        self._waiting = 0
        self._batches = 0
        self._id = secrets.token_hex(16)
        self._is_open = False
        self._loop: asyncio.AbstractEventLoop
        self._watch: asyncio.Task[None]

    def open(self) -> None:
        """Take calls, in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._watch = self._loop.create_task(self._expire())
        self._is_open = True

    def enter(self, to: ObjectId) -> Batcher:
        """Where one more call to an object can wait; raises ``RuntimeClosed``, or ``Overloaded`` when too many do."""
        if self._waiting >= MAX_WAITING_CALLS:
            raise Overloaded(f"{MAX_WAITING_CALLS} calls already wait for the cluster")
        batcher = self.of(to)
        self._waiting += 1
        return batcher

    def of(self, to: ObjectId) -> Batcher:
        """Where an object's calls wait; raises ``RuntimeClosed``."""
        batcher = self._by_object.get(to)
        if batcher is None:
            if not self._is_open:
                raise RuntimeClosed("the runtime is not running")
            batcher = self._by_object[to] = Batcher(self, to, self._loop)
        return batcher

    async def close(self) -> None:
        """Take no more calls; those that were sent get their answers, if these come soon."""
        self._is_open = False
        self._watch.cancel()
        error = RuntimeClosed("the runtime has stopped, and this call was not sent")
        batchers, self._by_object = self._by_object, {}
        tasks = [task for batcher in batchers.values() for task in batcher.close(error)]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for batcher in batchers.values():
            batcher.close(error)  # reads that must go in a batch after all

    async def turn(self) -> Turn:
        """See ``batcher.Lines``."""
        return await self._turns.take()

    async def send(self, to: ObjectId, handler: str, batch: bytes) -> bytes:
        """See ``batcher.Lines``. A batch has a key, so that it is applied once."""
        key = None
        if handler == "batch":
            self._batches += 1
            key = f"{self._id}/{self._batches}"
        deadline = self._loop.time() + MAX_COMMIT_WAIT_SECONDS
        try:
            return await self._ingress.send(to, handler, batch, deadline=deadline, attempt_seconds=ATTEMPT_SECONDS, key=key)
        except DurableObjectError:
            if handler == "batch":
                self._meter.commit_failures += 1
            raise

    def ended(self, calls: int) -> None:
        """See ``batcher.Lines``."""
        self._waiting -= calls

    def committed(self, calls: int) -> None:
        """See ``batcher.Lines``."""
        self._meter.committed(calls)

    def idle(self, batcher: Batcher) -> None:
        """See ``batcher.Lines``."""
        self._by_object.pop(batcher.to, None)

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(1)
            now = self._loop.time()
            for batcher in list(self._by_object.values()):
                batcher.expire(now)
