"""Events at the gateway: one follower for each object that somebody listens to, however many do."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from durable_objects.contract import EventStream, ObjectId, Replay
from durable_objects.errors import EventsLost, RuntimeClosed
from durable_objects.event_streams import Catch, Listeners, QueuedEventStream
from durable_objects.limits import MAX_COMMIT_WAIT_SECONDS
from durable_objects.restate.batcher import Batcher
from durable_objects.restate.batchers import Batchers
from durable_objects.restate.encoding import FOLLOW, FOLLOWED, Follow, Followed
from durable_objects.restate.ingress import Ingress

log = logging.getLogger("durable_objects")

WAIT_MS: Final = 10_000
"""How long one request waits for events."""

_ANSWER_SECONDS: Final = 5.0
"""How long a node may take to answer, besides ``WAIT_MS``."""
_RETRY_SECONDS: Final = 0.2
_BUSY_SECONDS: Final = 0.02
"""Events that come sooner than this after others are asked for together."""

Check = Callable[[], Awaitable[None]]
"""Returns once an object's namespace is known to be the one that is meant; raises what ``call`` raises."""


class Follower:
    """Asks for the events of one object, again and again.

    Until it knows where they begin it holds the object's calls, also its ``replay``: so a stream has the events of the calls
    that are made after it, and lacks none between what was replayed and what comes live.

    Args:
        ingress: where it asks.
        batcher: the object's calls.
        check: checks the object's namespace.
        replay: calls the object's ``replay``.
        listeners: who gets the events.
    """

    def __init__(self, ingress: Ingress, batcher: Batcher, *, check: Check, replay: Catch, listeners: Listeners) -> None:
        self._ingress = ingress
        self._batcher = batcher
        self._check = check
        self._replay = replay
        self._listeners = listeners
        self._object_id = f"{batcher.to.namespace}/{batcher.to.name}"
        self._loop = asyncio.get_running_loop()
        self._position: int | None = None
        """The commit up to which the listeners have all events."""
        self._epoch, self._signals = "", 0
        self._holds = True
        self._last_events = 0.0
        self.is_over = False
        """Whether it asks no more."""
        batcher.pin()
        batcher.hold()
        self._task = self._loop.create_task(self._follow())

    @property
    def known(self) -> int:
        """The last commit of which a stream that begins now needs no events: its call was answered before."""
        return max(self._batcher.seq, self._position or 0)

    def stop(self) -> "asyncio.Task[None]":
        """Ask no more; the task that ends soon."""
        self._task.cancel()
        self._end()
        return self._task

    async def _follow(self) -> None:
        failures = 0
        while True:
            try:
                await self._ask_once()
                failures = 0
            except EventsLost as error:
                self._end()
                self._listeners.fail(self._object_id, error)
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, the listeners must not wait for ever
                failures += 1
                if failures == 1:
                    log.warning("the events of %s cannot be followed at the moment: %s", self._object_id, error)
                await asyncio.sleep(min(_RETRY_SECONDS * failures, 1.0))

    def _end(self) -> None:
        if not self.is_over:
            self.is_over = True
            self._begin()
            self._batcher.unpin()

    def _begin(self) -> None:
        if self._holds:
            self._holds = False
            self._batcher.release()

    async def _ask_once(self) -> None:
        """Ask, and publish what is answered."""
        if self._position is None:
            await self._check()
            followed = await self._ask(0)
            self._epoch, self._signals, self._position = followed.epoch, followed.signals, followed.seq
            self._begin()
            return
        followed = await self._ask(WAIT_MS)
        self._epoch, self._signals = followed.epoch, followed.signals
        for seq, data in followed.events:
            if seq is None or seq > self._position:
                self._listeners.publish(self._object_id, seq, data)
        if followed.lost:
            await self._catch_up(self._position, followed.seq)
        else:
            self._position = max(self._position, followed.seq)
        if followed.events:
            if self._loop.time() < self._last_events + _BUSY_SECONDS:
                await asyncio.sleep(_BUSY_SECONDS)
            self._last_events = self._loop.time()

    async def _ask(self, wait_ms: int) -> Followed:
        attempt_seconds = wait_ms / 1_000 + _ANSWER_SECONDS
        encoded = await self._ingress.send(
            self._batcher.to,
            "follow",
            FOLLOW.encode(Follow(self._position, self._epoch, self._signals, wait_ms)),
            deadline=self._loop.time() + attempt_seconds + MAX_COMMIT_WAIT_SECONDS,
            attempt_seconds=attempt_seconds,
        )
        followed: Followed = FOLLOWED.decode(encoded)
        return followed

    async def _catch_up(self, position: int, seq: int) -> None:
        """Publish what no process has in memory any more, after commit ``position`` up to ``seq``."""
        while position < seq:
            page: Replay = await self._replay(position)
            if page.seq <= position:
                raise EventsLost(f"the object's replay stopped at commit {page.seq}, though it has more")
            for number, data in page.events:
                self._listeners.publish(self._object_id, number, data)
            self._position = position = page.seq


class Followers:
    """The followers of a gateway, and the streams that they fill.

    Args:
        ingress: where they ask.
        batchers: the calls of all objects.
    """

    def __init__(self, ingress: Ingress, batchers: Batchers) -> None:
        self._ingress = ingress
        self._batchers = batchers
        self._listeners = Listeners()
        self._by_object: dict[ObjectId, Follower] = {}
        self._stopping: set[asyncio.Task[None]] = set()

    def listen(self, to: ObjectId, since: int | None, *, check: Check, replay: Catch) -> EventStream:
        """A stream of an object's events; see ``contract.Stub.events``. Raises ``RuntimeClosed``."""
        follower = self._by_object.get(to)
        if follower is None or follower.is_over:
            follower = self._by_object[to] = Follower(
                self._ingress, self._batchers.of(to), check=check, replay=replay, listeners=self._listeners
            )
        stream = QueuedEventStream(
            since,
            replay,
            new_waiter=asyncio.get_running_loop().create_future,
            on_close=partial(self._closed, to),
            begins_after=follower.known,
        )
        self._listeners.add(f"{to.namespace}/{to.name}", stream)
        return stream

    async def close(self) -> None:
        """End all streams."""
        self._listeners.end(RuntimeClosed("the runtime has stopped"))
        for to in list(self._by_object):
            self._stop(to)
        await asyncio.gather(*self._stopping, return_exceptions=True)

    def _closed(self, to: ObjectId, stream: QueuedEventStream) -> None:
        object_id = f"{to.namespace}/{to.name}"
        self._listeners.remove(object_id, stream)
        if not self._listeners.has(object_id) and to in self._by_object:
            self._stop(to)

    def _stop(self, to: ObjectId) -> None:
        task = self._by_object.pop(to).stop()
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)
