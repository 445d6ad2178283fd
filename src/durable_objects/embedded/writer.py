"""The thread that waits for the disk, so that the event loop never does."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread

from durable_objects.commits import Change
from durable_objects.embedded.store import Store


class WriterThread:
    """Writes lists of changes to ``store``, one after the other, on a thread of its own."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queue: SimpleQueue[tuple[Sequence[Change], asyncio.Future[None]] | None] = SimpleQueue()
        # Not waited for when the process ends: a disk that hangs would keep it alive.
        self._thread = Thread(target=self._work, name="writer", daemon=True)
        self._loop: asyncio.AbstractEventLoop

    def start(self) -> None:
        """Start the thread; results go to the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def write(self, changes: Sequence[Change]) -> "asyncio.Future[None]":
        """Have ``changes`` written; raises what that raised."""
        written: asyncio.Future[None] = self._loop.create_future()
        self._queue.put((changes, written))
        return written

    def stop(self) -> None:
        """Wait for what is being written, then end the thread; harmless when it was not started."""
        if self._thread.ident is not None:
            self._queue.put(None)
            self._thread.join()

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            changes, written = job
            error = None
            try:
                self._store.write(changes)
            except Exception as caught:  # noqa: BLE001 - the thread must outlive whatever the disk does
                error = caught
            with suppress(RuntimeError):  # the loop has closed: a runtime that gave up on a disk that hung
                self._loop.call_soon_threadsafe(_settle, written, error)


def _settle(written: "asyncio.Future[None]", error: Exception | None) -> None:
    if written.done():
        return
    if error is None:
        written.set_result(None)
    else:
        written.set_exception(error)
