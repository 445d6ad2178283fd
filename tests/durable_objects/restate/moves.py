"""Objects in a cluster that come from a data directory, or go to one."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from courier import Letters
from ledger import Ledger

from durable_objects import DurableObject, SourceChanged
from durable_objects.disk import Change, Head
from durable_objects.embedded.store import Store
from durable_objects.embedded.transfer import EmbeddedSource, EmbeddedTarget
from durable_objects.restate.inventory import objects_of
from durable_objects.restate.node import Node
from durable_objects.restate.objects import RestateObjects
from durable_objects.restate.ports import free_port
from durable_objects.restate.runtime import RestateRuntime
from durable_objects.restate.transfer import RestateSource, RestateTarget
from durable_objects.transfer import ObjectSource, ObjectTarget
from scenario import run


class Box(DurableObject):
    """It keeps whatever it is given."""

    def put(self, key: str, value: bytes) -> None:
        self.ctx.storage.put(key, value)


CLASSES: dict[str, type[DurableObject]] = {"Box": Box, "Letters": Letters, "Ledger": Ledger, "A": Ledger, "Böx_1": Box}


class Place:
    """Objects of one name in a cluster."""

    def __init__(self, node: Node, prefix: str) -> None:
        self.node = node
        self.prefix = prefix

    def source(self) -> RestateSource:
        return RestateSource([self.node.ingress_url], [self.node.admin_url], prefix=self.prefix)

    def target(self) -> RestateTarget:
        return RestateTarget([self.node.ingress_url], [self.node.admin_url], prefix=self.prefix)

    def gateway(self) -> RestateRuntime:
        return RestateRuntime([self.node.ingress_url], prefix=self.prefix)

    async def objects(self) -> list[str]:
        return await objects_of([self.node.admin_url], self.prefix)


@asynccontextmanager
async def place(node: Node, clock: Callable[[], int] | None = None) -> AsyncIterator[Place]:
    """Objects of a name of their own, which run in this process."""
    prefix = f"move-{secrets.token_hex(4)}"
    objects = RestateObjects(prefix) if clock is None else RestateObjects(prefix, clock=clock)
    for name, cls in CLASSES.items():
        objects.namespace(name, cls)
    port, ready = free_port(), asyncio.Event()
    serving = asyncio.create_task(objects.serve("127.0.0.1", port, ready=ready.set))
    await ready.wait()
    await objects.register([node.admin_url], f"http://127.0.0.1:{port}")
    try:
        yield Place(node, prefix)
    finally:
        objects.stop()
        await serving


async def move(source: ObjectSource, target: ObjectTarget, import_id: bytes = bytes(32)) -> None:
    await target.begin(source.data_version, import_id)
    for object_id in await source.objects():
        async for piece in source.pieces(object_id):
            await target.write(piece)
    await source.check()
    await target.finish()


async def into(directory: Path, place: Place, import_id: bytes = bytes(32)) -> None:
    async with EmbeddedSource(directory) as source, place.target() as target:
        await move(source, target, import_id)


async def out_of(place: Place, directory: Path) -> None:
    """Objects that fail are tried again now and then, which changes them; then all is read again."""
    while True:
        with suppress(SourceChanged):
            async with place.source() as source, EmbeddedTarget(directory) as target:
                await move(source, target)
            return


def stored(directory: Path) -> dict[str, Any]:
    async def read() -> dict[str, Any]:
        found: dict[str, Any] = {}
        async with EmbeddedSource(directory) as source:
            for object_id in await source.objects():
                async for piece in source.pieces(object_id):
                    found.setdefault(object_id, (piece.head, {}))[1].update(piece.rows)
        return found

    return run(read())


def store(directory: Path, *changes: Change) -> None:
    directory.mkdir()
    file = Store(directory)
    file.open()
    file.write(changes)
    file.close()


BOXES = [
    Change("Box/empty", {}, Head(1)),
    Change("Box/of the runtime", {"\x01in/Box/x": b"17", "\x01keys/clock": b"\x92\x01\x02", "a": b""}, Head(2**40, 2**50)),
    Change("Box/ä/ö 😀", {f"{number:05}": b"%d" % number for number in range(2_500)}, Head(3)),
    Change("Box/large", {f"{number:02}": bytes([number]) * 100_000 for number in range(12)}, Head(9, 2**50)),
    Change("Böx_1/x", {"x": bytes(range(256)), "\ue000": b"", "😀": b""}, Head(4)),
]
