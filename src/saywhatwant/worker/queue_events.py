"""The wall's events for the parts of a worker: one task follows them, and each is decoded at most once, on demand."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress

from durable_objects import DurableObjectError, EventsLost
from saywhatwant.queue.events import Event, parse
from saywhatwant.topology import START, Position, Wall
from saywhatwant.topology.wall import WallEventStream
from saywhatwant.worker.limits import FIRST_RESUME_SECONDS, LONGEST_RESUME_SECONDS, STOP_CHECK_SECONDS

log = logging.getLogger("saywhatwant")


class QueueEvent:
    """A published event, decoded on demand."""

    __slots__ = ("_decoded", "raw", "seq", "source")

    def __init__(self, source: int, seq: int | None, raw: bytes) -> None:
        self.source = source
        """The number of its object, as in a ``Position``."""
        self.seq = seq
        """The number of its commit; None for a signal."""
        self.raw = raw
        self._decoded: Event | None = None

    @property
    def decoded(self) -> Event:
        """The event's fields."""
        if self._decoded is None:
            self._decoded = parse(self.raw)
        return self._decoded


Listener = Callable[[QueueEvent], None]


class QueueEvents:
    """Passes the wall's events to listeners, in the order in which they subscribed.

    It begins with the first ``start``, so that a server that nobody uses does nothing, and goes on until ``aclose``. After an
    error it resumes where it was, after a pause that doubles. Events may come before or after the answers of the calls that
    made them.
    """

    def __init__(self, wall: Wall, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._wall = wall
        self._sleep = sleep
        self._listeners: tuple[Listener, ...] = ()
        """Never changed but replaced, since a listener may subscribe another one or end itself."""
        self._on_batch: list[Callable[[], None]] = []
        self._on_lost: list[Callable[[], None]] = []
        self._starting = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._seqs: dict[int, int] = {}
        """The last commit of each object that has reached the listeners."""
        self._position: Position | None = START
        """Made of ``_seqs``; None until it is asked for again."""

    @property
    def position(self) -> Position:
        """Every event up to here has reached the listeners."""
        if self._position is None:
            self._position = Position(self._seqs)
        return self._position

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` for every event from now on; returns the function that ends it."""
        self._listeners = (*self._listeners, listener)

        def unsubscribe() -> None:
            self._listeners = tuple(other for other in self._listeners if other is not listener)

        return unsubscribe

    def on_batch(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` each time when all events that have come together are passed on."""
        self._on_batch.append(listener)

    def on_lost(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` each time when events were lost: it must read again what it follows."""
        self._on_lost.append(listener)

    async def start(self) -> None:
        """Begin, unless it has begun: what commits after this returns will reach the listeners.

        Raises what a call of the wall raises.
        """
        if self._task is None:
            async with self._starting:
                if self._task is None:
                    await self._begin_now()
                    # Listen before the task runs: signals have no position.
                    self._task = asyncio.create_task(self._follow(self._wall.events(self.position)))

    async def caught_up(self) -> None:
        """Return once what is committed now has reached the listeners; at once unless it has begun.

        Raises as a call of the wall.
        """
        if self._task is not None:
            for source, seq in await self._wall.position():
                while not self.position.covers(source, seq):
                    await self._sleep(STOP_CHECK_SECONDS)

    async def aclose(self) -> None:
        """End it; harmless when it has not begun."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _begin_now(self) -> None:
        self._position = await self._wall.position()
        self._seqs = dict(self._position)

    async def _follow(self, stream: WallEventStream) -> None:
        pause = FIRST_RESUME_SECONDS
        while True:
            position = self.position
            try:
                await self._pass_on(stream)
            except EventsLost as error:
                log.warning("events were lost, so the wall is read again: %s", error)
                await self._skip()
            except DurableObjectError as error:
                log.debug("the events were interrupted: %s", error)
            except Exception:
                log.exception("a listener failed, so the wall is read again")
                await self._skip()
            await self._sleep(pause)
            pause = FIRST_RESUME_SECONDS if self.position != position else min(2 * pause, LONGEST_RESUME_SECONDS)
            stream = self._wall.events(self.position)

    async def _skip(self) -> None:
        """Continue from now on; what is missing until then is for the listeners to read."""
        with suppress(DurableObjectError):
            await self._begin_now()
            for read_again in self._on_lost:
                read_again()

    async def _pass_on(self, stream: WallEventStream) -> None:
        async with aclosing(stream):
            async for first in stream:
                self._deliver(*first)
                try:
                    while (events := stream.get_nowait()) is not None:
                        self._deliver(*events)
                except DurableObjectError:
                    self._end_batch()
                    raise
                self._end_batch()

    def _end_batch(self) -> None:
        for on_batch in self._on_batch:
            on_batch()

    def _deliver(self, source: int, seq: int | None, data: tuple[bytes, ...]) -> None:
        if seq is not None:
            if seq <= self._seqs.get(source, 0):
                return
            self._seqs[source] = seq
            self._position = None
        for raw in data:
            event = QueueEvent(source, seq, raw)
            for listener in self._listeners:
                listener(event)
