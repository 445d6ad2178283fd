"""Where the contract is tested: each runtime, with a clock that tests move and data that it can be started on again."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import wraps
from pathlib import Path
from uuid import uuid4

import pytest
from fake_cluster import FakeCluster
from fake_objects import FakePlatform
from fake_storage import FakeStorage
from probe import Probe, Rules

from durable_objects import DurableObject, Runtime
from durable_objects.cloudflare import CloudflareRuntime
from durable_objects.cloudflare.stub import Gateway
from durable_objects.embedded import EmbeddedRuntime
from durable_objects.local import LocalRuntime
from durable_objects.restate.node import Node
from durable_objects.restate.objects import RestateObjects
from durable_objects.restate.ports import free_port
from durable_objects.restate.runtime import RestateRuntime
from durable_objects.simulated import SimulatedRuntime
from durable_objects.wire import WireRuntime
from scenario import run

START_MS = 1_700_000_000_000


class Place:
    """Data, on which a runtime runs now and then."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now_ms = START_MS
        self.rules = Rules()
        """The configuration of what is deployed, where that is not the caller's."""
        self.classes: list[type[DurableObject]] = []
        """What is deployed besides, each in a namespace of its own name."""
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


class CloudflarePlace(Place):
    """A Durable Object of Cloudflare that is faked: its SQLite is CPython's, and its alarm fires when time has passed."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._storage = FakeStorage()
        self._alarms: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Runtime]:
        self._host = self._life = CloudflareRuntime(self._storage, commit_interval_ms=1, clock=lambda: self.now_ms)
        async with self._life:
            yield self._life
            await asyncio.gather(*self._alarms)

    def advance(self, seconds: float) -> None:
        self.now_ms += round(seconds * 1_000)
        if self._storage.alarm is not None and self._storage.alarm <= self.now_ms:
            self._storage.alarm = None
            self._alarms.add(asyncio.create_task(self._life.alarm()))


class ObjectsWorker(Gateway):
    """A gateway that shows what the objects count."""

    def __init__(self, platform: FakePlatform) -> None:
        super().__init__(platform.bindings())
        self.meter = platform.meter


class CloudflareObjectsPlace(Place):
    """A Worker that calls Durable Objects, one for each object, which forget all but their storage when it ends."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._platform = FakePlatform(lambda: self.now_ms)
        self._alarms: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Runtime]:
        self._platform.classes = {"Probe": (Probe, self.rules), **{cls.__name__: (cls, None) for cls in self.classes}}
        async with ObjectsWorker(self._platform) as gateway:
            yield gateway
        await asyncio.gather(*self._alarms)
        for each in list(self._platform.objects.values()):
            await each.end()

    def advance(self, seconds: float) -> None:
        self.now_ms += round(seconds * 1_000)
        self._alarms.update(map(asyncio.create_task, self._platform.due()))


class GatewayPlace(SimulatedPlace):
    """A gateway to a cluster that is faked, but for HTTP."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Runtime]:
        async with super().running(), FakeCluster(self._simulated) as cluster:
            cluster.declare("Probe", Probe, self.rules)
            for cls in self.classes:
                cluster.declare(cls.__name__, cls)
            async with RestateRuntime(cluster.urls) as runtime:
                yield runtime


class RestatePlace(Place):
    """A gateway to a real cluster, which keeps the data; the objects' process comes and goes with the gateway.

    Delayed calls come in real time, so an alarm may take as long as its test says until it finds the clock moved.
    """

    node: Node

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._prefix = f"place-{uuid4().hex}"
        self._port = free_port("127.0.0.1")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Runtime]:
        async with self._objects(), RestateRuntime([self.node.ingress_url], prefix=self._prefix) as gateway:
            yield gateway

    @asynccontextmanager
    async def _objects(self) -> AsyncIterator[None]:
        objects = RestateObjects(self._prefix, clock=lambda: self.now_ms)
        objects.namespace("Probe", Probe, self.rules)
        for cls in self.classes:
            objects.namespace(cls.__name__, cls)
        is_ready = asyncio.Event()
        serving = asyncio.create_task(objects.serve("127.0.0.1", self._port, ready=is_ready.set))
        await is_ready.wait()
        await objects.register([self.node.admin_url], f"http://127.0.0.1:{self._port}", force=True)
        try:
            yield
        finally:
            signal.raise_signal(signal.SIGTERM)  # also ends what the SDK of Restate waits for
            await serving

    def advance(self, seconds: float) -> None:
        self.now_ms += round(seconds * 1_000)


PLACES = {
    "embedded": Place,
    "simulated": SimulatedPlace,
    "wire over embedded": WirePlace,
    "wire over simulated": SimulatedWirePlace,
    "cloudflare": CloudflarePlace,
    "cloudflare objects": CloudflareObjectsPlace,
    "restate gateway over simulated": GatewayPlace,
    "restate": RestatePlace,
}
"""One more runtime is one more entry."""


def place_of(name: str, request: pytest.FixtureRequest, *classes: type[DurableObject]) -> Place:
    """A new place of this name, for probes and objects of ``classes``."""
    place = PLACES[name](request.getfixturevalue("tmp_path"))
    place.classes += classes
    if isinstance(place, RestatePlace):
        place.node = request.getfixturevalue("restate")
    return place


def scenario(test: Callable[[Place], Awaitable[None]]) -> Callable[[Place], None]:
    """A test that is a coroutine."""

    @wraps(test)
    def started(place: Place) -> None:
        async def to_its_end() -> None:
            await test(place)

        run(to_its_end())

    return started
