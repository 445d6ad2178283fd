"""Objects move to and from a cluster, whose objects' processes run; see ``durable_objects.transfer``."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import Final, Self, TypeVar

from durable_objects.contract import ObjectId
from durable_objects.disk import DATA_VERSION, Head
from durable_objects.errors import DataExists, DataUnreadable, SourceChanged, Unsettled
from durable_objects.inbox import INBOX
from durable_objects.outbox import outbox_key
from durable_objects.restate.encoding import (
    ARRIVE,
    DUMP,
    DUMPED,
    HEAD,
    PREFIX,
    RESTORE,
    Arrive,
    Dump,
    Dumped,
    Imported,
    Restore,
)
from durable_objects.restate.held_object import SENT_TO, sent_number
from durable_objects.restate.ingress import Ingress
from durable_objects.restate.inventory import objects_of
from durable_objects.restate.late_calls import LATE, sender_of
from durable_objects.transfer import Piece, pieces_of

_WAIT_SECONDS: Final = 60.0
"""How long one request is tried."""
_ATTEMPT_SECONDS: Final = 30.0
_AT_ONCE: Final = 16
"""Requests for different objects."""
_KEYS_TOGETHER: Final = 1_000
SETTLE_SECONDS: Final = 30.0
"""How long calls that are under way may take to be taken."""
_LOOK_SECONDS: Final = 0.1

T = TypeVar("T")
R = TypeVar("R")


class _Cluster:
    """A cluster's ingress and admin servers; an asynchronous context manager.

    Args:
        ingress_urls: as for ``RestateRuntime``.
        admin_urls: the admin server of each node.
        prefix: as for ``RestateRuntime``.
    """

    def __init__(self, ingress_urls: Sequence[str], admin_urls: Sequence[str], *, prefix: str = PREFIX) -> None:
        self._ingress = Ingress(ingress_urls, prefix)
        self._admin_urls = admin_urls
        self._prefix = prefix

    async def __aenter__(self) -> Self:
        self._ingress.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._ingress.close()

    async def _send(self, object_id: str, handler: str, body: bytes, key: str | None = None) -> bytes:
        namespace, _, name = object_id.partition("/")
        deadline = asyncio.get_running_loop().time() + _WAIT_SECONDS
        return await self._ingress.send(
            ObjectId(namespace, name), handler, body, deadline=deadline, attempt_seconds=_ATTEMPT_SECONDS, key=key
        )

    async def _dump(self, object_id: str, keys: list[str] | None = None) -> Dumped:
        dumped: Dumped = DUMPED.decode(await self._send(object_id, "dump", DUMP.encode(Dump(keys))))
        return dumped

    async def _objects(self) -> list[str]:
        return await objects_of(self._admin_urls, self._prefix)


class RestateSource(_Cluster):
    """Reads all objects of a cluster, or of those with one prefix, while no gateway calls them.

    It reads every object's head, then every object, then every head again: if those are the same, all of it was there at one
    moment in between. Calls that objects have sent each other are not rows here, so it waits until they are taken; those that
    could not be taken and wait at their receiver become rows of their sender's outbox.
    """

    data_version = DATA_VERSION

    def __init__(self, ingress_urls: Sequence[str], admin_urls: Sequence[str], *, prefix: str = PREFIX) -> None:
        super().__init__(ingress_urls, admin_urls, prefix=prefix)
        self._heads: dict[str, bytes | None] = {}
        self._outboxes: dict[str, dict[str, bytes]] = {}
        """The calls that wait at their receivers, by sender: rows of its outbox."""

    async def objects(self) -> list[str]:
        """See ``ObjectSource``; raises ``Unsettled``."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SETTLE_SECONDS
        while (under_way := await self._look()) is not None:
            if loop.time() > deadline:
                raise Unsettled(f"{under_way} for {SETTLE_SECONDS:.0f} seconds; are its objects' processes running?")
            await asyncio.sleep(_LOOK_SECONDS)
        return list(self._heads)

    async def pieces(self, object_id: str) -> AsyncIterator[Piece]:
        """See ``ObjectSource``; raises ``SourceChanged``."""
        stored = self._heads[object_id]
        found = await self._dump(object_id)
        head: Head | None = _head(object_id, stored)
        keys = [key for key in found.keys if not _is_of_restate(key)]
        self._compare(object_id, found)
        outbox = sorted(self._outboxes.get(object_id, {}).items())
        while keys or head is not None:
            asked = keys[:_KEYS_TOGETHER]
            page = await self._dump(object_id, asked)
            self._compare(object_id, page)
            rows = page.rows
            if [key for key, _ in rows] != asked[: len(rows)] or (asked and not rows):
                raise _changed(object_id)
            del keys[: len(rows)]
            if outbox:
                last = rows[-1][0] if keys else None
                first = [row for row in outbox if last is None or row[0] <= last]
                rows, outbox = sorted([*rows, *first]), outbox[len(first) :]
            for piece in pieces_of(object_id, head, rows):
                yield piece
            head = None

    async def check(self) -> None:
        """See ``ObjectSource``."""
        if await self._objects() != list(self._heads):
            raise SourceChanged("objects came while they were read; stop the gateways, then try again")

        async def same(object_id: str) -> None:
            self._compare(object_id, await self._dump(object_id, []))

        await _for_each(list(self._heads), same)

    async def _look(self) -> str | None:
        """Read all heads, and which calls have been sent and taken; returns what is still under way, for people."""
        object_ids = await self._objects()
        self._heads = dict.fromkeys(object_ids)
        self._outboxes = {}
        sent: dict[tuple[str, str], int] = {}
        taken: dict[tuple[str, str], int] = {}

        async def look(object_id: str) -> None:
            found = await self._dump(object_id)
            self._heads[object_id] = found.head
            keys = [key for key in found.keys if _is_of_restate(key) or key.startswith(INBOX)]
            while keys:
                rows = (await self._dump(object_id, keys[:_KEYS_TOGETHER])).rows
                for key, value in rows:
                    if key.startswith(SENT_TO):
                        sent[object_id, key.removeprefix(SENT_TO)] = sent_number(value)
                    elif key.startswith(INBOX):
                        pair = (key.removeprefix(INBOX), object_id)
                        taken[pair] = max(taken.get(pair, 0), int(value))
                    elif (sender := sender_of(key)) is not None:
                        number = int(key.rpartition("/")[2])
                        taken[sender, object_id] = max(taken.get((sender, object_id), 0), number)
                        self._outboxes.setdefault(sender, {})[outbox_key(object_id, number)] = value
                if not rows:
                    break  # it has changed, and is looked at again
                del keys[: len(rows)]

        await _for_each(object_ids, look)
        for (sender, receiver), number in sent.items():
            if taken.get((sender, receiver), 0) < number:
                return f"{receiver} has not taken the calls of {sender}"
        return None

    def _compare(self, object_id: str, found: Dumped) -> None:
        if found.head != self._heads[object_id]:
            raise _changed(object_id)


class RestateTarget(_Cluster):
    """Writes objects into a cluster, or those with one prefix, whose objects' processes run and that has none yet.

    What is there before ``finish`` cannot be called. Then one object after the other can, at last the first that came; in the
    same step all are told to send what their outboxes hold and to set their alarms. An import that was broken off begins again.
    """

    def __init__(self, ingress_urls: Sequence[str], admin_urls: Sequence[str], *, prefix: str = PREFIX) -> None:
        super().__init__(ingress_urls, admin_urls, prefix=prefix)
        self._import_id = b""
        self._run = secrets.token_hex(8)
        """Makes a request that is repeated one request, but not in another run."""
        self._pieces = 0
        self._order: list[str] = []
        self._writing: list[asyncio.Task[None]] = []

    async def begin(self, data_version: int, import_id: bytes) -> None:
        """See ``ObjectTarget``."""
        if data_version != DATA_VERSION:
            what = f"the data has version {data_version}; this program writes version {DATA_VERSION} here"
            way = "import it into a data directory, which converts it, and export it from there"
            raise DataUnreadable(f"{what}: {way if data_version < DATA_VERSION else 'use the program that wrote it'}")
        self._import_id = import_id
        leftovers: list[str] = []

        async def look(object_id: str) -> None:
            head = (await self._dump(object_id, [])).head
            imported: Imported | None = None if head is None else HEAD.decode(head).imported
            if imported is None or (imported.ended and imported.import_id != import_id):
                raise DataExists(f"the cluster has objects already, such as {object_id}; choose another name or cluster")
            if not imported.ended:
                leftovers.append(object_id)

        async def discard(object_id: str) -> None:
            await self._send(object_id, "discard", b"", key=self._run)

        await _for_each(await self._objects(), look)
        await _for_each(leftovers, discard)

    async def write(self, piece: Piece) -> None:
        """See ``ObjectTarget``."""
        if piece.head is None or len(self._order) <= 1 or len(self._writing) >= _AT_ONCE:
            await self._written()
        self._pieces += 1
        body = RESTORE.encode(Restore(self._import_id, piece.head, piece.rows))
        self._writing.append(asyncio.create_task(self._restore(piece.object_id, body, f"{self._run}-{self._pieces}")))
        if piece.head is not None:
            self._order.append(piece.object_id)

    async def finish(self) -> None:
        """See ``ObjectTarget``."""
        await self._written()
        if not self._order:
            return
        first, *others = self._order
        await _for_each(others, lambda object_id: self._arrive(object_id, Arrive(self._import_id)))
        await self._arrive(first, Arrive(self._import_id, self._order))
        await self._woken()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._writing:
            task.cancel()
        await super().__aexit__(kind, error, trace)

    async def _restore(self, object_id: str, body: bytes, key: str) -> None:
        await self._send(object_id, "restore", body, key)

    async def _arrive(self, object_id: str, arrive: Arrive) -> None:
        await self._send(object_id, "arrive", ARRIVE.encode(arrive), key=self._run)

    async def _woken(self) -> None:
        """Wait until all objects have been told, for a while: it is certain to happen."""
        asleep = self._order
        deadline = asyncio.get_running_loop().time() + SETTLE_SECONDS
        while asleep and asyncio.get_running_loop().time() < deadline:
            still: list[str] = []

            async def look(object_id: str, still: list[str] = still) -> None:
                head = (await self._dump(object_id, [])).head
                if head is not None and HEAD.decode(head).imported is not None:
                    still.append(object_id)

            await _for_each(asleep, look)
            asleep = still
            await asyncio.sleep(_LOOK_SECONDS if asleep else 0)

    async def _written(self) -> None:
        writing, self._writing = self._writing, []
        await asyncio.gather(*writing)


async def _for_each(items: Sequence[T], do: Callable[[T], Awaitable[R]]) -> None:
    """Do it for each, some at once; raises the first error."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(item: T) -> None:
        async with turns:
            await do(item)

    tasks = [asyncio.create_task(one(item)) for item in items]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def _head(object_id: str, stored: bytes | None) -> Head:
    if stored is None:
        raise _changed(object_id)
    head = HEAD.decode(stored)
    if head.imported is not None and not head.imported.ended:
        raise DataUnreadable(f"{object_id} is part of an import that has not ended; run it again")
    return Head(head.seq, head.alarm_at)


def _is_of_restate(key: str) -> bool:
    """Whether a row means something on Restate only."""
    return key.startswith((SENT_TO, LATE)) or sender_of(key) is not None


def _changed(object_id: str) -> SourceChanged:
    return SourceChanged(f"{object_id} changed while it was read; stop the gateways, then try again")
