"""Calls that objects send to each other, at their sender: a transactional outbox.

``send`` adds a row to the sender's commit. After the commit the call is delivered, in order for each pair of sender and
receiver, until the receiver has taken it; then the row is removed, with the sender's next commit or a second later. A crash in
between repeats the delivery, which the receiver recognizes (see ``inbox``).

See Pat Helland, Life beyond Distributed Transactions (2007), and the transactional outbox
<https://microservices.io/patterns/data/transactional-outbox.html>.
"""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Raw, Struct

from durable_objects.alarms import Timetable, retry_ms
from durable_objects.contract import DurableObject, ObjectId
from durable_objects.disk import Snapshot, Writes
from durable_objects.errors import DurableObjectError, LimitExceeded, ObjectFailed, OutcomeUnknown, Overloaded, RuntimeClosed
from durable_objects.limits import (
    ALARM_RETRY_MS,
    MAX_ALARMS_PER_TURN,
    MAX_DELIVERIES,
    MAX_SENDS,
    MAX_UNTAKEN_SENDS,
    MAX_VALUE_BYTES,
)
from durable_objects.live import LiveObject
from durable_objects.meter import Meter
from durable_objects.methods import methods_of, name_of
from durable_objects.names import check_name
from durable_objects.pairs import Pair, Settling
from durable_objects.storage import OUTBOX

if TYPE_CHECKING:
    import asyncio

log = logging.getLogger("durable_objects")

_NUMBERS_PER_COMMIT: Final = 1_000
"""A call's number is its commit's times this, plus its place in the commit. Numbers only rise, so this must never change."""
_PAGE: Final = 50
"""Calls of one delivery."""
_REMOVE_AFTER_MS: Final = 1_000


class SentCall(Struct, frozen=True, array_like=True):
    """One call on its way: its number, which rises from each sender to each receiver, the method's name, and the arguments."""

    number: int
    method: str
    arguments: Raw


Deliver = Callable[[str, str, Sequence[SentCall]], Awaitable[int]]
"""Brings calls of a sender (an object's id) to a receiver, and returns the number of the last one that it has durably taken.

Raises when it has taken none of them.
"""

_decode: Final = msgspec.json.Decoder(SentCall).decode


def numbered(
    live: LiveObject[Any],
    class_of: Callable[[str], type[DurableObject]],
    to: ObjectId,
    method: Callable[..., object],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> tuple[str, int, bytes]:
    """The next call that the running call of ``live`` sends: the receiver's id, its number, and the encoded ``SentCall``.

    Raises as ``contract.Context.send``; ``class_of`` as for ``Outboxes``.
    """
    if len(live.sent) >= MAX_SENDS:
        raise LimitExceeded(f"one call sends more than {MAX_SENDS} calls")
    cls = class_of(to.namespace)
    check_name("an object", to.name)
    name = name_of(cls, method)
    arguments = methods_of(cls)[name].encode_arguments(args, kwargs)
    number = (live.seq + 1) * _NUMBERS_PER_COMMIT + len(live.sent)
    call = msgspec.json.encode(SentCall(number, name, Raw(arguments)))
    if len(call) > MAX_VALUE_BYTES:
        raise LimitExceeded(f"a call of {name} that is sent has {len(call)} bytes; at most {MAX_VALUE_BYTES} are allowed")
    return f"{to.namespace}/{to.name}", number, call


class Outboxes:
    """The outboxes of all objects of a runtime. The calls are on the disk; in memory is which pairs have something to deliver.

    Args:
        disk: where the calls are read from.
        meter: counts the rows that are read and removed.
        class_of: the class of a namespace; raises when it is not declared.
        deliver: see ``Deliver``.
        touch: makes the sender with this id commit, if only to remove what was taken.
        spawn: runs a coroutine beside the running one.
        steady_ms: a clock that never steps.
        new_waiter: makes the future that ``settle`` waits for.
    """

    def __init__(
        self,
        disk: Snapshot,
        *,
        meter: Meter,
        class_of: Callable[[str], type[DurableObject]],
        deliver: Deliver,
        touch: Callable[[str], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        steady_ms: Callable[[], int],
        new_waiter: Callable[[], "asyncio.Future[None]"],
    ) -> None:
        self._disk = disk
        self._meter = meter
        self._class_of = class_of
        self._bring = deliver
        self._touch = touch
        self._spawn = spawn
        self._steady_ms = steady_ms
        self._new_waiter = new_waiter
        self._pairs: dict[str, dict[str, Pair]] = {}
        self._rows: dict[str, int] = {}
        """How many rows of each sender are on the disk."""
        self._taken: dict[str, Writes] = {}
        """The deletes of rows whose calls were taken, by sender."""
        self._remove_at: int | None = None
        self._deliveries = 0
        self._queue: deque[Pair] = deque()
        """Pairs whose delivery waits for its turn."""
        self._due: Timetable[tuple[str, str]] = Timetable()
        """Pairs whose delivery failed; and with an empty receiver, senders that are to be read after a restart."""

    def open(self, senders: Iterable[tuple[str, int]]) -> None:
        """Begin with what the disk holds: objects that have sent calls, with the number of their rows."""
        for sender, rows in senders:
            self._rows[sender] = rows
            self._due.set((sender, ""), self._steady_ms())

    def add(
        self,
        live: LiveObject[Any],
        to: ObjectId,
        method: Callable[..., object],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> None:
        """Make a call part of the running call's commit; see ``contract.Context.send``."""
        if self._rows.get(live.object_id, 0) + live.unsent + len(live.sent) >= MAX_UNTAKEN_SENDS:
            raise Overloaded(f"{MAX_UNTAKEN_SENDS} calls that {live.object_id} has sent are not taken yet")
        receiver, number, call = numbered(live, self._class_of, to, method, args, kwargs)
        live.storage.runtime.put(outbox_key(receiver, number), call)
        live.sent.append((receiver, number))

    def committed(self, sender: str, sent: Sequence[tuple[str, int]]) -> None:
        """Deliver calls that have become durable."""
        self._rows[sender] = self._rows.get(sender, 0) + len(sent)
        if not self._has_read(sender):
            return  # these come after what it sent before the restart
        for receiver, number in sent:
            pair = self._pair(sender, receiver, number - 1)
            pair.newest = max(pair.newest, number)
            self._start(pair)

    def removals(self, sender: str) -> Writes:
        """The deletes of rows whose calls were taken, for the sender's next commit."""
        deletes = self._taken.pop(sender, None)
        if deletes is None:
            return {}
        self._count(sender, -len(deletes))
        self._meter.deletes += len(deletes)
        return deletes

    def not_removed(self, sender: str, writes: Writes) -> None:
        """The commit with these writes was lost."""
        deletes = {key: None for key, value in writes.items() if value is None and key.startswith(OUTBOX)}
        if deletes:
            self._count(sender, len(deletes))
            self._taken.setdefault(sender, {}).update(deletes)
            self._remove_at = self._steady_ms() + _REMOVE_AFTER_MS

    async def settle(self, sender: str) -> None:
        """Wait until everything durable that ``sender`` has sent is taken; raises ``OutcomeUnknown``."""
        if not self._has_read(sender):
            raise OutcomeUnknown(f"what {sender} has sent cannot be read at the moment")
        pairs = self._pairs.get(sender, {}).values()
        for pair in pairs:
            if pair.problem is not None:
                raise pair.not_taken(pair.problem)
        if pairs:
            settling = Settling(self._new_waiter(), len(pairs))
            for pair in pairs:
                pair.waiters.append((pair.newest, settling))
            await settling.future

    def run_due(self) -> None:
        """Deliver again what failed, up to ``MAX_ALARMS_PER_TURN`` pairs, and remove rows that were taken a while ago."""
        now = self._steady_ms()
        for sender, receiver in islice(self._due.pop_due(now), MAX_ALARMS_PER_TURN):
            if not receiver:
                self._read_receivers(sender)
            else:
                pair = self._pairs[sender][receiver]
                pair.problem = None
                self._start(pair)
        if self._remove_at is not None and self._remove_at <= now:
            self.remove_taken()

    def remove_taken(self) -> None:
        """Remove the rows of all calls that were taken, with commits that begin now."""
        self._remove_at = None
        for sender in list(self._taken):
            self._remove(sender)

    def due_at(self) -> int | None:
        """When ``run_due`` has work next, by the steady clock."""
        return min((at for at in (self._due.next(), self._remove_at) if at is not None), default=None)

    def close(self) -> None:
        """Nothing is delivered before the next start."""
        for pairs in self._pairs.values():
            for pair in pairs.values():
                pair.fail("the runtime has stopped")

    def _pair(self, sender: str, receiver: str, taken: int) -> Pair:
        pairs = self._pairs.setdefault(sender, {})
        return pairs.get(receiver) or pairs.setdefault(receiver, Pair(sender, receiver, taken))

    def _start(self, pair: Pair) -> None:
        if pair.active or pair.problem is not None:
            return
        pair.active = True
        self._queue.append(pair)
        if self._deliveries < MAX_DELIVERIES:
            self._deliveries += 1
            self._spawn(self._deliver_queued())

    async def _deliver_queued(self) -> None:
        while self._queue:
            await self._deliver(self._queue.popleft())
        self._deliveries -= 1

    async def _deliver(self, pair: Pair) -> None:
        sender, receiver = pair.sender, pair.receiver
        try:
            while pair.taken < pair.newest:
                page = self._disk.list(sender, _prefix(receiver), outbox_key(receiver, pair.taken), _PAGE)
                self._meter.reads += len(page)
                if not page:
                    pair.taken = pair.newest
                    break
                taken = await self._bring(sender, receiver, [_decode(row) for _, row in page])
                self._took(pair, taken, [key for key, _ in page])
        except RuntimeClosed as error:
            pair.fail(error)
        except Exception as error:  # noqa: BLE001 - the call must not be lost
            self._retry(pair, error)
        else:
            self._forget(pair)
        finally:
            pair.active = False

    def _took(self, pair: Pair, taken: int, keys: Iterable[str]) -> None:
        pair.failures = 0
        pair.taken = taken
        pair.release()
        last = outbox_key(pair.receiver, taken)
        self._taken.setdefault(pair.sender, {}).update((key, None) for key in keys if key <= last)
        if self._remove_at is None:
            self._remove_at = self._steady_ms() + _REMOVE_AFTER_MS

    def _retry(self, pair: Pair, error: Exception) -> None:
        # A disk that takes no writes is no fault of the receiver.
        is_its_fault = isinstance(error, ObjectFailed) or not isinstance(error, DurableObjectError)
        pair.failures = pair.failures + 1 if is_its_fault else 1
        delay = retry_ms(pair.failures)
        # The text of an unexpected error may hold anything, also what is not durable yet; callers of ``settle`` do not get it.
        pair.problem = "the last delivery failed; the log has the details" if is_its_fault else str(error)
        self._due.set((pair.sender, pair.receiver), self._steady_ms() + delay)
        log.warning("%s has not taken a call of %s, next attempt in %d ms: %s", pair.receiver, pair.sender, delay, error)
        pair.fail(pair.problem)

    def _has_read(self, sender: str) -> bool:
        """Whether all that was sent before the restart is being delivered; reads it first if need be."""
        if (sender, "") in self._due:
            self._due.set((sender, ""), None)
            self._read_receivers(sender)
        return (sender, "") not in self._due

    def _read_receivers(self, sender: str) -> None:
        """Deliver what was sent before the restart.

        No delivery starts before all pairs are known: it can make this sender send more, which must not overtake anything.
        """
        pairs: list[Pair] = []
        after = ""
        try:
            newest = (self._disk.head(sender).seq + 1) * _NUMBERS_PER_COMMIT - 1
            while page := self._disk.list(sender, OUTBOX, after, 1):
                self._meter.reads += 1
                receiver = receiver_of(page[0][0])
                after = f"{_prefix(receiver)}:"  # greater than all digits
                pair = self._pair(sender, receiver, 0)
                pair.newest = max(pair.newest, newest)
                pairs.append(pair)
        except Exception as error:  # noqa: BLE001 - alarms and commits go on, whatever a disk raises
            self._due.set((sender, ""), self._steady_ms() + ALARM_RETRY_MS)
            log.warning("the calls that %s has sent cannot be read, next attempt in %d ms: %s", sender, ALARM_RETRY_MS, error)
        for pair in pairs:
            self._start(pair)

    def _remove(self, sender: str) -> None:
        try:
            self._touch(sender)
        except DurableObjectError as error:
            self._remove_at = self._steady_ms() + _REMOVE_AFTER_MS
            log.warning("calls of %s that were taken are not removed yet: %s", sender, error)

    def _forget(self, pair: Pair) -> None:
        pair.release()
        pairs = self._pairs[pair.sender]
        del pairs[pair.receiver]
        if not pairs:
            del self._pairs[pair.sender]

    def _count(self, sender: str, rows: int) -> None:
        left = self._rows.get(sender, 0) + rows
        if left > 0:
            self._rows[sender] = left
        else:
            self._rows.pop(sender, None)


def _prefix(receiver: str) -> str:
    """What the keys of all calls to ``receiver`` begin with, and no others: a name may contain slashes."""
    return f"{OUTBOX}{len(receiver)}/{receiver}/"


def outbox_key(receiver: str, number: int) -> str:
    """The key of the row of a call to this receiver (an object's id) with this number."""
    return f"{_prefix(receiver)}{number:019}"


def number_of(key: str) -> int:
    """The number of the call with this row."""
    return int(key.rpartition("/")[2])


def receiver_of(key: str) -> str:
    """The id of the object that the call with this row is sent to."""
    length, _, rest = key[len(OUTBOX) :].partition("/")
    return rest[: int(length)]
