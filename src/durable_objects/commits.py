"""Group commit and the output gate.

At most one commit is in flight. Whatever calls change meanwhile gathers in the next one, so that a hundred waiting calls cost
one fsync. Every answer that depends on a commit waits for it here.
"""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

from durable_objects.errors import CommitFailed
from durable_objects.live import Head, LiveObject
from durable_objects.meter import Meter


class Change(NamedTuple):
    """What one commit does to one object: its entries (``None`` deletes) and its new head."""

    object_id: str
    writes: dict[str, bytes | None]
    head: Head


class Gate(Protocol):
    """A future, of asyncio or of the simulator."""

    def __await__(self) -> Any: ...  # noqa: ANN401 - asyncio's own signature
    def done(self) -> bool: ...
    def set_result(self, result: None, /) -> None: ...
    def set_exception(self, exception: BaseException, /) -> None: ...


class Batch:
    """The changes of some calls, and what waits for them to be durable."""

    __slots__ = ("calls", "events", "gates", "objects")

    def __init__(self) -> None:
        self.calls: dict[LiveObject[Any], int] = {}
        self.objects: dict[LiveObject[Any], Head] = {}
        self.gates: list[tuple[LiveObject[Any], Gate]] = []
        self.events: list[tuple[LiveObject[Any], bytes]] = []


class GroupCommit:
    """Takes the changes of calls and writes them together.

    ``depart`` asks for ``start()`` to be called soon; ``write`` begins to make changes durable, and its end is told by calling
    ``finish``. ``landed`` and ``broken`` hear of each object whose changes are durable, or gone; ``deliver`` takes events.
    """

    def __init__(
        self,
        *,
        meter: Meter,
        new_gate: Callable[[], Gate],
        depart: Callable[[], None],
        write: Callable[[list[Change]], None],
        landed: Callable[[LiveObject[Any]], None],
        broken: Callable[[LiveObject[Any]], None],
        deliver: Callable[[str, bytes], None],
    ) -> None:
        self._meter = meter
        self._new_gate = new_gate
        self._depart = depart
        self._write = write
        self._landed = landed
        self._broken = broken
        self._deliver = deliver
        self._waiting = Batch()
        self._flying: Batch | None = None

    @property
    def waiting_calls(self) -> int:
        """Calls whose answer waits for a commit."""
        return len(self._waiting.gates) + (len(self._flying.gates) if self._flying else 0)

    @property
    def idle(self) -> bool:
        """Whether everything is durable."""
        return self._flying is None and not self._waiting.objects

    @property
    def flying(self) -> bool:
        """Whether a commit is being written."""
        return self._flying is not None

    def take(self, live: LiveObject[Any]) -> None:
        """Take what the call that just ran changed and published."""
        if live.changed:
            live.seal()
            batch = self._waiting
            first = not batch.objects
            batch.calls[live] = batch.calls.get(live, 0) + 1
            batch.objects[live] = live.before
            live.batch = batch
            if first and self._flying is None:
                self._hold(live)
                self._depart()
                return
        self._hold(live)

    def _hold(self, live: LiveObject[Any]) -> None:
        if live.events:
            events, live.events = live.events, []
            if isinstance(live.batch, Batch):
                live.batch.events.extend((live, event) for event in events)
            else:
                for event in events:
                    self._deliver(live.object_id, event)

    def settled(self, live: LiveObject[Any]) -> Awaitable[None]:
        """Wait until all that ``live`` has changed so far is durable; raises ``CommitFailed`` when it is lost."""
        gate = self._new_gate()
        if isinstance(live.batch, Batch):
            live.batch.gates.append((live, gate))
        else:
            gate.set_result(None)
        return gate

    def start(self) -> None:
        """Write what has gathered, unless a commit is in flight (``finish`` starts the next one then)."""
        if self._flying is not None or not self._waiting.objects:
            return
        self._flying, self._waiting = self._waiting, Batch()
        for live in self._flying.objects:
            live.storage.flying, live.storage.waiting = live.storage.waiting, {}
        self._write([Change(live.object_id, live.storage.flying, head) for live, head in self._flying.objects.items()])

    def probe(self) -> None:
        """Write nothing that anybody reads, to see whether the disk takes writes again; only while idle."""
        self._flying = Batch()
        self._write([Change("", {}, Head())])

    def finish(self, error: Exception | None = None) -> None:
        """The commit in flight is durable, or failed with ``error``: open the gates accordingly, and begin the next one."""
        batch = self._flying
        assert batch is not None  # noqa: S101 - a runtime finishes only what it was given to write
        self._flying = None
        if error is None:
            self._meter.committed(sum(batch.calls.values()))
            self._succeed(batch)
        else:
            self._meter.commit_failures += 1
            self._fail(batch, CommitFailed(f"the data could not be written: {error}"))
        if self._waiting.objects:
            self._depart()

    def _succeed(self, batch: Batch) -> None:
        for live, head in batch.objects.items():
            live.storage.flying = {}
            live.on_disk = head
            if live.batch is batch:
                live.batch = None
            self._landed(live)
        for _, gate in batch.gates:
            if not gate.done():
                gate.set_result(None)
        for live, event in batch.events:
            self._deliver(live.object_id, event)

    def _fail(self, batch: Batch, failure: CommitFailed) -> None:
        # Calls that ran since the commit began saw its changes: they fall with it.
        waiting, lost = self._waiting, batch.objects
        for live in lost:
            waiting.objects.pop(live, None)
            waiting.calls.pop(live, None)
            self._broken(live)
        gates = [(live, gate) for live, gate in waiting.gates if live in lost]
        waiting.gates = [(live, gate) for live, gate in waiting.gates if live not in lost]
        waiting.events = [(live, event) for live, event in waiting.events if live not in lost]
        for _, gate in batch.gates + gates:
            if not gate.done():
                gate.set_exception(failure)
