"""The live wall over WebSocket: what a subscriber missed, then every change after its commit (P2, P5).

A frame is ``{"seq": 7, "events": [...]}``: the events of one or more commits, encoded once for all subscribers. Its ``seq`` is
the token to reconnect with. The first frames are the pages of missed changes, all but the last of them with ``"more": true``.
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
from saywhatwant.topology import Position, Wall
from saywhatwant.topology.position import ONLY
from saywhatwant.worker.decoders import Query, client_of
from saywhatwant.worker.limits import HEARTBEAT_SECONDS, MAX_MISSED
from saywhatwant.worker.metrics import Metrics
from saywhatwant.worker.problems import problem
from saywhatwant.worker.progress import ProgressTexts
from saywhatwant.worker.queries import SocketQuery
from saywhatwant.worker.queue_events import QueueEvent, QueueEvents
from saywhatwant.worker.subscriber import POLICY_VIOLATION, TRY_AGAIN_LATER, Frame, Subscriber
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
        self._check_page = check_page
        self._per_client = per_client
        self._metrics = metrics
        self._query = Query(SocketQuery)
        self._subscribers: dict[Subscriber, None] = {}
        self._clients: Counter[str] = Counter()
        self._heartbeat: asyncio.TimerHandle | None = None
        self._changes: list[tuple[int | None, bytes]] = []
        self._progress = ProgressTexts()
        self._seq = 0
        queue_events.subscribe(self._on_event)

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
            seq = await self._catch_up(socket, subscriber, since)
            async for frame in subscriber.frames():
                if frame.seq >= seq and (newer := frame.after(seq)):
                    await socket.send_text(newer.text)
        except DurableObjectError:
            subscriber.end(TRY_AGAIN_LATER)
        finally:
            watching.cancel()
        if subscriber.close_code is not None:
            await socket.close(subscriber.close_code)

    async def _catch_up(self, socket: WebSocket, subscriber: Subscriber, since: Position) -> int:
        """Send the changes after the commit ``since``, page by page; returns the commit up to which they are complete.

        Each page's ``seq`` is its token, so that a slow connection advances with every page. Live frames are kept from the read
        of the last page on; earlier ones are part of a later page.
        """
        while True:
            subscriber.resume()
            page = await self._wall.changes(since, MAX_MISSED)
            seq = page.position[ONLY]
            self._seq = max(self._seq, seq)
            missed: list[tuple[int | None, bytes]] = [(None, events.changed(bytes(wire))) for wire in page.messages]
            if not page.more:
                missed += [(None, event) for event in self._progress.snapshot()]
                await socket.send_text(Frame(seq, missed).text)
                return seq
            subscriber.pause()
            await socket.send_text(Frame(seq, missed, more=True).text)
            since = page.position

    def _on_event(self, event: QueueEvent) -> None:
        if not (self._subscribers or self._progress.chars or events.is_progress(event.raw)):
            return
        delta = self._follow_progress(event.decoded)
        if not self._subscribers:
            return
        if not self._changes:
            # All events of a commit arrive before this runs, so they make one frame.
            asyncio.get_running_loop().call_soon(self._broadcast)
        seq = None
        if (message := event.decoded.message) is not None:
            seq = message.seq
            self._seq = max(self._seq, seq)
        self._changes.append((seq, delta or event.raw))

    def _follow_progress(self, event: events.Event) -> bytes | None:
        """Keep up with the replies on their way, for those who subscribe later; returns what a piece of one adds to it."""
        if event.message is not None:
            self._progress.on_change(event.message)
        return self._progress.delta(event) if event.type == "progress" else None

    def _broadcast(self) -> None:
        changes, self._changes = self._changes, []
        self._offer(Frame(self._seq, changes))

    def _offer(self, frame: Frame) -> None:
        for subscriber in self._subscribers:
            subscriber.offer(frame)

    def _beat(self) -> None:
        if not self._changes:
            self._offer(Frame(self._seq, []))
        self._schedule_heartbeat()

    def _schedule_heartbeat(self) -> None:
        self._heartbeat = asyncio.get_running_loop().call_later(HEARTBEAT_SECONDS, self._beat)


async def _end_when_client_leaves(socket: WebSocket, subscriber: Subscriber) -> None:
    """End the subscriber when its client leaves or sends anything, which clients must not."""
    message = await socket.receive()
    subscriber.end(POLICY_VIOLATION if message["type"] == "websocket.receive" else None)
