"""The handlers of a namespace's objects: what Restate journals of each call, and in which order.

A commit is one journaled step that runs the calls and returns what is to be done; the rest only does that. So an attempt that
was broken off goes on where it was, and runs no call twice.

See <https://docs.restate.dev/develop/python/overview>.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from time import monotonic as _clock
from typing import Any, Final

import msgspec
import restate
from restate import InvocationRetryPolicy, ObjectContext, RunOptions, TerminalError
from restate.serde import BytesSerde, Serde

from durable_objects.codec import Codec
from durable_objects.errors import DurableObjectError, ObjectFailed
from durable_objects.inbox import INBOX
from durable_objects.restate.arrivals import arrived_head, check_unfinished, restored_head
from durable_objects.restate.encoding import (
    ARRIVE,
    BATCH,
    DESCRIBED,
    DUMP,
    DUMPED,
    ERROR,
    FOLLOW,
    FOLLOWED,
    HEAD_KEY,
    HELD_UP,
    RESTORE,
    RETAKE,
    ROW_PREFIX,
    SENT,
    SENT_NUMBERS,
    STEP,
    TAKEN,
    TOOK,
    WAKE,
    Dumped,
    Needs,
    Plan,
    Took,
    Wake,
    service_name,
)
from durable_objects.restate.held_object import SENT_TO, sent_number
from durable_objects.restate.late_calls import LATE
from durable_objects.restate.object_host import ObjectHost
from durable_objects.transfer import PIECE_BYTES, ROW_BYTES

log = logging.getLogger("durable_objects")

LOADED_AT_ONCE: Final = 512
"""An object with up to this many rows is loaded as a whole."""
LOOK_AGAIN_SECONDS: Final = 0.2
"""How often a poll looks whether another process has changed its object."""
LOOK_SELDOM_SECONDS: Final = 1.0
"""How often it does where the object's last call ran."""
_FIRST_LOOK_SECONDS: Final = 0.002
_DUMPED_TOGETHER: Final = 64
"""Rows that are asked for before the answer's size is looked at."""
IDEMPOTENCY_RETENTION: Final = timedelta(minutes=2)
"""How long Restate keeps the answer to what changes something; a gateway sends it again within half a minute, or never."""
MAX_ATTEMPTS: Final = 2**31 - 1
"""At one a second these are for ever."""
BYTES: Final[Serde[Any]] = BytesSerde()

Step = Callable[[bytes | None], bytes]
"""Runs calls on the object as of a head; returns an encoded ``Plan`` or ``Needs``."""


class ObjectService:
    """Handlers for the objects of one namespace."""

    def __init__(self, host: ObjectHost, prefix: str, namespace: str) -> None:
        self._host = host
        self._prefix = prefix
        self._namespace = namespace
        self.name = service_name(prefix, namespace)

    async def batch(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Run a ``Batch``; returns ``Answers``."""
        batch, host, object_id = _decoded(BATCH, body), self._host, self._id(ctx)
        return await self._commit(ctx, lambda head: host.batch(object_id, head, batch))

    async def alarm(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Run the alarm if it is due."""
        wake, host, object_id = _decoded(WAKE, body), self._host, self._id(ctx)
        return await self._commit(ctx, lambda head: host.alarm(object_id, head, wake))

    async def take(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Take what another object has ``Sent``."""
        sent, host, object_id = _decoded(SENT, body), self._host, self._id(ctx)
        return await self._commit(ctx, lambda head: host.take(object_id, head, sent))

    async def retake(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Take again what has failed."""
        again, host, object_id = _decoded(RETAKE, body), self._host, self._id(ctx)
        return await self._commit(ctx, lambda head: host.retake(object_id, head, again))

    async def hold_up(self, ctx: ObjectContext, body: bytes) -> bytes:
        """A receiver has told how many calls wait there; see ``HeldUp``."""
        news, host, object_id = _decoded(HELD_UP, body), self._host, self._id(ctx)
        return await self._commit(ctx, lambda head: host.hold_up(object_id, head, news))

    async def read(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Run a ``Batch`` of reads, if the object is in this process's memory as it is stored; returns ``Answers``."""
        batch = _decoded(BATCH, body)
        head = await ctx.get(HEAD_KEY, serde=BYTES)
        with _terminal():
            return self._host.read(self._id(ctx), head, batch)

    async def follow(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Events after a commit, perhaps after a while; see ``Follow``."""
        follow, object_id = _decoded(FOLLOW, body), self._id(ctx)
        over = _clock() + follow.wait_ms / 1_000
        pause = _FIRST_LOOK_SECONDS
        while True:
            head = await ctx.get(HEAD_KEY, serde=BYTES)
            found = self._host.follow(object_id, head, follow)
            left = over - _clock()
            if follow.since is None or found.events or found.lost or left <= 0 or self._host.is_closed:
                return FOLLOWED.encode(found)
            # What has changed here is durable some milliseconds later, and may have changed before this began. Where the
            # object is as it is stored the next call is expected, so that Restate is asked seldom while nothing happens; but
            # another process may have taken it over.
            look = LOOK_SELDOM_SECONDS if self._host.holds(object_id, head) else pause
            news = await self._host.news(object_id, min(look, left))
            pause = _FIRST_LOOK_SECONDS if news else min(2 * pause, LOOK_AGAIN_SECONDS)

    async def taken(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Whether calls of another object are taken, perhaps after a while; see ``Taken``."""
        asked, object_id = _decoded(TAKEN, body), self._id(ctx)
        over = _clock() + asked.wait_ms / 1_000
        pause = _FIRST_LOOK_SECONDS
        while True:
            late = ctx.get(f"{ROW_PREFIX}{LATE}{asked.sender}", serde=BYTES)
            taken = await ctx.get(f"{ROW_PREFIX}{INBOX}{asked.sender}", serde=BYTES)
            fails = await late is not None
            is_taken = taken is not None and int(taken) >= asked.number
            left = over - _clock()
            if is_taken or fails or left <= 0 or self._host.is_closed:
                return TOOK.encode(Took(is_taken, _FAILS if fails and not is_taken else ""))
            news = await self._host.news(object_id, min(pause, left))
            pause = _FIRST_LOOK_SECONDS if news else min(2 * pause, LOOK_AGAIN_SECONDS)

    async def sent(self, ctx: ObjectContext) -> bytes:
        """To whom the object has sent calls; returns ``SENT_NUMBERS``."""
        begin = ROW_PREFIX + SENT_TO
        keys = [key for key in await ctx.state_keys() if key.startswith(begin)]
        numbers = await self._values(ctx, keys)
        return SENT_NUMBERS.encode({key.removeprefix(begin): sent_number(number) for key, number in numbers.items()})

    async def describe(self, _: ObjectContext) -> bytes:
        """Returns ``Described``."""
        with _terminal():
            return DESCRIBED.encode(self._host.describe(self._namespace))

    # -- Objects that move from or to another runtime; see ``transfer``

    async def dump(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Some of what is stored; see ``Dump``."""
        asked = _decoded(DUMP, body)
        head = await ctx.get(HEAD_KEY, serde=BYTES)
        if asked.keys is None:
            keys = [key.removeprefix(ROW_PREFIX) for key in await ctx.state_keys() if key.startswith(ROW_PREFIX)]
            return DUMPED.encode(Dumped(head, keys=sorted(keys)))
        rows: list[tuple[str, bytes]] = []
        size = 0
        for at in range(0, len(asked.keys), _DUMPED_TOGETHER):
            found = await self._values(ctx, [ROW_PREFIX + key for key in asked.keys[at : at + _DUMPED_TOGETHER]])
            rows += [(key.removeprefix(ROW_PREFIX), value) for key, value in found.items()]
            size += sum(ROW_BYTES + len(key) + len(value) for key, value in found.items())
            if size >= PIECE_BYTES:
                break
        return DUMPED.encode(Dumped(head, rows=rows))

    async def restore(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Store a piece of an object that was never written, or is part of an import that has not ended."""
        piece = _decoded(RESTORE, body)
        head = await ctx.get(HEAD_KEY, serde=BYTES)
        with _terminal():
            restored = restored_head(self._id(ctx), head, piece)
        if restored is None:
            return b""  # all of it is there
        if piece.head is not None:
            ctx.clear_all()
            ctx.set(HEAD_KEY, restored, serde=BYTES)
        for key, value in piece.rows:
            ctx.set(ROW_PREFIX + key, value, serde=BYTES)
        return b""

    async def arrive(self, ctx: ObjectContext, body: bytes) -> bytes:
        """All of the object is there: it can be called from now on."""
        arrive = _decoded(ARRIVE, body)
        head = await ctx.get(HEAD_KEY, serde=BYTES)
        with _terminal():
            arrived = arrived_head(self._id(ctx), head, arrive)
        ctx.set(HEAD_KEY, arrived, serde=BYTES)
        for object_id in arrive.wake:
            namespace, _, name = object_id.partition("/")
            ctx.generic_send(service_name(self._prefix, namespace), "alarm", WAKE.encode(Wake(None)), name)
        return b""

    async def discard(self, ctx: ObjectContext) -> bytes:
        """Remove what an import that has not ended has left."""
        head = await ctx.get(HEAD_KEY, serde=BYTES)
        with _terminal():
            check_unfinished(self._id(ctx), head)
        ctx.clear_all()
        return b""

    def _id(self, ctx: ObjectContext) -> str:
        return f"{self._namespace}/{ctx.key()}"

    async def _commit(self, ctx: ObjectContext, step: Step) -> bytes:
        """Run calls, loading what they read, and do what they ask for; the head is the last thing that changes."""
        head = await ctx.get(HEAD_KEY, serde=BYTES)

        async def run() -> bytes:
            with _terminal():
                return step(head)

        while True:
            made = STEP.decode(await ctx.run_typed("apply", run, _BYTES))
            if isinstance(made, Plan):
                break
            await self._load(ctx, head, made)
        for key, value in made.writes.items():
            if value is None:
                ctx.clear(ROW_PREFIX + key)
            else:
                ctx.set(ROW_PREFIX + key, value, serde=BYTES)
        if made.head is not None:
            ctx.set(HEAD_KEY, made.head, serde=BYTES)
        for receiver, sent in made.sends:
            namespace, _, name = receiver.partition("/")
            ctx.generic_send(service_name(self._prefix, namespace), "take", SENT.encode(sent), name)
        for sender, news in made.held_up:
            namespace, _, name = sender.partition("/")
            ctx.generic_send(service_name(self._prefix, namespace), "hold_up", HELD_UP.encode(news), name)
        for later in made.later:
            delay = timedelta(milliseconds=max(later.at - self._host.now(), 1))
            ctx.generic_send(self.name, later.handler, later.argument, ctx.key(), send_delay=delay)
        return made.answers

    async def _load(self, ctx: ObjectContext, head: bytes | None, needs: Needs) -> None:
        keys, object_id = needs.keys, self._id(ctx)
        if needs.names:
            names = [key.removeprefix(ROW_PREFIX) for key in await ctx.state_keys() if key.startswith(ROW_PREFIX)]
            self._host.know_keys(object_id, head, names)
            keys = names if len(names) <= LOADED_AT_ONCE else []
        found = await self._values(ctx, [ROW_PREFIX + key for key in keys])
        self._host.load(object_id, head, {key: found.get(ROW_PREFIX + key) for key in keys})

    async def _values(self, ctx: ObjectContext, keys: list[str]) -> dict[str, bytes]:
        # A get asks when it is called, so all of them are on their way before the first is awaited.
        asked = [(key, ctx.get(key, serde=BYTES)) for key in keys]
        return {key: value for key, future in asked if (value := await future) is not None}


def virtual_object(service: ObjectService) -> restate.VirtualObject:
    """The handlers, as Restate gets to know them.

    Attempts end early only with a lost process or connection, so they begin again soon. What looks at memory or waits for news
    does not: it would answer something else than an attempt whose answer was journaled, which Restate refuses again and again.
    Its gateway asks again.
    """
    made = restate.VirtualObject(
        service.name,
        journal_retention=timedelta(0),
        # An ingress gives a key to every call that has none, and would keep each answer for a day.
        idempotency_retention=timedelta(0),
        enable_lazy_state=True,
        invocation_retry_policy=InvocationRetryPolicy(
            initial_interval=timedelta(milliseconds=50),
            exponentiation_factor=2.0,
            max_interval=timedelta(seconds=1),
            # Else Restate pauses an invocation after 70 attempts, which block its object until somebody resumes it.
            max_attempts=MAX_ATTEMPTS,
        ),
    )
    declare = partial(
        made.handler, accept="*/*", content_type="application/octet-stream", input_serde=BYTES, output_serde=BYTES
    )
    declare("batch", idempotency_retention=IDEMPOTENCY_RETENTION)(service.batch)
    declare("alarm")(service.alarm)
    declare("take")(service.take)
    declare("retake")(service.retake)
    declare("hold_up")(service.hold_up)
    declare("sent", kind="shared")(service.sent)
    declare("describe", kind="shared")(service.describe)
    declare("dump", kind="shared")(service.dump)
    declare("restore", idempotency_retention=IDEMPOTENCY_RETENTION)(service.restore)
    declare("arrive", idempotency_retention=IDEMPOTENCY_RETENTION)(service.arrive)
    declare("discard", idempotency_retention=IDEMPOTENCY_RETENTION)(service.discard)
    once = InvocationRetryPolicy(max_attempts=1, on_max_attempts="kill")
    declare("read", kind="shared", invocation_retry_policy=once)(service.read)
    declare("follow", kind="shared", invocation_retry_policy=once)(service.follow)
    declare("taken", kind="shared", invocation_retry_policy=once)(service.taken)
    return made


@contextmanager
def _terminal() -> Iterator[None]:
    """Whatever is raised ends the invocation, with our record as the error's text: Restate would try anything else for ever."""
    try:
        yield
    except DurableObjectError as error:
        raise _terminal_error(error) from error
    except Exception as error:
        log.exception("a call of Restate failed")
        raise _terminal_error(ObjectFailed(repr(error))) from error


def _terminal_error(error: DurableObjectError) -> TerminalError:
    return TerminalError(ERROR.encode(error.record()).decode())


def _decoded(codec: Codec, body: bytes) -> Any:  # noqa: ANN401 - the codec's type
    try:
        return codec.decode(body)
    except msgspec.MsgspecError as error:
        raise _terminal_error(ObjectFailed(f"a call of Restate cannot be read: {error}")) from error


_FAILS: Final = "the last delivery failed; the log has the details"
_BYTES: Final = RunOptions(serde=BYTES)
