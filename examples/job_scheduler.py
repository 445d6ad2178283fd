"""A job scheduler: each job runs at its time, and again until it is done, also if the process was stopped at that time.

python examples/job_scheduler.py [DIRECTORY]
"""

import asyncio
import sys
import tempfile
import time

from durable_objects import Context, DurableObject
from durable_objects.embedded import EmbeddedRuntime

MINUTE_MS = 60_000
RETRY_MS = MINUTE_MS  # how long a job may take before it is retried


class Scheduler(DurableObject):
    """Jobs ordered by when they are due. An object has one alarm, which is set for the first job."""

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
        self.ctx.set_alarm(due_at(next(iter(self._jobs))))

    def done(self, key: str) -> None:
        """Remove a job that has run."""
        self.ctx.storage.delete(key)
        self._jobs.pop(key, None)

    def waiting(self) -> list[str]:
        """The jobs that are not done, in their order."""
        return list(self._jobs.values())

    def alarm(self) -> None:
        """Publish the due jobs. An event may be lost with the process, so a job that is not done in time is published again."""
        now = self.ctx.now()
        for key, job in self._jobs.items():
            if due_at(key) <= now:
                self.ctx.publish(f"{key} {job}".encode())
        next_times = [at if at > now else now + RETRY_MS for at in map(due_at, self._jobs)]
        self.ctx.set_alarm(min(next_times, default=None))


def due_at(key: str) -> int:
    """When the job under ``key`` is due, in milliseconds since 1970."""
    return int(key.split("/")[1])


async def main(directory: str) -> None:
    """Schedule three jobs, come back an hour later, by the clock at least, and run them."""
    async with EmbeddedRuntime(directory) as runtime:
        scheduler = runtime.namespace("Scheduler", Scheduler).get("jobs")
        for job, minutes in (("report", 30), ("backup", 10), ("cleanup", 20)):
            await scheduler.call(Scheduler.schedule, job, minutes * MINUTE_MS)
        print("waiting  " + " ".join(await scheduler.call(Scheduler.waiting)))

    runtime = EmbeddedRuntime(directory, clock=lambda: time.time_ns() // 1_000_000 + 60 * MINUTE_MS)
    scheduler = runtime.namespace("Scheduler", Scheduler).get("jobs")
    events = scheduler.events()
    async with runtime, events:
        while await scheduler.call(Scheduler.waiting):
            _, due = await anext(events)
            for key, job in (event.decode().split(" ", 1) for event in due):
                print(f"running  {job}")
                await scheduler.call(Scheduler.done, key)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else temporary))
