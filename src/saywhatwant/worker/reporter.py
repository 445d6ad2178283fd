"""A gateway's reports to the history: what it has counted since the last one, once a minute.

It reads counters that are there anyway, so requests pay nothing for it, and a minute in which nobody has come is not reported.
"""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Sized
from contextlib import suppress

from durable_objects import DurableObjectError, Meter, Stub
from saywhatwant.history import Counted, History, Present, Report
from saywhatwant.tally import difference
from saywhatwant.topology import Wall
from saywhatwant.usage import Usage
from saywhatwant.worker.limits import LAST_REPORT_SECONDS, REPORT_SECONDS
from saywhatwant.worker.metrics import Metrics

EARLY_SECONDS = 1.0
"""A report is made so long before its minute ends, so that it belongs to it."""
POSTS = frozenset({("/api/comments", "POST"), ("/original/api/comments", "POST")})
OF_WATCHERS = ("/metrics", "/healthz", "/readyz", "/api/stats", "/api/ops/")
"""What routes begin with whose requests are no use of the wall: a monitor would make an idle one look busy."""

log = logging.getLogger("saywhatwant")


class Reporter:
    """Makes reports, and sends each until it has arrived.

    Args:
        wall: has the outcomes.
        history: gets the reports.
        metrics: counts requests.
        meter: counts what the runtime does.
        readers: as many as there are readers' sockets.
        bots: as many as there are bots.
        sleep: waits for some seconds.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        wall: Wall,
        history: Stub[History],
        *,
        metrics: Metrics,
        meter: Meter,
        readers: Sized,
        bots: Sized,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._wall = wall
        self._history = history
        self._metrics = metrics
        self._meter = meter
        self._readers = readers
        self._bots = bots
        self._sleep = sleep
        self._clock = clock
        self._name = os.urandom(8).hex()
        self._reported = Counted()
        """What all reports together have said."""
        self._alarms = 0
        self._number = 0
        self._report: Report | None = None
        """The report that has not arrived yet, as far as is known."""
        self._made_at = -REPORT_SECONDS
        self._covered_until = meter.clock()
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    # -- Once a minute

    def start(self) -> None:
        """Report once a minute from now on, until ``aclose``."""
        self._task = asyncio.create_task(self._run())

    async def aclose(self) -> None:
        """Send a last report, if it arrives soon."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait([self._task])
        with suppress(TimeoutError):
            await asyncio.wait_for(self.report(), LAST_REPORT_SECONDS)

    async def _run(self) -> None:
        while True:
            await self._sleep(REPORT_SECONDS - (self._clock() + EARLY_SECONDS) % REPORT_SECONDS)
            try:
                await self.report()
            except Exception:
                log.exception("the report of this minute failed; the next one has its figures")

    async def report(self) -> None:
        """Make and send a report; the next one has what could not be sent."""
        await self.prepare()
        await self.send()

    # -- In two steps, for a platform on which a commit of its own would cost too much

    @property
    def is_waiting(self) -> bool:
        """Whether there is a report to send."""
        return self._report is not None

    @property
    def is_due(self) -> bool:
        """Whether the last report is a minute old and has arrived."""
        return self._report is None and self._meter.clock() - self._made_at >= REPORT_SECONDS

    async def prepare(self) -> None:
        """Make a report, if the last one has arrived and something has happened since."""
        async with self._lock:
            counted, alarms = self._counted(), self._meter.alarms
            new = difference(counted, self._reported)
            if self._report is not None or not (new.requests or new.socket_messages or alarms != self._alarms):
                return
            try:
                tally = await self._wall.tally()
            except DurableObjectError as error:
                log.debug("the wall's figures could not be read: %s", error)
                return
            self._made_at = now = self._meter.clock()
            covers_ms = round((now - self._covered_until) * 1_000)
            self._number += 1
            present = Present(len(self._readers), len(self._bots))
            self._report = Report(self._name, self._number, new, present, tally.outcomes, tally.waiting, covers_ms)
            self._reported, self._alarms, self._covered_until = counted, alarms, now

    async def send(self) -> None:
        """Send the report that waits. If its outcome is not known it is sent again, and counts once."""
        async with self._lock:
            if self._report is None:
                return
            try:
                await self._history.call(History.add, self._report)
            except DurableObjectError as error:
                log.debug("the figures of this minute could not be stored yet: %s", error)
            else:
                self._report = None

    # -- What is counted

    def _counted(self) -> Counted:
        """Everything since the start."""
        metrics, meter = self._metrics, self._meter
        posts, requests, errors = 0, metrics.refused.total() + metrics.handshakes.total(), 0
        for route in metrics.routes:
            if route.route.startswith(OF_WATCHERS):
                continue
            if (route.route, route.method) in POSTS:
                posts += route.by_status.get(200, 0)
            requests += sum(route.by_status.values())
            errors += route.server_errors()
        return Counted(
            posts=posts,
            questions=meter.served,
            requests=requests,
            errors=errors,
            socket_messages=meter.socket_frames,
            commits=meter.commits,
            commit_calls=meter.commit_calls,
            commit_failures=meter.commit_failures,
            rows_read=meter.rows_read,
            rows_written=meter.rows_written,
            active_ms=round(meter.active_ms),
            alarm_calls=meter.alarm_calls,
            alarms_set=meter.alarms_set,
        )


def usage_of(counted: Counted) -> Usage:
    """What was counted, in the units that clouds bill; it does not say since when."""
    return Usage(
        since=0,
        round_trips=counted.questions,
        requests=counted.requests,
        socket_messages=counted.socket_messages,
        alarm_calls=counted.alarm_calls,
        rows_read=counted.rows_read,
        rows_written=counted.rows_written,
        alarms_set=counted.alarms_set,
        active_ms=counted.active_ms,
    )
