"""The figures that operators look at, once a second while somebody does. While nobody looks, nothing here runs."""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sized

import msgspec
from msgspec import UNSET, Struct, UnsetType

from durable_objects import Meter
from saywhatwant.entities import Entities
from saywhatwant.message import MessageType, Status
from saywhatwant.overview import Overview
from saywhatwant.queue import events
from saywhatwant.schemas import BotSummary, ProgressState
from saywhatwant.topology import Wall
from saywhatwant.usage import Usage
from saywhatwant.worker.bot_desk import BotDesk
from saywhatwant.worker.limits import LOOK_SECONDS, MAX_COUNTED, MAX_MEASURED, MEASURED_SECONDS
from saywhatwant.worker.metrics import Metrics
from saywhatwant.worker.queue_events import QueueEvent

Dollars = Callable[[Usage], float]
"""What a usage would cost."""


class Latency(Struct, frozen=True):
    """How long messages waited for their answers in the last minute, in milliseconds."""

    p50: int
    p99: int


class AtWork(Struct, frozen=True):
    """What a bot does for a message that it holds."""

    id: str
    state: ProgressState
    characters: int
    """Of the reply, so far."""
    since: int
    """When it began with this, in milliseconds since 1970."""
    entity: str | None
    """Whose model it is; None if the bot took the message before anybody looked."""


class Figures(Struct, frozen=True, rename="camel", tag_field="type", tag="figures"):
    """What operators see at one moment. What only grows is counted since ``since``; rates are differences."""

    at: int
    """The server's clock, in milliseconds since 1970."""
    since: int
    """When the server began to count."""
    counting_since: int
    """When it began to count ``posts`` and ``answers``, which it does while somebody looks."""
    posts: int
    answers: int
    commits: int
    commit_calls: int
    rows_written: int
    requests: int
    errors: int
    """Requests that were answered with a status of 500 and above."""
    readers: int
    bot_sockets: int
    waiting_claims: int
    overview: Overview
    bots: list[BotSummary]
    at_work: list[AtWork]
    latency: Latency | UnsetType = UNSET
    """Unset while nothing was answered."""
    dollars: float | UnsetType = UNSET
    """What a cloud would have charged since ``since``; unset where nobody knows prices."""


class _Params(Struct, frozen=True, rename="camel"):
    status: Status
    entity: str | None = None
    assigned_entity: str | None = None
    answered_at: int | None = None


class _Changed(Struct, frozen=True, rename="camel"):
    id: str
    timestamp: int
    message_type: MessageType
    bot_params: _Params


class _Event(Struct, frozen=True):
    message: _Changed | None = None


class _Time(Struct, frozen=True):
    timestamp: int


_decode = msgspec.json.Decoder(_Event).decode
_decode_times = msgspec.json.Decoder(list[_Time]).decode


class OpsFigures:
    """Makes the figures.

    It counts posts and answers by the wall's events, from the first look until ``LOOK_SECONDS`` after the last one.

    Args:
        wall: the queue.
        desk: knows the bots, and follows the wall's events.
        entities: those that answer here.
        meter: counts what the runtime does.
        metrics: counts requests.
        readers: the sockets of readers.
        dollars: says what a usage would cost.
        now_ms: milliseconds since 1970.
    """

    def __init__(
        self,
        wall: Wall,
        desk: BotDesk,
        entities: Entities,
        meter: Meter,
        *,
        metrics: Metrics,
        readers: Sized,
        dollars: Dollars | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._wall = wall
        self._desk = desk
        self._queue_events = desk.queue_events
        self._entities = entities
        self._meter = meter
        self._metrics = metrics
        self._readers = readers
        self._dollars = dollars
        self._now_ms = now_ms
        self._end: Callable[[], None] | None = None
        """Ends the counting."""
        self._ending: asyncio.TimerHandle | None = None
        self._forget()

    @property
    def is_counting(self) -> bool:
        """Whether somebody looks, or did so lately."""
        return self._end is not None

    async def look(self) -> Figures:
        """The figures now; raises as a call of the wall."""
        await self._begin()
        self._entities.refresh()
        overview = await self._wall.overview(tuple(self._entities.current))
        now, meter, waiters = self._now_ms(), self._meter, self._desk.waiters
        return Figures(
            at=now,
            since=meter.since_ms,
            counting_since=self._since,
            posts=self._posts,
            answers=self._answers,
            commits=meter.commits,
            commit_calls=meter.commit_calls,
            rows_written=meter.rows_written,
            requests=meter.requests,
            errors=self._metrics.server_errors(),
            readers=len(self._readers),
            bot_sockets=len(self._desk),
            waiting_claims=len(waiters),
            overview=overview,
            bots=waiters.bots.listing(),
            at_work=list(self._at_work.values()),
            latency=self._latency(now),
            dollars=UNSET if self._dollars is None else self._dollars(Usage.of(meter)),
        )

    async def _begin(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
        if self._end is None:
            await self._queue_events.start()
            newest = _decode_times((await self._wall.read(0, 1)).body)
            if self._end is None:
                self._forget()
                # By the objects' clock, which may be another machine's.
                self._newest = newest[0].timestamp if newest else 0
                self._end = self._queue_events.subscribe(self._on_event)
        self._ending = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._stop)

    def _stop(self) -> None:
        if self._end is not None:
            self._end()
        self._end = self._ending = None
        self._forget()

    def _forget(self) -> None:
        self._since, self._newest = self._now_ms(), 0
        self._posts = self._answers = 0
        self._seen: OrderedDict[tuple[str, bool], None] = OrderedDict()
        """The messages that are counted: as posts, and as answered."""
        self._waits: deque[tuple[int, int]] = deque(maxlen=MAX_MEASURED)
        """When an answer was seen, and how long after the post it came."""
        self._at_work: dict[str, AtWork] = {}
        self._entities_of: dict[str, str | None] = {}
        """Of the messages that bots hold, as far as their claims were seen."""

    def _on_event(self, event: QueueEvent) -> None:
        if events.is_progress(event.raw):
            self._on_progress(event)
            return
        message = None if events.is_work(event.raw) else _decode(event.raw).message
        if message is not None and message.message_type == "human":
            self._on_change(message)

    def _on_progress(self, event: QueueEvent) -> None:
        progress = event.decoded
        known = self._at_work.get(progress.id)
        since = known.since if known is not None and known.state == progress.state else self._now_ms()
        self._at_work[progress.id] = AtWork(
            progress.id, progress.state, len(progress.text), since, self._entities_of.get(progress.id)
        )

    def _on_change(self, message: _Changed) -> None:
        params = message.bot_params
        if params.status == "processing":
            self._entities_of[message.id] = params.entity or params.assigned_entity
        else:
            self._entities_of.pop(message.id, None)
            self._at_work.pop(message.id, None)
        if message.timestamp > self._newest and self._is_first(message.id, is_answered=False):
            self._posts += 1
        answered_at = params.answered_at
        if answered_at is not None and answered_at > self._newest and self._is_first(message.id, is_answered=True):
            self._answers += 1
            self._waits.append((self._now_ms(), answered_at - message.timestamp))

    def _is_first(self, message_id: str, *, is_answered: bool) -> bool:
        key = (message_id, is_answered)
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > MAX_COUNTED:
            self._seen.popitem(last=False)
        return True

    def _latency(self, now: int) -> Latency | UnsetType:
        waits = self._waits
        while waits and waits[0][0] < now - MEASURED_SECONDS * 1_000:
            waits.popleft()
        if not waits:
            return UNSET
        ordered = sorted(wait for _, wait in waits)
        last = len(ordered) - 1
        return Latency(p50=ordered[last // 2], p99=ordered[last * 99 // 100])
