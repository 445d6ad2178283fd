"""The wall in one Durable Object: its messages, its HTTP interface, and the sockets of those who read it.

Why all of it is in one object: its requests share an event loop, so that a post can wake a claim that waits; a call from the
app to the messages is a plain call; and sockets must end in an object to hibernate.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from durable_objects import Meter, Runtime
from saywhatwant.cloudflare.bot_sockets import TAG as BOT
from saywhatwant.cloudflare.bot_sockets import BotSockets
from saywhatwant.cloudflare.bridge import Answer, Request, ask
from saywhatwant.cloudflare.page_sockets import PageSockets
from saywhatwant.cloudflare.sockets import OpenSockets, Socket
from saywhatwant.settings import Settings
from saywhatwant.topology import Wall
from saywhatwant.worker import create_worker
from saywhatwant.worker.admission import Admission
from saywhatwant.worker.auth import Auth
from saywhatwant.worker.bot_desk import BotDesk
from saywhatwant.worker.metrics import Metrics
from saywhatwant.worker.queue_events import QueueEvents

GATEWAY = "object"
"""The object is the only gateway to itself: who waited before it was loaded waits no more."""


class ObjectRuntime(Runtime, AbstractAsyncContextManager[Any], Protocol):
    """A runtime in a Durable Object; entering it opens its data."""

    before_commit: Callable[[], object]
    """Called when a commit is due soon: a call in a task that this starts shares its row. Set before this is entered."""

    async def alarm(self) -> None:
        """The platform calls the object's alarm."""


class WallObject:
    """What the platform calls: a request, an alarm, something from a socket. The first call of a life loads the wall.

    Args:
        runtime: must not have started yet.
        settings: of the wall.
        open_sockets: the sockets that are open, perhaps from an earlier life of the object.
    """

    def __init__(self, runtime: ObjectRuntime, settings: Settings, open_sockets: OpenSockets) -> None:
        self.runtime = runtime
        self._open_sockets = open_sockets
        self.readers: PageSockets
        """Those who read over sockets."""
        self.bots: BotSockets
        """Those who answer over sockets."""
        worker = create_worker(
            runtime, settings, gateway=GATEWAY, make_readers=self._make_readers, make_bot_sockets=self._make_bot_sockets
        )
        self._app = worker.app
        self._events = worker.events
        self._reporter = worker.reporter
        self._sending: asyncio.Task[None] | None = None
        runtime.before_commit = self._send_report
        self._loading = asyncio.Lock()
        self._is_loaded = False

    def _make_readers(self, wall: Wall, queue_events: QueueEvents, admission: Admission) -> PageSockets:
        self.readers = PageSockets(wall, queue_events, admission, open_sockets=self._open_sockets)
        return self.readers

    def _make_bot_sockets(
        self,
        desk: BotDesk,
        *,
        auth: Auth,
        max_frame_bytes: int,
        metrics: Metrics,
        meter: Meter,
    ) -> BotSockets:
        self.bots = BotSockets(
            desk,
            auth=auth,
            max_frame_bytes=max_frame_bytes,
            metrics=metrics,
            meter=meter,
            open_sockets=self._open_sockets,
        )
        return self.bots

    async def fetch(self, request: Request) -> Answer | None:
        """Answer a request; None when it was accepted as a WebSocket."""
        await self._load()
        try:
            return await ask(self._app, request)
        finally:
            await self._report()

    async def alarm(self) -> None:
        """Run what is due."""
        await self._load()
        await self.runtime.alarm()
        await self._report()

    async def socket_message(self, socket: Socket, text: str | None, size: int = 0) -> None:
        """A client has sent a frame: text, or None for a binary one of this size."""
        meter = self.runtime.meter
        meter.socket_frames += 1
        meter.begin()
        try:
            await self._load()
            if socket.tag == BOT:
                await self.bots.received(socket, text)
            else:
                self.readers.received(socket, size if text is None else len(text))
            await self._report()
        finally:
            meter.end()

    async def socket_closed(self, socket: Socket, code: int | None = None) -> None:
        """A socket has ended, with a code if its client has closed it."""
        is_of_bot = socket.tag == BOT
        await self._load(socket if is_of_bot else None)
        if is_of_bot:
            await self.bots.closed(socket, code)
        else:
            self.readers.closed(socket)

    async def _report(self) -> None:
        """Once a minute of a life, make a report of the figures, which goes with the next commit.

        So it costs no row, and no timer keeps the object awake. What the last requests before a sleep have counted is left out.
        """
        if self._reporter.is_due:
            await self._reporter.prepare()

    def _send_report(self) -> None:
        if self._reporter.is_waiting and self._sending is None:
            self._sending = asyncio.create_task(self._reporter.send())
            self._sending.add_done_callback(self._sent)

    def _sent(self, _: object) -> None:
        self._sending = None

    async def aclose(self) -> None:
        """End this life in order, which the platform never does: it forgets the object."""
        await self._events.aclose()
        if self._is_loaded:
            await self.runtime.__aexit__(None, None, None)

    async def _load(self, ended: Socket | None = None) -> None:
        """Once in a life: open the data, then take over the sockets; ``ended`` is a bot's."""
        if self._is_loaded:
            return
        async with self._loading:
            if not self._is_loaded:
                await self.runtime.__aenter__()
                await self.readers.wake()
                await self.bots.wake(ended)
                self._is_loaded = True
