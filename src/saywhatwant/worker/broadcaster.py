"""The live wall over WebSocket: what a subscriber missed, then every change after its commit (P2, P5).

A frame is ``{"seq": 7, "events": [...]}``: the events of one or more commits, encoded once for all subscribers. Its ``seq`` is
the token to reconnect with: a position in the wall's events, never ahead of what this socket has got. The first frames are
the pages of missed changes, all but the last of them with ``"more": true``. Events may come before or after the page that
has them, so each frame is cut to what is newer than the socket's own position.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from durable_objects import DurableObjectError
from saywhatwant.errors import RequestRefused, TooManyReaders
from saywhatwant.queue import events
from saywhatwant.topology import START, Position, Wall
from saywhatwant.topology.position import ONLY
from saywhatwant.worker.decoders import Query, client_of
from saywhatwant.worker.limits import HEARTBEAT_SECONDS, MAX_MISSED
from saywhatwant.worker.metrics import Metrics
from saywhatwant.worker.problems import problem
from saywhatwant.worker.progress import ProgressTexts
from saywhatwant.worker.queries import SocketQuery
from saywhatwant.worker.queue_events import QueueEvent, QueueEvents
from saywhatwant.worker.subscriber import POLICY_VIOLATION, TRY_AGAIN_LATER, Change, Frame, Subscriber
from saywhatwant.worker.websocket_protocol import ABORT


class Broadcaster:
    """The endpoint of GET /api/ws, and its subscribers. While there are none, it only follows the replies on their way."""

    def __init__(
        self,
        wall: Wall,
        queue_events: QueueEvents,
        *,
        check_page: Callable[[HTTPConnection], None],
        per_client: int,
        metrics: Metrics,
    ) -> None:
        self._wall = wall
        self._queue_events = queue_events
        self._check_page = check_page
        self._per_client = per_client
        self._metrics = metrics
        self._query = Query(SocketQuery)
        self._subscribers: dict[Subscriber, None] = {}
        self._clients: Counter[str] = Counter()
        self._heartbeat: asyncio.TimerHandle | None = None
        self._changes: list[Change] = []
        self._progress = ProgressTexts()
        self._broadcast_up_to = START
        """The position of the last frame."""
        queue_events.subscribe(self._on_event)
        queue_events.on_batch(self._broadcast)
        queue_events.on_lost(self._on_lost)

    def __len__(self) -> int:
        return len(self._subscribers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One socket, from its handshake to its end."""
        socket = WebSocket(scope, receive, send)
        try:
            self._check_page(socket)
            since = Position.parse(self._query.read(socket).since)
            self._check_free_slot(client_of(socket))
        except RequestRefused as error:
            refusal = problem(error)
            self._metrics.handshakes[refusal.status_code] += 1
            await socket.send_denial_response(refusal)
            return
        with self._slot(socket) as subscriber, suppress(WebSocketDisconnect):
            await socket.accept()
            self._metrics.handshakes[101] += 1
            await self._serve(socket, subscriber, since)

    def _check_free_slot(self, client: str) -> None:
        if self._per_client and self._clients[client] >= self._per_client:
            raise TooManyReaders(f"{self._per_client} sockets of one address are already open; poll instead")

    @contextmanager
    def _slot(self, socket: WebSocket) -> Iterator[Subscriber]:
        client = client_of(socket)
        subscriber = Subscriber(socket.scope.get("extensions", {}).get(ABORT, lambda: None))
        self._clients[client] += 1
        self._subscribers[subscriber] = None
        if self._heartbeat is None:
            self._schedule_heartbeat()
        try:
            yield subscriber
        finally:
            del self._subscribers[subscriber]
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]
            self._metrics.closes["client" if subscriber.close_code is None else str(subscriber.close_code)] += 1
            if not self._subscribers and self._heartbeat is not None:
                self._heartbeat.cancel()
                self._heartbeat = None

    async def _serve(self, socket: WebSocket, subscriber: Subscriber, since: Position) -> None:
        watching = asyncio.create_task(_end_when_client_leaves(socket, subscriber))
        try:
            await self._queue_events.start()
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
            page = await self._wall.changes(since, MAX_MISSED)
            missed: list[Change] = [(ONLY, None, events.changed(bytes(encoded))) for encoded in page.messages]
            if not page.more:
                missed += [(ONLY, None, event) for event in self._progress.snapshot()]
                await socket.send_text(Frame(since, page.position, missed).text)
                return page.position
            subscriber.pause()
            await socket.send_text(Frame(since, page.position, missed, more=True).text)
            since = page.position

    def _on_event(self, event: QueueEvent) -> None:
        if not (self._subscribers or self._progress.chars or events.is_progress(event.raw)):
            return
        decoded = event.decoded
        if decoded.type == "progress":
            raw = self._progress.delta(decoded)
        elif decoded.message is not None:
            raw = event.raw
            self._progress.on_change(decoded.message)
        else:
            return
        if not self._subscribers:
            return
        self._changes.append((event.source, event.seq, raw))

    def _broadcast(self) -> None:
        if changes := self._changes:
            self._changes = []
            self._offer(changes)

    def _offer(self, changes: list[Change]) -> None:
        before, self._broadcast_up_to = self._broadcast_up_to, self._queue_events.position
        frame = Frame(before, self._broadcast_up_to, changes)
        for subscriber in self._subscribers:
            subscriber.offer(frame)

    def _on_lost(self) -> None:
        self._changes.clear()
        self._broadcast_up_to = self._queue_events.position
        for subscriber in self._subscribers:
            subscriber.interrupt()

    def _beat(self) -> None:
        if not self._changes:
            self._offer([])
        self._schedule_heartbeat()

    def _schedule_heartbeat(self) -> None:
        self._heartbeat = asyncio.get_running_loop().call_later(HEARTBEAT_SECONDS, self._beat)


async def _end_when_client_leaves(socket: WebSocket, subscriber: Subscriber) -> None:
    """End the subscriber when its client leaves or sends anything, which clients must not."""
    message = await socket.receive()
    subscriber.end(POLICY_VIOLATION if message["type"] == "websocket.receive" else None)
