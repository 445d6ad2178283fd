"""Where the contract is tested: each runtime, with a clock that tests move and data that it can be started on again."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import wraps
from pathlib import Path

from durable_objects import Runtime
from durable_objects.embedded import EmbeddedRuntime
from durable_objects.local import LocalRuntime
from durable_objects.simulated import SimulatedRuntime
from durable_objects.wire import WireRuntime
from scenario import run

START_MS = 1_700_000_000_000


class Place:
    """Data, on which a runtime runs now and then."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now_ms = START_MS
        self._host: LocalRuntime

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Runtime]:
        """The runtime, until the end of the block; what is durable by then is there the next time."""
        async with EmbeddedRuntime(self.directory, clock=lambda: self.now_ms) as self._host:
            yield self._host

    def advance(self, seconds: float) -> None:
        """Let time pass, and run what is due."""
        self.now_ms += round(seconds * 1_000)
        self._host.run_due()


class SimulatedPlace(Place):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._simulated = SimulatedRuntime(now_ms=START_MS)
        self._has_run = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Runtime]:
        if self._has_run:
            self._simulated.crash()
        self._has_run = True
        yield self._simulated

    def advance(self, seconds: float) -> None:
        self._simulated.advance(seconds)


class WirePlace(Place):
    @asynccontextmanager
    async def running(self) -> AsyncIterator[Runtime]:
        self._host = EmbeddedRuntime(self.directory, clock=lambda: self.now_ms)
        async with AsyncExitStack() as stack:
            yield await stack.enter_async_context(WireRuntime(self._host, seed=7))


class SimulatedWirePlace(SimulatedPlace):
    @asynccontextmanager
    async def running(self) -> AsyncIterator[Runtime]:
        async with super().running():
            yield WireRuntime(self._simulated, seed=8)


PLACES = {
    "embedded": Place,
    "simulated": SimulatedPlace,
    "wire over embedded": WirePlace,
    "wire over simulated": SimulatedWirePlace,
}
"""One more runtime is one more entry."""


def scenario(test: Callable[[Place], Awaitable[None]]) -> Callable[[Place], None]:
    """A test that is a coroutine."""

    @wraps(test)
    def started(place: Place) -> None:
        async def to_its_end() -> None:
            await test(place)

        run(to_its_end())

    return started
