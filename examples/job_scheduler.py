"""A job scheduler: each job runs at its time, and again until it is done, also if the process was stopped at that time.

python examples/job_scheduler.py [DIRECTORY]
"""

import asyncio
import sys
import tempfile
import time

from durable_objects import Context, DurableObject, Runtime, read
from durable_objects.embedded import EmbeddedRuntime

MINUTE_MS = 60_000


class Scheduler(DurableObject):
    """Jobs ordered by when they are due. An object has one alarm, which is set for the first job that is not due yet."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self._jobs: dict[str, str] = {}
        while page := ctx.storage.list("job/", after=next(reversed(self._jobs), "")):
            self._jobs |= {key: value.decode() for key, value in page}

    def schedule(self, job: str, delay_ms: int) -> None:
        """Schedule ``job`` to run in ``delay_ms`` milliseconds."""
        key = f"job/{self.ctx.now() + delay_ms:016}/{self.ctx.seq + 1:012}"
        self.ctx.storage.put(key, job.encode())
        self._jobs = dict(sorted({**self._jobs, key: job}.items()))
        self._set_alarm()

    def done(self, key: str) -> None:
        """Remove a job that has run."""
        self.ctx.storage.delete(key)
        self._jobs.pop(key, None)

    @read
    def waiting(self) -> list[str]:
        """The jobs that are not done, in their order."""
        return list(self._jobs.values())

    @read
    def due(self) -> list[tuple[str, str]]:
        """The jobs whose time has come, with their keys; each stays due until it is done."""
        return [(key, job) for key, job in self._jobs.items() if due_at(key) <= self.ctx.now()]

    def alarm(self) -> None:
        """Tell who listens. An event may be lost with the process, so it only says when to ask for what is due."""
        self.ctx.publish(b"due")
        self._set_alarm()

    def _set_alarm(self) -> None:
        self.ctx.set_alarm(min((at for at in map(due_at, self._jobs) if at > self.ctx.now()), default=None))


def due_at(key: str) -> int:
    """When the job under ``key`` is due, in milliseconds since 1970."""
    return int(key.split("/")[1])


async def schedule(runtime: Runtime) -> None:
    """Schedule three jobs."""
    scheduler = runtime.namespace("Scheduler", Scheduler).get("jobs")
    for job, minutes in (("report", 30), ("backup", 10), ("cleanup", 20)):
        await scheduler.call(Scheduler.schedule, job, minutes * MINUTE_MS)
    print("waiting  " + " ".join(await scheduler.call(Scheduler.waiting)))


async def work(runtime: Runtime) -> None:
    """Run jobs until none is left."""
    scheduler = runtime.namespace("Scheduler", Scheduler).get("jobs")
    async with scheduler.events() as events:
        while await scheduler.call(Scheduler.waiting):
            due = await scheduler.call(Scheduler.due)
            for key, job in due:
                print(f"running  {job}")
                await scheduler.call(Scheduler.done, key)
            if not due:
                await anext(events)


async def main(directory: str) -> None:
    """Come back an hour later, by the clock at least."""
    async with EmbeddedRuntime(directory) as runtime:
        await schedule(runtime)
    async with EmbeddedRuntime(directory, clock=lambda: time.time_ns() // 1_000_000 + 60 * MINUTE_MS) as runtime:
        await work(runtime)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else temporary))
