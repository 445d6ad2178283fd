"""The running event loop as a ``commits.Loop``."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from durable_objects.embedded.writer import Write


class AsyncioLoop:
    """The running event loop, as ``commits.Loop``.

    A job awaits only writes, so it needs no task: it resumes in the turn of the loop in which the write ends. A task would
    resume one turn later, and the callers it releases two turns later; for a single caller that is a large part of a commit's
    time.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.create_future = self._loop.create_future

    def steady_ms(self) -> int:
        """Milliseconds of the loop's own clock."""
        return int(self._loop.time() * 1_000)

    def start(self, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run ``job`` after everything that is ready to run now."""
        self._loop.call_soon(lambda: _go_on(job()))


def _go_on(job: Coroutine[Any, Any, None]) -> None:
    try:
        write: Write = job.send(None)
    except StopIteration:
        return
    write.on_done = partial(_go_on, job)
