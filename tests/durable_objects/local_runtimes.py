"""The runtimes of one process, for tests of what each of them promises."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from durable_objects import Runtime
from durable_objects.embedded import EmbeddedRuntime
from durable_objects.simulated import SimulatedRuntime
from durable_objects.wire import WireRuntime

Opening = Callable[[Path], AbstractAsyncContextManager[Runtime]]


@asynccontextmanager
async def _simulated(_: Path) -> AsyncIterator[Runtime]:
    yield SimulatedRuntime()


@asynccontextmanager
async def _wire(_: Path) -> AsyncIterator[Runtime]:
    yield WireRuntime(SimulatedRuntime(), seed=3)


LOCAL_RUNTIMES: dict[str, Opening] = {"embedded": EmbeddedRuntime, "simulated": _simulated, "wire": _wire}
