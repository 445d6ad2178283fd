"""One object in memory of the objects' process: as of one head, and the changes of calls that are not part of a plan yet."""

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from durable_objects.alarms import retry_ms
from durable_objects.contract import Context, DurableObject, Events, ObjectId
from durable_objects.disk import Head, Writes
from durable_objects.errors import DataUnreadable, DurableObjectError, ObjectFailed, Overloaded
from durable_objects.limits import MAX_UNTAKEN_SENDS
from durable_objects.live import LiveObject
from durable_objects.meter import Meter
from durable_objects.outbox import numbered, receiver_of
from durable_objects.restate.encoding import HEAD, WAKE, Answer, Call, HeldUp, Later, Plan, Sent, StoredHead, Wake
from durable_objects.restate.recent_events import RecentEvents
from durable_objects.restate.replica import Missing, Replica
from durable_objects.storage import OUTBOX, RUNTIME_PREFIX

log = logging.getLogger("durable_objects")

SENT_TO = f"{RUNTIME_PREFIX}sent/"
"""What the keys of rows begin with that hold the number of the last call sent to a receiver, whose id follows.

While the receiver fails, after a space: how many calls wait for it."""
ENOUGH_BYTES = 4 * 1024 * 1024
"""Bytes of keys and values, and of calls that are sent, after which a plan takes no more calls."""
MAX_CALL_BYTES = 16 * 1024 * 1024
"""Such bytes of one call, with those that it returns. Restate tries a plan of more than 32 MiB, its bound of what it journals
at once, for ever."""
MAX_ERROR_BYTES = 64 * 1024
"""Of an error as it is sent."""
_BEGINNING = 1_000
"""Characters that are told of a larger error."""
_NONCE_BYTES = 12
_CALLS_TOGETHER = 50
"""Calls in one request; each can have ``MAX_VALUE_BYTES``."""
_NEVER_WRITTEN = StoredHead(0, b"")


class HeldObject:
    """An object as of the commit with the stored head ``head``, None if it was never written.

    Its calls run one after the other, each staged as a commit of its own; ``plan`` makes one of them all.
    """

    def __init__(
        self,
        object_id: str,
        head: bytes | None,
        *,
        create: Callable[[Context], DurableObject],
        class_of: Callable[[str], type[DurableObject]],
        clock: Callable[[], int],
        new_seed: Callable[[], int],
        meter: Meter,
    ) -> None:
        self.object_id = object_id
        self.head = head
        self.stored: StoredHead = _NEVER_WRITTEN if head is None else HEAD.decode(head)
        self.replica = Replica(Head(self.stored.seq, self.stored.alarm_at), is_new=head is None)
        self.recent = RecentEvents(head, self.stored.seq)
        self.touched = True
        self.stays = 0
        """For how many more turns of ``evict_idle`` it stays in memory without a call."""
        self._create = create
        self._class_of = class_of
        self._clock = clock
        self._new_seed = new_seed
        self._meter = meter
        self._live: LiveObject[Any] | None = None
        self._sending: dict[int, bytes] = {}
        """The calls that the running call sends, by number."""
        self._begin()

    def _begin(self) -> None:
        self.commits = 0
        """How many calls have changed something since the last plan."""
        self._events: list[Events] = []
        self._sends: dict[str, list[bytes]] = {}
        self._bytes = 0
        self._outbox_left = False
        """Whether there is more to send of what came with an import."""
        self._held_up: list[tuple[str, HeldUp]] = []
        self._wake_came = self._alarm_failed = False
        self._alarm_failures = self.stored.alarm_failures

    @property
    def live(self) -> LiveObject[Any]:
        """The object's instance, perhaps not made yet, with its storage."""
        if self._live is None:
            _, _, name = self.object_id.partition("/")
            self._live = LiveObject(
                self.object_id,
                name,
                create=self._create,
                snapshot=self.replica,
                clock=self._clock,
                new_seed=self._new_seed,
                meter=self._meter,
                send_call=self._send,
            )
        return self._live

    @property
    def is_full(self) -> bool:
        """Whether so much has changed since the last plan that further calls belong to the next one."""
        return self._bytes > ENOUGH_BYTES

    @property
    def is_ready(self) -> bool:
        """Whether a call finds its instance."""
        return self._live is not None and self._live.instance is not None

    def ready(self) -> LiveObject[Any]:
        """The object's instance, made if need be; raises ``ObjectFailed``, ``Missing``."""
        live = self.live
        if live.instance is None:
            self._meter.wakes += 1
            live.load()
            self.stage()
        return live

    def begin_after_import(self) -> None:
        """If this is the first commit after an import: send what the outbox holds, before the object sends anything else.

        If that is much, the plan is full and so runs no calls, and the next commit goes on. Raises ``DataUnreadable`` when the
        import has not ended, and ``Missing``.
        """
        imported = self.stored.imported
        if imported is None:
            return
        if not imported.ended:
            raise DataUnreadable(f"{self.object_id} is part of an import that has not ended; run it again")
        rows, after = self.live.storage.runtime, ""
        while (page := rows.list(OUTBOX, after=after, limit=_CALLS_TOGETHER)) and not self.is_full:
            for key, call in page:
                receiver, after = receiver_of(key), key
                self._sends.setdefault(receiver, []).append(call)
                rows.put(SENT_TO + receiver, key.rpartition("/")[2].lstrip("0").encode())
                rows.delete(key)
                self._bytes += len(key) + len(call)
        self._outbox_left = bool(page)
        self.live.storage.stage()

    def drop(self) -> None:
        """Forget all calls since the last plan."""
        self._live = None
        self._begin()

    def unload(self) -> None:
        """Keep the head and the latest events alone; the next call makes the object from its rows."""
        self.drop()
        self.replica = Replica(Head(self.stored.seq, self.stored.alarm_at), is_new=self.head is None)

    def answer(self, call: Call) -> Answer:
        """Run one call and stage it; raises ``Missing``."""
        self._meter.calls += 1
        try:
            answer = self._run(self.ready(), call)
            self.stage(len(answer.result))
        except DurableObjectError as error:
            answer = self._refused(call, error)
            self.stage()
        except Missing:
            raise
        except BaseException as error:  # noqa: BLE001 - SystemExit and the like would end the process of all objects
            answer = self._failed(call, error)
            self.stage()
        return answer

    def read(self, call: Call) -> Answer:
        """Run one call of a method that changes nothing, on the instance that is there; raises ``Missing``."""
        live = self.live
        method = live.methods.get(call.method)
        if method is not None and not method.is_read:
            return Answer(error=ObjectFailed(f"{self.object_id}: {call.method} is not marked as a read").record())
        self._meter.calls += 1
        try:
            return self._run(live, call)
        except DurableObjectError as error:
            return self._refused(call, error)
        except Missing:
            raise
        except BaseException as error:  # noqa: BLE001 - as above
            return self._failed(call, error)

    def _failed(self, call: Call, error: BaseException) -> Answer:
        return self._refused(call, ObjectFailed(f"{self.object_id}: {call.method} failed: {error!r}"))

    def _refused(self, call: Call, error: DurableObjectError) -> Answer:
        answer = Answer(error=error.record())
        if answer.size > MAX_ERROR_BYTES:
            begin = f"{error!r:.{_BEGINNING}}"
            why = f"its error has {answer.size} bytes; at most {MAX_ERROR_BYTES} are allowed"
            answer = Answer(error=ObjectFailed(f"{self.object_id}: {call.method} failed, and {why}: {begin} …").record())
        return answer

    def _too_large(self, size: int) -> ObjectFailed:
        why = f"one call writes and returns {size} bytes; at most {MAX_CALL_BYTES} are allowed"
        return ObjectFailed(f"{self.object_id}: {why}")

    def _run(self, live: LiveObject[Any], call: Call) -> Answer:
        method = live.methods.get(call.method)
        if method is None:
            raise ObjectFailed(f"{type(live.instance).__name__} has no method {call.method!r}")
        try:
            arguments = method.decode_arguments(call.arguments)
        except msgspec.ValidationError as error:
            raise ObjectFailed(f"{type(live.instance).__name__}.{call.method}: {error}") from error
        repeated = False
        if call.key is None:
            result = live.run(call.method, (), arguments)
        else:
            result, repeated = live.run_once(call.method, (), arguments, call.key, call.fingerprint)
        try:
            # At once, since the result may be part of what later calls change.
            encoded = method.encode_result(result)
        except TypeError as error:
            live.rebuild()
            raise ObjectFailed(f"{self.object_id}: {error}") from error
        if len(encoded) > MAX_CALL_BYTES:
            live.rebuild()
            raise self._too_large(len(encoded))
        return Answer(Raw(encoded), repeated=repeated)

    def stage(self, returned: int = 0) -> None:
        """Number what the last call changed as a commit of its own, and keep what it published and sent.

        Raises ``ObjectFailed`` when that is more than ``MAX_CALL_BYTES``, with the bytes that it returned; the call is undone.
        """
        live = self.live
        sending, self._sending = self._sending, {}
        size = _size(live.storage.call) + _size(live.storage.runtime.call) + sum(map(len, sending.values()))
        if size + returned > MAX_CALL_BYTES:
            live.rebuild()
            raise self._too_large(size + returned)
        self._bytes += size
        if live.stage():
            self.commits += 1
            if live.published:
                self._events.append(Events(live.seq, tuple(live.published)))
                live.published = []
            for receiver, number in live.sent:
                self._sends.setdefault(receiver, []).append(sending[number])
            live.sent = []
        if live.signals:
            self._events.append(Events(None, tuple(live.signals)))
            live.signals = []

    def _send(
        self,
        live: LiveObject[Any],
        to: ObjectId,
        method: Callable[..., object],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> None:
        receiver, number, call = numbered(live, self._class_of, to, method, args, kwargs)
        rows = live.storage.runtime
        waiting = _waiting(rows.get(SENT_TO + receiver))
        if waiting is not None and waiting >= MAX_UNTAKEN_SENDS:
            raise Overloaded(f"{MAX_UNTAKEN_SENDS} calls that {self.object_id} has sent are not taken yet")
        self._sending[number] = call
        rows.put(SENT_TO + receiver, b"%d" % number if waiting is None else b"%d %d" % (number, waiting + 1))
        live.sent.append((receiver, number))

    def hold_up(self, news: HeldUp) -> None:
        """A receiver fails, so that what is sent to it waits there; or it has taken everything."""
        rows = self.live.storage.runtime
        sent = rows.get(SENT_TO + news.receiver)
        if sent is not None:
            number = sent_number(sent)
            rows.put(SENT_TO + news.receiver, b"%d %d" % (number, news.calls) if news.calls else b"%d" % number)
            self.live.storage.stage()

    def tell(self, sender: str, calls: int) -> None:
        """Tell a sender how many of its calls wait here."""
        self._held_up.append((sender, HeldUp(self.object_id, calls)))

    def run_alarm(self, wake: Wake) -> None:
        """The delayed call ``wake`` has come: run the alarm if it is due. One that raises runs again later."""
        if wake.at is not None:
            if wake.at != self.stored.wake_at:
                return  # another one counts
            self._wake_came = True
        if self.is_full:
            return  # it comes again
        try:
            live = self.ready()
            if live.alarm_at is not None and live.alarm_at <= self._clock():
                self._meter.alarms += 1
                self._meter.alarm_calls += 1
                live.run_alarm()
                self.stage()
                self._alarm_failures = 0
        except Missing:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, the alarm must not be lost, nor the process end
            self._alarm_failures += 1
            self._alarm_failed = True
            log.warning("the alarm of %s failed, %d in a row: %s", self.object_id, self._alarm_failures, error)

    def plan(self, answers: bytes, later: Sequence[Later] = ()) -> Plan:
        """One commit of all that was staged; from here on the object is as if that were durable."""
        storage = self.live.storage
        writes, storage.pending = storage.pending, {}
        stored, wakes = self._next_head()
        later = [*later, *wakes]
        plan = Plan(answers)
        if writes or later or stored != self.stored:
            self.stored = replace(stored, nonce=secrets.token_bytes(_NONCE_BYTES))
            self.head = HEAD.encode(self.stored)
            sends = [
                (receiver, Sent(self.object_id, calls[at : at + _CALLS_TOGETHER]))
                for receiver, calls in self._sends.items()
                for at in range(0, len(calls), _CALLS_TOGETHER)
            ]
            plan = Plan(answers, self.head, writes, sends, later, self._held_up)
            self.live.on_disk = self.live.staged_head
            self.replica.commit(self.live.on_disk, writes)
            self._meter.committed(self.commits)
            self._meter.rows_written += len(writes) + 1
            self._meter.alarms_set += len(wakes)
        if self._events or plan.head is not None:
            self.recent.add(self.head, self.stored.seq, self._events)
        self._begin()
        return plan

    def _next_head(self) -> tuple[StoredHead, Sequence[Later]]:
        """The head after what was staged, its nonce aside, and the delayed calls of ``alarm`` that it needs."""
        alarm_at = self.live.staged_head.alarm_at
        failures = self._alarm_failures
        wake_at = None if self._wake_came else self.stored.wake_at
        if self._alarm_failed:
            wake_at = self._clock() + retry_ms(failures)
        elif alarm_at is None:
            failures = 0
        elif wake_at is None or (alarm_at < wake_at and not failures):  # a retry is not due earlier
            failures = 0
            wake_at = alarm_at
        stored = replace(
            self.stored,
            seq=self.live.seq,
            alarm_at=alarm_at,
            wake_at=wake_at,
            alarm_failures=failures,
            imported=self.stored.imported if self._outbox_left else None,
        )
        later = [Later("alarm", WAKE.encode(Wake(None)), self._clock())] if self._outbox_left else []
        if wake_at is not None and (wake_at != self.stored.wake_at or self._wake_came):
            later.append(Later("alarm", WAKE.encode(Wake(wake_at)), wake_at))
        return stored, later


def _size(writes: Writes) -> int:
    return sum(len(key) + len(value or b"") for key, value in writes.items())


def sent_number(sent: bytes) -> int:
    """The number of the last call that was sent, of a row of ``SENT_TO``."""
    return int(sent.partition(b" ")[0])


def _waiting(sent: bytes | None) -> int | None:
    """How many calls wait for the receiver of such a row; None when it takes them."""
    waiting = b"" if sent is None else sent.partition(b" ")[2]
    return int(waiting) if waiting else None
