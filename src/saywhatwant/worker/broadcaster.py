"""The live wall over WebSocket: what a subscriber missed, then every change after its commit (P2, P5). See ``live_frames``."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from durable_objects import DurableObjectError
from saywhatwant.topology import Position, Wall
from saywhatwant.worker.admission import Admission
from saywhatwant.worker.decoders import client_of
from saywhatwant.worker.extensions import ABORT
from saywhatwant.worker.limits import HEARTBEAT_SECONDS
from saywhatwant.worker.live_frames import LiveFrames
from saywhatwant.worker.queue_events import QueueEvents
from saywhatwant.worker.subscriber import PING, POLICY_VIOLATION, PONG, TRY_AGAIN_LATER, Frame, Subscriber


class Broadcaster:
    """The endpoint of GET /api/ws, and its subscribers. While there are none, it only follows the replies on their way."""

    def __init__(self, wall: Wall, queue_events: QueueEvents, admission: Admission) -> None:
        self._admission = admission
        self._subscribers: dict[Subscriber, None] = {}
        self._heartbeat: asyncio.TimerHandle | None = None
        self._frames = LiveFrames(
            wall,
            queue_events,
            has_readers=lambda: bool(self._subscribers),
            on_frame=self._offer,
            on_lost=self._interrupt,
        )

    def __len__(self) -> int:
        return len(self._subscribers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One socket, from its handshake to its end."""
        socket = WebSocket(scope, receive, send)
        since = await self._admission.admit(socket)
        if since is None:
            return
        with self._slot(socket) as subscriber, suppress(WebSocketDisconnect):
            await socket.accept()
            await self._serve(socket, subscriber, since)

    @contextmanager
    def _slot(self, socket: WebSocket) -> Iterator[Subscriber]:
        client = client_of(socket)
        subscriber = Subscriber(socket.scope.get("extensions", {}).get(ABORT, lambda: None))
        self._admission.enter(client)
        self._subscribers[subscriber] = None
        if self._heartbeat is None:
            self._schedule_heartbeat()
        try:
            yield subscriber
        finally:
            del self._subscribers[subscriber]
            self._admission.leave(client, subscriber.close_code)
            if not self._subscribers and self._heartbeat is not None:
                self._heartbeat.cancel()
                self._heartbeat = None

    async def _serve(self, socket: WebSocket, subscriber: Subscriber, since: Position) -> None:
        watching = asyncio.create_task(_end_when_client_leaves(socket, subscriber))
        try:
            await self._frames.start()
            position = since
            while not subscriber.has_ended:
                position = await self._catch_up(socket, subscriber, position)
                async for frame in subscriber.frames():
                    if (newer := frame.after(position)) is not None:
                        await socket.send_text(newer.text)
                        position = newer.position
        except DurableObjectError:
            subscriber.end(TRY_AGAIN_LATER)
        finally:
            watching.cancel()
        if subscriber.close_code is not None:
            await socket.close(subscriber.close_code)

    async def _catch_up(self, socket: WebSocket, subscriber: Subscriber, since: Position) -> Position:
        """Send the changes after ``since``, page by page; returns the position up to which they are complete.

        Each page has its own token, so that a slow connection advances with every page. Live frames are kept from the read
        of the last page on; earlier ones are part of a later page.
        """
        while True:
            subscriber.resume()
            page = await self._frames.missed(since)
            if page.more:
                subscriber.pause()
            await socket.send_text(page.text)
            since = page.position
            if not page.more:
                return since

    def _offer(self, frame: Frame) -> None:
        for subscriber in self._subscribers:
            subscriber.offer(frame)

    def _interrupt(self) -> None:
        for subscriber in self._subscribers:
            subscriber.interrupt()

    def _beat(self) -> None:
        self._frames.beat()
        self._schedule_heartbeat()

    def _schedule_heartbeat(self) -> None:
        self._heartbeat = asyncio.get_running_loop().call_later(HEARTBEAT_SECONDS, self._beat)


async def _end_when_client_leaves(socket: WebSocket, subscriber: Subscriber) -> None:
    """Answer pings; end the subscriber when its client leaves or sends anything else, which clients must not."""
    with suppress(WebSocketDisconnect):
        message = await socket.receive()
        while message.get("text") == PING:
            await socket.send_text(PONG)
            message = await socket.receive()
        subscriber.end(POLICY_VIOLATION if message["type"] == "websocket.receive" else None)
        return
    subscriber.end()
