"""Handles on the objects of this process."""

from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, Generic, Protocol

from msgspec import Struct

from durable_objects.commits import CommitLoop
from durable_objects.contract import Context, EventStream, ObjectT, P, R, Replay
from durable_objects.errors import ObjectFailed
from durable_objects.keyed_stub import OnceStub
from durable_objects.live import LiveObject
from durable_objects.meter import Meter
from durable_objects.methods import name_of
from durable_objects.names import check_name


class Runtime(Protocol):
    """What a handle needs of the runtime."""

    meter: Meter
    commits: CommitLoop

    def find(self, object_id: str) -> LiveObject[Any] | None:
        """The live instance, ready for a call; None when ``load`` must make it or refuse the call."""

    def load(self, object_id: str, name: str, create: Callable[[Context], ObjectT]) -> LiveObject[ObjectT]:
        """The live instance, made from storage if needed."""

    def listen(self, object_id: str, since: int | None, replay: Callable[[int], Awaitable[Replay]]) -> EventStream:
        """A stream of an object's events."""

    async def wait_durable(self, object_id: str) -> None:
        """Wait until all changes of an object so far are durable."""

    async def settle(self, object_id: str) -> None:
        """Wait until others have taken what the object has sent."""


class LocalStub(OnceStub[ObjectT]):
    """A handle on one object of this process."""

    __slots__ = ("_create", "_name", "_object_id", "_runtime")

    def __init__(self, runtime: Runtime, object_id: str, name: str, create: Callable[[Context], ObjectT]) -> None:
        self._runtime = runtime
        self._object_id = object_id
        self._name = name
        self._create = create

    async def call(self, method: Callable[Concatenate[ObjectT, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """See ``contract.Stub``. With nothing uncommitted this is a plain call: it never suspends."""
        runtime = self._runtime
        live = runtime.find(self._object_id) or await self._wake()
        name = live.names.get(method) or name_of(type(live.instance), method)
        runtime.meter.calls += 1
        try:
            result: R = live.run(name, args, kwargs)
        finally:
            if name not in live.reads:  # as ``run`` has checked, a read leaves nothing to add
                runtime.commits.add(live)
            # A refusal may reveal changes that are not durable yet, so it waits as well.
            if live.batch is not None:
                await runtime.commits.wait_durable(live)
        return result

    async def call_once(
        self,
        key: str | None,
        fingerprint: bytes | None,
        on_repeat: Callable[[], None] | None,
        method: Callable[..., R],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> R:
        """A call of ``KeyedStub``. The first answer to a key waits too until it is durable."""
        if key is None:
            return await self.call(method, *args, **kwargs)
        runtime = self._runtime
        live = runtime.find(self._object_id) or await self._wake()
        name = live.names.get(method) or name_of(type(live.instance), method)
        runtime.meter.calls += 1
        result: R
        try:
            result, repeated = live.run_once(name, args, kwargs, key, fingerprint)
        finally:
            runtime.commits.add(live)
            if live.batch is not None:
                await runtime.commits.wait_durable(live)
        if repeated and on_repeat is not None:
            on_repeat()
        return result

    def events(self, since: int | None = None) -> EventStream:
        """See ``contract.Stub``."""
        return self._runtime.listen(self._object_id, since, self._replay)

    async def settle(self) -> None:
        """See ``contract.Stub``."""
        await self._runtime.settle(self._object_id)

    async def _wake(self) -> LiveObject[ObjectT]:
        try:
            return self._runtime.load(self._object_id, self._name, self._create)
        except ObjectFailed:
            # What the constructor has read may not be durable yet.
            await self._runtime.wait_durable(self._object_id)
            raise


class LocalNamespace(Generic[ObjectT]):
    """All objects of one class in this process's runtime."""

    def __init__(self, runtime: Runtime, name: str, cls: type[ObjectT], config: Struct | None) -> None:
        self._runtime = runtime
        self._name = name
        self.cls = cls
        self.config = config

    def create(self, ctx: Context) -> ObjectT:
        """A new instance."""
        create: Callable[..., ObjectT] = self.cls
        return create(ctx) if self.config is None else create(ctx, self.config)

    def get(self, name: str) -> LocalStub[ObjectT]:
        """A handle on the object called ``name``; nothing happens before its first call."""
        check_name("an object", name)
        return LocalStub(self._runtime, f"{self._name}/{name}", name, self.create)
