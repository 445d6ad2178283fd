"""The thread that waits for the disk, so that the event loop never does."""

import asyncio
from collections.abc import Callable, Generator, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Self

from durable_objects.disk import Change
from durable_objects.embedded.store import Store


class Write:
    """One list of changes on its way to the disk. Awaiting it raises what the disk raised."""

    __slots__ = ("changes", "error", "on_done")

    def __init__(self, changes: Sequence[Change]) -> None:
        self.changes = changes
        self.error: Exception | None = None
        self.on_done: Callable[[], None]

    def __await__(self) -> Generator[Self, None, None]:
        yield self
        if self.error is not None:
            raise self.error

    def done(self, error: Exception | None) -> None:
        """Resume the waiting coroutine; called on the event loop's thread."""
        self.error = error
        self.on_done()


class Job:
    """Something else to do with the data, between two writes; ``future`` is done when it is."""

    __slots__ = ("future", "run")

    def __init__(self, run: Callable[[], None], future: "asyncio.Future[None]") -> None:
        self.run = run
        self.future = future

    def done(self, error: Exception | None) -> None:
        """Called on the event loop's thread."""
        if self.future.done():
            return
        if error is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(error)


class WriterThread:
    """Writes lists of changes to ``store``, one after another, on its own thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queue: SimpleQueue[Write | Job | None] = SimpleQueue()
        # A daemon, since a disk that hangs would otherwise keep the process alive.
        self._thread = Thread(target=self._work, name="writer", daemon=True)
        self._loop: asyncio.AbstractEventLoop

    def start(self) -> None:
        """Start the thread; results go to the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def write(self, changes: Sequence[Change]) -> Write:
        """Queue ``changes`` for writing."""
        write = Write(changes)
        self._queue.put(write)
        return write

    def run(self, run: Callable[[], None]) -> "asyncio.Future[None]":
        """Run something else after the queued writes; the future raises what it raises."""
        job = Job(run, self._loop.create_future())
        self._queue.put(job)
        return job.future

    def stop(self) -> None:
        """Wait for the queued writes, then end the thread; harmless when it was not started."""
        if self._thread.ident is not None:
            self._queue.put(None)
            self._thread.join()

    def _work(self) -> None:
        while (work := self._queue.get()) is not None:
            error = None
            try:
                if isinstance(work, Write):
                    self._store.write(work.changes)
                else:
                    work.run()
            except Exception as caught:  # noqa: BLE001 - the thread must survive every error of the disk
                error = caught
            try:
                self._loop.call_soon_threadsafe(work.done, error)
            except RuntimeError:
                return  # the loop has closed: the runtime gave up on a disk that hung
