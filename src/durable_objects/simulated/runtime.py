"""A runtime for tests: no threads, no disk, a virtual clock, one seed, and a crash whenever you like.

    runtime = SimulatedRuntime(seed=7)
    counter = runtime.namespace("Counter", Counter).get("visits")
    assert runtime.run(counter.call(Counter.add, 2)) == 2

By default each call commits at once, so its stub works under any event loop too. With ``autocommit=False`` nothing becomes
durable before ``commit()``: ``start`` calls, look at who still waits at the gate, then ``commit()``, ``fail()`` or ``crash()``.
"""

from collections.abc import Coroutine, Generator, Sequence
from random import Random
from typing import Any, Generic, TypeVar

from durable_objects.commits import Change, Gate
from durable_objects.errors import DurableObjectError
from durable_objects.live import Head
from durable_objects.local import LocalRuntime

ResultT = TypeVar("ResultT")


class Crashed(DurableObjectError):
    """The simulated process died while this call waited; whether it became durable is not known to the caller."""


class SimulatedGate:
    """A future that needs no event loop."""

    def __init__(self) -> None:
        self._done = False
        self._exception: BaseException | None = None

    def __await__(self) -> Generator["SimulatedGate", None, None]:
        while not self._done:
            yield self
        if self._exception is not None:
            raise self._exception

    def done(self) -> bool:
        """Whether waiting is over."""
        return self._done

    def set_result(self, result: None) -> None:
        """Let through."""
        assert result is None  # noqa: S101 - a gate carries no value
        self._done = True

    def set_exception(self, exception: BaseException) -> None:
        """Let through with an error."""
        self._done, self._exception = True, exception


class Task(Generic[ResultT]):
    """A started call, which may wait at the gate."""

    def __init__(self, coroutine: Coroutine[Any, Any, ResultT]) -> None:
        self._coroutine = coroutine
        self._result: list[ResultT] = []
        self._error: BaseException | None = None
        self.step()

    @property
    def done(self) -> bool:
        """Whether the caller has its answer."""
        return bool(self._result) or self._error is not None

    def result(self) -> ResultT:
        """The answer; raises what the call raised."""
        if self._error is not None:
            raise self._error
        return self._result[0]

    def step(self) -> None:
        """Go on until the answer or the next wait."""
        if self.done:
            return
        try:
            self._coroutine.send(None)
        except StopIteration as stop:
            self._result.append(stop.value)
        except Exception as error:  # noqa: BLE001 - kept for result()
            self._error = error

    def abandon(self) -> None:
        """The process died: the caller never hears."""
        if not self.done:
            self._coroutine.close()
            self._error = Crashed("the process died")


class SimulatedDisk:
    """What survives a crash."""

    def __init__(self) -> None:
        self._heads: dict[str, Head] = {}
        self._entries: dict[str, dict[str, bytes]] = {}

    def head(self, object_id: str) -> Head:
        """See ``live.Disk``."""
        return self._heads.get(object_id, Head())

    def get(self, object_id: str, key: str) -> bytes | None:
        """See ``live.Disk``."""
        return self._entries.get(object_id, {}).get(key)

    def list(self, object_id: str, prefix: str, after: str, limit: int) -> Sequence[tuple[str, bytes]]:
        """See ``live.Disk``."""
        entries = self._entries.get(object_id, {})
        return [(key, entries[key]) for key in sorted(entries) if key > after and key.startswith(prefix)][:limit]

    def alarms(self) -> Sequence[tuple[str, int]]:
        """Every object that has an alarm, and when."""
        return [(object_id, head.alarm_at) for object_id, head in self._heads.items() if head.alarm_at is not None]

    def commit(self, changes: Sequence[Change]) -> None:
        """All of ``changes`` become durable."""
        for object_id, writes, head in changes:
            entries = self._entries.setdefault(object_id, {})
            for key, value in writes.items():
                if value is None:
                    entries.pop(key, None)
                else:
                    entries[key] = value
            self._heads[object_id] = head


class SimulatedRuntime(LocalRuntime):
    """Objects without threads or disk. The same seed and the same steps give the same history."""

    def __init__(self, *, seed: int = 0, now_ms: int = 1_700_000_000_000, autocommit: bool = True) -> None:
        self.disk = SimulatedDisk()
        self.autocommit = autocommit
        self.now_ms = now_ms
        self._randomness = Random(seed)  # noqa: S311 - repeatable on purpose
        self._pending: list[Change] | None = None
        self._tasks: list[Task[Any]] = []
        super().__init__(self.disk)
        self._running = True

    def start(self, call: Coroutine[Any, Any, ResultT]) -> Task[ResultT]:
        """Begin a call and go on until it has its answer or waits at the gate."""
        task = Task(call)
        if not task.done:
            self._tasks.append(task)
        return task

    def run(self, call: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Begin a call, commit as often as it needs, and return its answer."""
        task = self.start(call)
        while not task.done:
            if self.commits.idle:
                raise RuntimeError("the call waits for something that no commit brings")
            self.commit()
        return task.result()

    def begin_commit(self) -> None:
        """Send off what has gathered; it is not durable yet, and later calls gather for the next commit."""
        self.commits.start()

    def commit(self) -> None:
        """Make the commit in flight (or, when none is, what has gathered) durable."""
        self.begin_commit()
        if self._pending is not None:
            self.disk.commit(self._pending)
            self._finish(None)

    def fail(self, error: Exception | None = None) -> None:
        """Have the commit in flight (or what has gathered) fail, as a full disk would; needs ``autocommit=False``."""
        if self.autocommit:
            raise RuntimeError("with autocommit no commit is left to fail; use SimulatedRuntime(autocommit=False)")
        self.begin_commit()
        if self._pending is not None:
            self._finish(error or OSError("the simulated disk is full"))

    def crash(self, *, landed: bool = False) -> None:
        """Lose everything that is not durable, and start again: objects wake on their next call.

        With ``landed`` the process dies a moment later: the commit in flight is durable, and nobody was told.
        """
        if landed and self._pending is not None:
            self.disk.commit(self._pending)
        for task in self._tasks:
            task.abandon()
        self._tasks = []
        self._pending = None
        self._begin()
        self._set_alarms(self.disk.alarms())

    def advance(self, seconds: float) -> None:
        """Move the clock; alarms that are due on the way fire in their order, at their time."""
        until = self.now_ms + round(seconds * 1_000)
        while (at := self._alarms.next()) is not None and at <= until:
            self.now_ms = max(self.now_ms, at)
            self.fire_due()
        self.now_ms = max(self.now_ms, until) if seconds >= 0 else until

    def _finish(self, error: Exception | None) -> None:
        self._pending = None
        self.commits.finish(error)
        for task in self._tasks:
            task.step()
        self._tasks = [task for task in self._tasks if not task.done]

    def _clock(self) -> int:
        return self.now_ms

    def _seed(self) -> Random:
        return Random(self._randomness.getrandbits(64))  # noqa: S311 - repeatable on purpose

    def _new_gate(self) -> Gate:
        return SimulatedGate()

    def _depart(self) -> None:
        if self.autocommit:
            self.commit()

    def _write(self, changes: list[Change]) -> None:
        self._pending = changes

    def _rearm(self) -> None:
        """Nothing sleeps here: ``advance`` looks for what is due."""
