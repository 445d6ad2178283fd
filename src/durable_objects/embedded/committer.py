"""The worker thread that waits for the disk, so that the event loop never does."""

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

from durable_objects.commits import Change


class Committer:
    """Runs ``commit`` for each list of changes, in order, and tells ``done`` of its end; both on its own thread."""

    def __init__(self, commit: Callable[[list[Change]], None], done: Callable[[Exception | None], None]) -> None:
        self._commit = commit
        self._done = done
        self._queue: SimpleQueue[list[Change] | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name="committer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, changes: list[Change]) -> None:
        """Begin to commit ``changes``."""
        self._queue.put(changes)

    def stop(self) -> None:
        """Finish what was submitted, then end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (changes := self._queue.get()) is not None:
            error = None
            try:
                self._commit(changes)
            except Exception as caught:  # noqa: BLE001 - the thread must outlive whatever the disk does
                error = caught
            self._done(error)
