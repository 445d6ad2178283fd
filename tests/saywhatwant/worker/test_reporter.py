"""A gateway's reports to the history: what is in them, when there are none, and what happens when one gets lost."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from unittest import mock

import pytest
from test_app import App, with_app

from durable_objects import OutcomeUnknown, RuntimeClosed
from durable_objects.simulated import SimulatedRuntime
from saywhatwant.history import History
from saywhatwant.settings import load
from saywhatwant.worker import create_worker
from saywhatwant.worker.limits import REPORT_SECONDS
from saywhatwant.worker.reporter import EARLY_SECONDS, Reporter
from servers import DEADLINE_SECONDS

pytestmark = pytest.mark.usefixtures("no_settings")

Json = dict[str, Any]


async def history(app: App, **query: str) -> list[Json]:
    answer = await app.http.get("/api/ops/history", params=query)
    points: list[Json] = answer.raise_for_status().json()["points"]
    return points


async def round_trip(app: App) -> None:
    await app.post(botParams={"entity": "zen"})
    (message,) = (await app.queue("claim", workerId="bot"))["messages"]
    await app.queue("complete", messageId=message["id"], workerId="bot", attempt=1, reply={"text": "Because."})


def stored_reports(app: App) -> int:
    """How many reports have reached the history."""
    return app.runtime.disk.head("History/history").seq


def test_a_report_has_what_was_counted_since_the_last_one() -> None:
    async def scenario(app: App) -> None:
        await round_trip(app)
        await app.post(botParams={"answer": False})
        await app.worker.reporter.report()
        (first,) = await history(app)
        assert (first["posts"], first["questions"], first["answers"], first["failures"]) == (2, 1, 1, 0)
        assert (first["requests"], first["errors"], first["pending"], first["bots"]) == (4, 0, 0, 1)
        assert first["commits"] >= 3
        assert (sum(first["answerTimes"]), first["p50"]) == (1, 0.025)
        await app.post()
        app.runtime.now_ms += 60_000
        await app.worker.reporter.report()
        (_, second) = await history(app)
        assert (second["posts"], second["answers"], second["pending"], second["p50"]) == (1, 0, 1, None)
        (hour,) = await history(app, step="hour")
        assert (hour["posts"], hour["answers"], hour["pending"]) == (3, 1, 1)

    with_app(scenario)


def test_a_report_says_how_long_its_gateway_was_there_though_nobody_came() -> None:
    seconds = [0.0]

    async def scenario(app: App) -> None:
        app.runtime.meter.clock = lambda: seconds[0]
        app.worker.reporter._covered_until = 0.0
        for quiet in (5.0, 600.0):
            seconds[0] += quiet
            app.runtime.now_ms += round(quiet * 1_000)
            await app.worker.reporter.report()  # nobody has come
            await app.post()
            await app.worker.reporter.report()
            assert (await history(app))[-1]["since"] == app.runtime.now_ms - quiet * 1_000

    with_app(scenario)


def test_each_point_says_what_it_would_have_cost_where_somebody_knows_prices() -> None:
    async def scenario(app: App) -> None:
        worker = create_worker(app.runtime, load(), dollars=lambda usage: usage.round_trips * 0.5 + usage.alarms_set)
        await worker.reporter.report()
        app.http._transport.app = worker.app  # type: ignore[attr-defined] # httpx's own
        await app.post()
        await app.post()
        await worker.reporter.report()
        (point,) = await history(app)
        assert point["dollars"] == 1.0 + app.runtime.meter.alarms_set
        assert app.runtime.meter.alarms_set > 0

    with_app(scenario)


def test_posts_of_the_originals_pages_count_too_and_refused_ones_do_not() -> None:
    async def scenario(app: App) -> None:
        await app.post()
        await app.http.post("/original/api/comments", json={"text": "Why?", "username": "Human", "color": "169080199"})
        await app.http.post("/api/comments", json={"text": ""})
        await app.worker.reporter.report()
        assert (await history(app))[0]["posts"] == 2

    with_app(scenario)


def test_nothing_is_stored_while_nobody_comes_and_probes_and_monitors_are_nobody() -> None:
    async def scenario(app: App) -> None:
        await app.worker.reporter.report()
        for path in ("/metrics", "/healthz", "/readyz", "/api/stats", "/api/ops/history"):
            await app.http.get(path)
            await app.worker.reporter.report()
        assert stored_reports(app) == 0
        await app.http.get("/api/comments")
        await app.worker.reporter.report()
        assert stored_reports(app) == 1
        await app.worker.reporter.report()
        assert stored_reports(app) == 1, "nor because of the report itself"

    with_app(scenario)


def test_a_deadline_that_passes_while_nobody_comes_is_reported() -> None:
    async def scenario(app: App) -> None:
        await app.post()
        await app.worker.reporter.report()
        app.runtime.advance(11_000)
        await app.worker.reporter.report()
        assert (await history(app))[-1]["failures"] == 1

    with_app(scenario, max_wait_seconds=10)


@pytest.mark.parametrize("lost", ["request", "answer"])
def test_a_report_that_gets_lost_on_its_way_or_back_is_sent_again_and_counts_once(lost: str) -> None:
    async def scenario(app: App) -> None:
        reporter = app.worker.reporter
        real = reporter._history

        class Lossy:
            async def call(self, method: Any, *args: Any) -> None:
                if lost == "answer":
                    await real.call(method, *args)
                raise OutcomeUnknown(f"the {lost} was lost")

        await app.post()
        with mock.patch.object(reporter, "_history", Lossy()):
            await reporter.report()
        assert reporter.is_waiting
        await app.post()
        await reporter.report()
        await reporter.report()
        assert sum(point["posts"] for point in await history(app)) == 2
        assert not reporter.is_waiting

    with_app(scenario)


def test_a_wall_that_does_not_answer_is_asked_again_a_minute_later() -> None:
    async def scenario(app: App) -> None:
        reporter = app.worker.reporter

        async def refuses() -> None:
            raise RuntimeClosed("not yet")

        await app.post()
        with mock.patch.object(reporter, "_wall", mock.Mock(tally=refuses)):
            await reporter.report()
        assert stored_reports(app) == 0
        await reporter.report()
        assert (await history(app))[0]["posts"] == 1

    with_app(scenario)


@pytest.mark.parametrize("now", [0.0, 12.5, 58.9, 59.0, 59.5])
def test_a_report_is_made_once_a_minute_just_before_it_ends(now: float) -> None:
    waited: list[float] = []
    has_waited = asyncio.Event()

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 2:
            has_waited.set()
            await asyncio.Event().wait()

    async def scenario() -> None:
        reporter = reporter_of(sleep, lambda: 1_700_000_000 // 60 * 60 + now + sum(waited))
        reporter.start()
        await has_waited.wait()
        await reporter.aclose()

    asyncio.run(scenario())
    assert waited == pytest.approx([(REPORT_SECONDS - EARLY_SECONDS - now) % 60 or 60, 60])


def test_reports_go_on_after_an_error_that_nobody_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    reports: list[int] = []

    async def scenario(app: App) -> None:
        reported = asyncio.Event()

        async def report() -> None:
            reports.append(len(reports))
            if len(reports) == 1:
                raise ZeroDivisionError
            reported.set()

        monkeypatch.setattr(app.worker.reporter, "report", report)
        monkeypatch.setattr(app.worker.reporter, "_sleep", lambda _: asyncio.sleep(0))
        app.worker.reporter.start()
        await asyncio.wait_for(reported.wait(), DEADLINE_SECONDS)
        await app.worker.reporter.aclose()

    with_app(scenario)
    assert reports[:2] == [0, 1]


def test_the_last_report_is_sent_when_the_server_stops() -> None:
    async def scenario(app: App) -> None:
        app.worker.reporter.start()
        await app.post()
        await app.worker.reporter.aclose()
        assert (await history(app))[0]["posts"] == 1

    with_app(scenario)


def test_two_gateways_of_one_wall_report_together() -> None:
    async def scenario(app: App) -> None:
        other = App(load())
        other.runtime = app.runtime
        other.worker = create_worker(app.runtime, load())
        other.http._transport.app = other.worker.app  # type: ignore[attr-defined] # httpx's own
        await round_trip(app)
        await other.post()
        await app.worker.reporter.report()
        await other.worker.reporter.report()
        (point,) = await history(app)
        assert (point["posts"], point["questions"], point["answers"], point["pending"]) == (2, 4, 1, 1)

    with_app(scenario)


def reporter_of(sleep: Callable[[float], Awaitable[None]], clock: Callable[[], float]) -> Reporter:
    runtime = SimulatedRuntime()
    worker = create_worker(runtime, load())
    made = worker.reporter
    return Reporter(
        made._wall,
        runtime.namespace("History", History).get("history"),
        metrics=made._metrics,
        meter=made._meter,
        readers=(),
        bots=(),
        sleep=sleep,
        clock=clock,
    )
