"""The wall on Restate: as one gateway of a cluster, or with everything else that it needs on this machine.

    this process (gateway) -- HTTP --> restate-server -- HTTP/2 --> sww objects

Both others are children of this process. The objects are not in this process, though they could be: see ARCHITECTURE.md.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec.structs import replace

from durable_objects.embedded.lock import DirectoryLock
from durable_objects.errors import ConfigMismatch
from durable_objects.restate.node import Node
from durable_objects.restate.node_config import NodeConfig
from durable_objects.restate.ports import free_port
from durable_objects.restate.runtime import RestateRuntime
from saywhatwant.commands.objects_process import ObjectsProcess
from saywhatwant.settings import Settings, WrongSettings

TAKE_OVER = "--take-over"
"""An option of ``sww objects``, for those whose cluster has no others."""


class Gateway(RestateRuntime):
    """A gateway of a cluster, which is entered once the cluster and the objects of the wall answer."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.restate, prefix=settings.restate_name)

    async def __aenter__(self) -> Self:
        try:
            await super().__aenter__()
            await self._wait()
        except ConfigMismatch as error:
            raise WrongSettings(f"{error}: start gateways and objects with the same settings and entities") from error
        return self

    async def _wait(self) -> None:
        try:
            await self.ready()
        except BaseException:
            await RestateRuntime.__aexit__(self, None, None, None)
            raise


class OneMachine(Gateway):
    """A gateway, the objects, and a Restate server unless the settings name a cluster.

    Entering it raises ``OSError`` when the data directory cannot be used, ``DataLocked``, ``ObjectsEnded``, and what a ``Node``
    raises.
    """

    def __init__(self, settings: Settings) -> None:
        self._data = settings.data.absolute()
        self._node: Node | None = None
        options = []
        if not settings.restate:
            self._node = node_in(self._data)
            settings = on_this_machine(settings, self._node)
            options = [TAKE_OVER]
        self._objects = ObjectsProcess(settings, *options)
        self._stack = AsyncExitStack()
        super().__init__(settings)

    async def __aenter__(self) -> Self:
        self._data.mkdir(parents=True, exist_ok=True)
        async with AsyncExitStack() as stack:
            lock = DirectoryLock(self._data)
            lock.acquire()
            stack.callback(lock.release)
            if self._node is not None:
                await stack.enter_async_context(running(self._node))
            await stack.enter_async_context(self._objects)
            await super().__aenter__()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, error, trace)
        await self._stack.aclose()


def node_in(data: Path) -> Node:
    """The Restate server of a data directory; nothing is started or made yet."""
    return Node(NodeConfig(directory=data.absolute() / "restate"))


def on_this_machine(settings: Settings, node: Node) -> Settings:
    """Settings that name ``node`` as the cluster, and a free address for its objects."""
    return replace(
        settings,
        restate=[node.ingress_url],
        restate_admin=[node.admin_url],
        objects_bind=f"127.0.0.1:{free_port()}",
        objects_url=None,
    )


@asynccontextmanager
async def running(node: Node) -> AsyncIterator[None]:
    """The server runs, and every partition has a leader; raises what a ``Node`` raises."""
    try:
        await asyncio.to_thread(node.start)
        await asyncio.to_thread(node.wait_until_ready)
        yield
    finally:
        await asyncio.to_thread(node.stop)
