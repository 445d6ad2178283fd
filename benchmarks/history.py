"""What the history of figures takes: bytes on disk with a full year and week of a busy wall, and the time of a report.

A report is made once a minute; its time as a share of that is what a server's posts pay for the history. That share is far
below what the speed of posts differs by from run to run, so it is not read from two speeds: rounds of posts with a report for
each post, and without any, take turns, and what a report adds to the processor time is divided by a minute.
"""

import asyncio
import time
from pathlib import Path
from random import Random
from statistics import median

import httpx

from benchmarks.comparison import MESSAGE
from benchmarks.running import scratch
from durable_objects.embedded import EmbeddedRuntime
from saywhatwant.history import Counted, History, Present, Report, open_history
from saywhatwant.limits import HISTORY_DAYS, HISTORY_HOURS
from saywhatwant.settings import load
from saywhatwant.tally import Outcomes, Waiting
from saywhatwant.worker import create_worker

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
START_MS = 1_700_000_000_000
BUSY = (290_000, 290_000, 2_900_000, 1_234, 290_000, 280_000, 870_000, 12, 1_234_567, 1_450_000, 59_999)
"""A minute as busy as one machine can make it."""
REPORTS = 200
POSTS, ROUNDS, CALLERS = 400, 11, 32


class _Clock:
    def __init__(self) -> None:
        self.now_ms = START_MS

    def __call__(self) -> int:
        return self.now_ms


def bytes_on_disk(directory: Path, days: int = HISTORY_DAYS, hours: int = HISTORY_HOURS) -> int:
    """The size of the data directory after so many days of hours, and so many hours of minutes, all of them busy."""
    asyncio.run(_fill(directory, [HOUR_MS] * (days * 24) + [MINUTE_MS] * (hours * 60)))
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())


async def _fill(directory: Path, steps: list[int]) -> None:
    clock = _Clock()
    async with EmbeddedRuntime(directory, clock=clock) as runtime:
        history = open_history(runtime)
        random = Random(1)  # noqa: S311 - repeatable on purpose

        def some(most: int) -> int:
            return random.randint(most // 2, most)

        outcomes = Outcomes()
        for number, step in enumerate(steps, 1):
            clock.now_ms += step
            times = [count + some(18_000) for count in outcomes.answer_times]
            outcomes = Outcomes(
                outcomes.answers + some(289_000),
                outcomes.failures + some(1_000),
                outcomes.lease_expiries + some(100),
                outcomes.answer_ms + some(1_000_000_000),
                times,
            )
            present, waiting = Present(some(1_000), some(64)), Waiting(some(10_000), some(64), some(1_000), some(10_064))
            report = Report("a", number, Counted(*map(some, BUSY)), present, outcomes, waiting)
            await history.call(History.add, report)


async def report_ms(directory: Path) -> float:
    """Milliseconds of processor time that a server takes for one report, its commit included."""
    async with EmbeddedRuntime(directory) as runtime:
        worker = create_worker(runtime, load())
        began = time.process_time()
        for _ in range(REPORTS):
            runtime.meter.alarms += 1  # something has happened
            await worker.reporter.report()
        return (time.process_time() - began) * 1_000 / REPORTS


async def report_ms_amid_posts(directory: Path, posts: int = POSTS, rounds: int = ROUNDS) -> list[float]:
    """Milliseconds of processor time that a report adds to posts that are made at the same time, in each round."""
    async with EmbeddedRuntime(directory) as runtime:
        worker = create_worker(runtime, load(rate_limit=0, backlog_limit=1_000_000))
        transport = httpx.ASGITransport(worker.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:

            async def seconds(*, reports: bool) -> float:
                left = iter(range(posts))

                async def post() -> None:
                    for _ in left:
                        (await http.post("/api/comments", json=MESSAGE)).raise_for_status()
                        if reports:
                            await worker.reporter.report()

                began = time.process_time()
                await asyncio.gather(*(post() for _ in range(CALLERS)))
                return time.process_time() - began

            await seconds(reports=True)
            found = []
            for number in range(rounds):
                taken = {reports: await seconds(reports=reports) for reports in (number % 2 == 0, number % 2 == 1)}
                found.append((taken[True] - taken[False]) * 1_000 / posts)
        return found


def main() -> None:
    """Print all."""
    with scratch() as directory:
        size = bytes_on_disk(directory / "history")
        took = asyncio.run(report_ms(directory / "report"))
        added = asyncio.run(report_ms_amid_posts(directory / "posts"))
    print(f"a year of hours and a week of minutes, all busy: {size / 1_000_000:.1f} MB on disk")
    print(f"a report: {took:.2f} ms of processor time once a minute, {took / MINUTE_MS:.4%} of a core")
    middle = median(added)
    spread = f"{min(added):.2f} to {max(added):.2f} in {len(added)} rounds"
    print(f"amid posts: {middle:.2f} ms ({spread}), {middle / MINUTE_MS:.4%} of a core")


if __name__ == "__main__":
    main()
