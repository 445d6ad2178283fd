"""Group commit at the gateway: calls that wait for the same object are sent together, one batch in flight.

    stub.call -> Batcher.call -> (next turn of the loop) _batch_all -> Ingress.send -> the callers that waited

Reads are sent by themselves, unless a batch is under way: then they go with the next one.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from operator import attrgetter
from typing import Final, Protocol

from durable_objects.contract import ObjectId
from durable_objects.errors import DurableObjectError, OutcomeUnknown, Overloaded
from durable_objects.limits import MAX_COMMIT_WAIT_SECONDS
from durable_objects.restate.encoding import ANSWERS, BATCH, Answer, Answers, Batch, Call
from durable_objects.restate.turns import Turn

MAX_BATCH_CALLS: Final = 256
"""Calls of one batch; as many reads may go with them."""
MAX_BATCH_BYTES: Final = 1024 * 1024
"""Bytes of calls in one batch, unless one call alone has more."""
ENOUGH_CALLS: Final = 8
"""When so many wait as a batch returns, they are sent before its callers go on: the gateway works while the cluster does."""

_AT: Final = attrgetter("at")
"""Calls and reads keep the order in which they were made, though the promises do not need it."""
_CALL_BYTES: Final = 128
"""What a call takes besides its arguments, about."""


class Lines(Protocol):
    """What a batcher needs of its gateway."""

    async def turn(self) -> Turn:
        """Wait until one more batch may be under way."""

    async def send(self, to: ObjectId, handler: str, batch: bytes) -> bytes:
        """The answer of ``batch`` or ``read``; raises what ``Ingress.send`` raises."""

    def ended(self, calls: int) -> None:
        """So many calls do not wait any more."""

    def committed(self, calls: int) -> None:
        """The changes of so many calls have become durable together."""

    def idle(self, batcher: "Batcher") -> None:
        """Nothing waits there any more, and nothing pins it."""


class _Waiting:
    """A call with those who wait for its answer: one caller, or the callers of equal reads."""

    __slots__ = ("at", "call", "callers", "is_read")

    def __init__(self, call: Call, caller: "asyncio.Future[Answer]", at: float, *, is_read: bool) -> None:
        self.call = call
        self.callers = [caller]
        self.at = at
        self.is_read = is_read

    @property
    def key(self) -> tuple[str, bytes]:
        """What equal reads have in common."""
        return self.call.method, bytes(self.call.arguments)

    @property
    def is_awaited(self) -> bool:
        """Whether a caller is left that has not given up."""
        return any(not caller.done() for caller in self.callers)

    def answer(self, answer: Answer) -> None:
        """Give it to all who wait."""
        for caller in self.callers:
            if not caller.done():
                caller.set_result(answer)

    def fail(self, error: DurableObjectError) -> None:
        """Raise it where they wait: a new exception for each, since every raise adds to the traceback."""
        if self.is_read and isinstance(error, OutcomeUnknown):
            error = Overloaded(f"no answer to a read: {error}")
        for caller in self.callers:
            if not caller.done():
                caller.set_exception(DurableObjectError.from_record(error.record()))


class Batcher:
    """The calls of one gateway to one object.

    Attributes:
        to: the object.
        seq: the object's last commit, as of the last answer; 0 before that.
    """

    def __init__(self, lines: Lines, to: ObjectId, loop: asyncio.AbstractEventLoop) -> None:
        self._lines = lines
        self._loop = loop
        self.to = to
        self.seq = 0
        self._pins = 0
        self._held = 0
        self._calls: deque[_Waiting] = deque()
        self._reads: dict[tuple[str, bytes], _Waiting] = {}
        """Reads that wait, by what equal ones have in common."""
        self._in_flight: dict[str, list[_Waiting]] = {"batch": [], "read": []}
        self._batching: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._away = False
        """Whether the reads that wait must go in a batch, since no process holds the object as it is stored."""

    def call(self, call: Call) -> "asyncio.Future[Answer]":
        """Have ``call`` in the next batch that has room; its answer, or the error that the batch has met."""
        caller: asyncio.Future[Answer] = self._loop.create_future()
        self._calls.append(_Waiting(call, caller, self._loop.time(), is_read=False))
        if self._batching is None:
            self._start()
        return caller

    def read(self, call: Call) -> "asyncio.Future[Answer]":
        """Make a read that sees all that was answered before; its answer, or the error that it has met."""
        caller: asyncio.Future[Answer] = self._loop.create_future()
        self._add_read(_Waiting(call, caller, self._loop.time(), is_read=True))
        if self._batching is None:
            self._start()
        return caller

    def pin(self) -> None:
        """Keep it, though nothing waits, until ``unpin``."""
        self._pins += 1

    def unpin(self) -> None:
        """Undo one ``pin``."""
        self._pins -= 1
        self._next()

    def hold(self) -> None:
        """Send nothing more until ``release``."""
        self._held += 1

    def release(self) -> None:
        """Undo one ``hold``."""
        self._held -= 1
        self._next()

    def expire(self, now: float) -> None:
        """Answer the callers that have waited too long: whether a call that was sent is made is not known."""
        before = now - MAX_COMMIT_WAIT_SECONDS
        late = f"no answer from the cluster for {MAX_COMMIT_WAIT_SECONDS} seconds"
        for waiting in self._in_flight["batch"] + self._in_flight["read"]:
            if waiting.at <= before:
                waiting.fail(OutcomeUnknown(f"{late}: whether the call's changes become durable is unknown"))
        self._give_up(before, Overloaded(f"{late}, and this call was not sent"))

    def close(self, error: DurableObjectError) -> list["asyncio.Task[None]"]:
        """Send nothing more, and fail with ``error`` what was not sent; the tasks that end when the rest is answered."""
        self._held += 1
        self._give_up(self._loop.time(), error)
        return [task for task in (self._batching, self._reading) if task is not None]

    def _give_up(self, before: float, error: DurableObjectError) -> None:
        """Fail the calls that were not sent and have waited since ``before`` or longer."""
        over = [waiting for waiting in (*self._calls, *self._reads.values()) if waiting.at <= before]
        if not over:
            return
        self._calls = deque(waiting for waiting in self._calls if waiting.at > before)
        self._reads = {key: waiting for key, waiting in self._reads.items() if waiting.at > before}
        self._fail(over, error)

    def _start(self) -> None:
        """Send what waits, if nothing must be awaited first."""
        if self._held or self._batching is not None:
            return
        if self._must_batch:
            self._batching = self._loop.create_task(self._batch_all())
        elif self._reads and self._reading is None:
            self._reading = self._loop.create_task(self._read_all())

    @property
    def _must_batch(self) -> bool:
        return bool(self._calls) or (self._away and bool(self._reads))

    async def _batch_all(self) -> None:
        """Send batches until no call waits."""
        while self._must_batch and not self._held:
            with await self._lines.turn():
                if not self._held:
                    await self._exchange("batch", sorted(self._next_calls() + self._next_reads(), key=_AT))
            if len(self._calls) < ENOUGH_CALLS:
                # The callers that were just answered run first, so that their next calls are part of the next batch.
                await asyncio.sleep(0)
        self._batching = None
        self._next()

    async def _read_all(self) -> None:
        """Send reads until none waits, or a batch takes them along."""
        while self._reads and not (self._held or self._batching or self._away):
            await self._exchange("read", self._next_reads())
            await asyncio.sleep(0)
        self._reading = None
        self._next()

    def _next(self) -> None:
        self._start()
        if not (self._pins or self._calls or self._reads or self._batching or self._reading):
            self._lines.idle(self)

    def _next_calls(self) -> list[_Waiting]:
        """The calls of the next batch; those whose callers have given up are not made."""
        batch: list[_Waiting] = []
        given_up: list[_Waiting] = []
        size = 0
        while self._calls and len(batch) < MAX_BATCH_CALLS:
            waiting = self._calls[0]
            if waiting.is_awaited:
                size += len(waiting.call.arguments) + _CALL_BYTES
                if size > MAX_BATCH_BYTES and batch:
                    break
                batch.append(waiting)
            else:
                given_up.append(waiting)
            self._calls.popleft()
        self._ended(given_up)
        return batch

    def _next_reads(self) -> list[_Waiting]:
        """The reads that go next."""
        if not self._reads:
            return []
        chosen = list(self._reads.values())[:MAX_BATCH_CALLS]
        for waiting in chosen:
            del self._reads[waiting.key]
        self._away = False
        self._ended([waiting for waiting in chosen if not waiting.is_awaited])
        return [waiting for waiting in chosen if waiting.is_awaited]

    async def _exchange(self, handler: str, batch: list[_Waiting]) -> None:
        """Send calls, and give their answers to those who wait."""
        if not batch:
            return
        self._in_flight[handler] = batch
        try:
            calls = Batch([waiting.call for waiting in batch])
            answers = ANSWERS.decode(await self._lines.send(self.to, handler, BATCH.encode(calls)))
        except DurableObjectError as error:
            self._fail(batch, error)
        except asyncio.CancelledError:
            self._fail(batch, OutcomeUnknown("the runtime has stopped before the call was answered"))
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the callers must be answered
            self._fail(batch, OutcomeUnknown(f"the answer cannot be read: {error!r}"))
        else:
            self._answer(batch, answers)
        finally:
            self._in_flight[handler] = []

    def _answer(self, batch: list[_Waiting], answers: Answers) -> None:
        if not answers.here:
            self._away = True
            self._again(batch)
            return
        self.seq = max(self.seq, answers.seq)
        if answers.commits:
            self._lines.committed(answers.commits)
        answered, rest = batch[: len(answers.answers)], batch[len(answers.answers) :]
        self._ended(answered)
        if len(self._calls) < ENOUGH_CALLS:
            _give(answered, answers.answers)
        else:
            self._loop.call_soon(_give, answered, answers.answers)
        self._again(rest)

    def _again(self, batch: list[_Waiting]) -> None:
        """Send what was not run before everything else that waits."""
        for waiting in reversed(batch):
            if waiting.is_read:
                self._add_read(waiting)
            else:
                self._calls.appendleft(waiting)

    def _add_read(self, waiting: _Waiting) -> None:
        same = self._reads.setdefault(waiting.key, waiting)
        if same is not waiting:
            same.callers += waiting.callers
            same.at = min(same.at, waiting.at)

    def _fail(self, batch: list[_Waiting], error: DurableObjectError) -> None:
        self._ended(batch)
        for waiting in batch:
            waiting.fail(error)

    def _ended(self, batch: list[_Waiting]) -> None:
        if batch:
            self._lines.ended(sum(len(waiting.callers) for waiting in batch))


def _give(batch: Sequence[_Waiting], answers: Sequence[Answer]) -> None:
    for waiting, answer in zip(batch, answers, strict=True):
        waiting.answer(answer)
