"""The objects of one process: finds or makes the one that a call is for, and turns calls into plans.

What is in memory counts only while the head that it stands on is the one that Restate stores: heads differ for every commit.
So another process may run the object at any time, a commit may get lost, and an attempt that Restate has given up may go on.
"""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import Struct

from durable_objects.config import check_declared, config_for
from durable_objects.contract import Context, DurableObject
from durable_objects.errors import ObjectFailed
from durable_objects.limits import MAX_LIVE_OBJECTS, READS_PER_TURN
from durable_objects.meter import Meter
from durable_objects.names import check_namespace
from durable_objects.restate.encoding import (
    ANSWERS,
    HEAD,
    STEP,
    Answer,
    Answers,
    Batch,
    Described,
    Follow,
    Followed,
    HeldUp,
    Later,
    Needs,
    Retake,
    Sent,
    Wake,
)
from durable_objects.restate.held_object import HeldObject
from durable_objects.restate.late_calls import retake, take_all
from durable_objects.restate.replica import Missing

MAX_ANSWERS_BYTES = 4 * 1024 * 1024
"""Bytes of results and errors in one batch; a call that comes when there are more does not run."""

Work = Callable[[HeldObject], tuple[bytes, Sequence[Later]]]
"""Runs calls; returns the answer and delayed calls."""


class Declared(NamedTuple):
    """A class under the name of its namespace."""

    cls: type[DurableObject]
    config: Struct | None

    def create(self, ctx: Context) -> DurableObject:
        """A new instance."""
        create: Callable[..., DurableObject] = self.cls
        return create(ctx) if self.config is None else create(ctx, self.config)


class ObjectHost:
    """Objects in memory.

    Args:
        clock: milliseconds since 1970; may step.
        new_seed: a new seed of 64 bits, for each call that asks for randomness.
    """

    def __init__(self, *, clock: Callable[[], int], new_seed: Callable[[], int]) -> None:
        self.meter = Meter()
        self._clock = clock
        self._new_seed = new_seed
        self.declared: dict[str, Declared] = {}
        self._held: OrderedDict[str, HeldObject] = OrderedDict()
        """The objects in memory, ordered by their last call."""
        self._epoch = secrets.token_hex(8)
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self.is_closed = False
        """Whether the process stops, so that nobody should wait for news."""

    def declare(self, name: str, cls: type[Any], config: Struct | None) -> None:
        """See ``contract.Runtime.namespace``."""
        check_namespace(name)
        config = config_for(cls, config)
        declared = self.declared.setdefault(name, Declared(cls, config))
        check_declared(name, declared, (cls, config))

    def now(self) -> int:
        """Milliseconds since 1970."""
        return self._clock()

    def describe(self, namespace: str) -> Described:
        """What is declared."""
        declared = self._declared(namespace)
        return Described.of(declared.cls, declared.config)

    # -- Steps of a commit: each returns an encoded ``Plan``, or ``Needs``

    def batch(self, object_id: str, head: bytes | None, batch: Batch) -> bytes:
        """Run calls."""

        def work(held: HeldObject) -> tuple[bytes, Sequence[Later]]:
            answers: list[Answer] = []
            size = 0
            for call in batch.calls:
                if size > MAX_ANSWERS_BYTES or held.is_full:
                    break
                answers.append(held.answer(call))
                size += answers[-1].size
            return ANSWERS.encode(Answers(answers, held.live.seq, held.commits)), ()

        return self._step(object_id, head, work)

    def alarm(self, object_id: str, head: bytes | None, wake: Wake) -> bytes:
        """Run the alarm if it is due."""

        def work(held: HeldObject) -> tuple[bytes, Sequence[Later]]:
            held.run_alarm(wake)
            return b"", ()

        return self._step(object_id, head, work)

    def take(self, object_id: str, head: bytes | None, sent: Sent) -> bytes:
        """Take calls of another object."""
        return self._step(object_id, head, lambda held: (b"", take_all(held, sent, self._clock)))

    def retake(self, object_id: str, head: bytes | None, again: Retake) -> bytes:
        """Take calls of another object again that have failed."""
        return self._step(object_id, head, lambda held: (b"", retake(held, again, self._clock)))

    def hold_up(self, object_id: str, head: bytes | None, news: HeldUp) -> bytes:
        """A receiver has told how many calls wait there."""

        def work(held: HeldObject) -> tuple[bytes, Sequence[Later]]:
            held.hold_up(news)
            return b"", ()

        return self._step(object_id, head, work)

    def _step(self, object_id: str, head: bytes | None, work: Work) -> bytes:
        held = self._hold(object_id, head)
        try:
            held.begin_after_import()
            answer, later = work(held)
        except Missing as missing:
            held.drop()
            return STEP.encode(Needs([*missing.keys], names=not missing.keys))
        except BaseException:
            self._held.pop(object_id, None)
            raise
        plan = held.plan(answer, later)
        self._wake(object_id)
        return STEP.encode(plan)

    def know_keys(self, object_id: str, head: bytes | None, keys: Iterable[str]) -> None:
        """The keys of all rows of an object as of ``head``."""
        self._hold(object_id, head).replica.know_keys(keys)

    def load(self, object_id: str, head: bytes | None, rows: Mapping[str, bytes | None]) -> None:
        """Some rows of an object as of ``head``."""
        self.meter.rows_read += len(rows)
        self._hold(object_id, head).replica.load(rows)

    def _hold(self, object_id: str, head: bytes | None) -> HeldObject:
        """The object as of ``head``; anything else in memory is of no use any more."""
        held = self._held.get(object_id)
        if held is None or held.head != head:
            self._make_room()
            namespace, _, _ = object_id.partition("/")
            held = self._held[object_id] = HeldObject(
                object_id,
                head,
                create=self._declared(namespace).create,
                class_of=lambda name: self._declared(name).cls,
                clock=self._clock,
                new_seed=self._new_seed,
                meter=self.meter,
            )
        held.touched = True
        self._held.move_to_end(object_id)
        return held

    def _declared(self, namespace: str) -> Declared:
        declared = self.declared.get(namespace)
        if declared is None:
            raise ObjectFailed(f"no class is declared for the namespace {namespace!r}")
        return declared

    # -- What changes nothing

    def read(self, object_id: str, head: bytes | None, batch: Batch) -> bytes:
        """Run calls that change nothing on the object in memory, if that is as of ``head``.

        Those after one that fails, or after ``MAX_ANSWERS_BYTES``, do not run.
        """
        held = self._held.get(object_id)
        if held is None or held.head != head or not held.is_ready:
            return _NOT_HERE
        held.touched = True
        answers: list[Answer] = []
        size = 0
        try:
            for call in batch.calls:
                if size > MAX_ANSWERS_BYTES or not held.is_ready:
                    break
                answers.append(held.read(call))
                size += answers[-1].size
        except Missing:
            held.drop()
            return _NOT_HERE
        return ANSWERS.encode(Answers(answers, held.stored.seq))

    def follow(self, object_id: str, head: bytes | None, follow: Follow) -> Followed:
        """The events up to ``head``; without any when there are none."""
        held = self._held.get(object_id)
        found = None if held is None else held.recent.since(follow, head)
        if found is not None:
            return found
        seq = 0 if head is None else HEAD.decode(head).seq
        return Followed(seq, self._epoch, 0, lost=follow.since is not None and follow.since < seq)

    def holds(self, object_id: str, head: bytes | None) -> bool:
        """Whether the object is in memory as of ``head``."""
        held = self._held.get(object_id)
        return held is not None and held.head == head

    async def news(self, object_id: str, timeout_seconds: float) -> bool:
        """Wait until a call may have changed the object here, or the process stops; False when none has for a while."""
        waiter = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(object_id, set())
        waiting.add(waiter)
        try:
            done, _ = await asyncio.wait([waiter], timeout=timeout_seconds)
            return bool(done)
        finally:
            waiting.discard(waiter)
            if not waiting and self._waiting.get(object_id) is waiting:
                del self._waiting[object_id]

    def _wake(self, object_id: str) -> None:
        for waiter in self._waiting.pop(object_id, ()):
            if not waiter.done():
                waiter.set_result(None)

    def close(self) -> None:
        """Nobody waits for news any more."""
        self.is_closed = True
        for object_id in list(self._waiting):
            self._wake(object_id)

    # -- Memory

    @property
    def live_objects(self) -> int:
        """How many objects are in memory."""
        return len(self._held)

    def _make_room(self) -> None:
        while len(self._held) >= MAX_LIVE_OBJECTS:
            self._held.popitem(last=False)
            self.meter.evictions += 1

    def evict_idle(self) -> int:
        """Drop the objects that had no call since the last ``evict_idle``; returns how many.

        The latest events of one that is followed stay. One that read many entries when it woke stays for further turns, as the
        next wake would hold up all its calls.
        """
        idle = [held for held in self._held.values() if not held.touched and not held.stays]
        dropped = [held for held in idle if held.is_ready or held.object_id not in self._waiting]
        for held in dropped:
            if held.object_id in self._waiting:
                held.unload()
            else:
                del self._held[held.object_id]
        for held in self._held.values():
            held.stays = held.live.wake_reads // READS_PER_TURN if held.touched else max(held.stays - 1, 0)
            held.touched = False
        self.meter.evictions += len(dropped)
        return len(dropped)


_NOT_HERE = ANSWERS.encode(Answers([], 0, here=False))
