"""Handles on objects of the cluster."""

import asyncio
from collections.abc import Callable
from typing import Any, Generic, Protocol

from msgspec import Raw, Struct, ValidationError

from durable_objects.contract import EventStream, ObjectId, ObjectT, R
from durable_objects.errors import ConfigMismatch, DurableObjectError, ObjectFailed, OutcomeUnknown, Overloaded
from durable_objects.keyed_stub import OnceStub
from durable_objects.meter import Meter
from durable_objects.methods import functions_of, methods_of, name_of
from durable_objects.names import check_name
from durable_objects.restate.batchers import Batchers
from durable_objects.restate.encoding import Call, Described
from durable_objects.restate.followers import Check


class Gateway(Protocol):
    """What a handle needs of the runtime."""

    meter: Meter
    batchers: Batchers

    def listen(self, to: ObjectId, since: int | None, *, check: Check, replay: Callable[[int], Any]) -> EventStream:
        """A stream of an object's events."""

    async def settle(self, to: ObjectId) -> None:
        """Wait until others have taken what the object has sent."""

    async def describe(self, namespace: str) -> Described:
        """What runs in the objects' process."""


class RestateStub(OnceStub[ObjectT]):
    """A handle on one object of the cluster."""

    __slots__ = ("_objects", "_to")

    def __init__(self, objects: "RestateNamespace[ObjectT]", to: ObjectId) -> None:
        self._objects = objects
        self._to = to

    async def call_once(
        self,
        key: str | None,
        fingerprint: bytes | None,
        on_repeat: Callable[[], None] | None,
        method: Callable[..., R],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> R:
        """The call, or the first answer to its key."""
        objects = self._objects
        name = objects.names.get(method) or name_of(objects.cls, method)
        described = objects.methods[name]
        call = Call(name, Raw(described.encode_arguments(args, kwargs)), key, fingerprint)
        if not objects.is_checked:
            await objects.check()
        gateway = objects.gateway
        batcher = gateway.batchers.enter(self._to)
        gateway.meter.calls += 1
        answer = await (batcher.read(call) if described.is_read and key is None else batcher.call(call))
        if answer.error is not None:
            if answer.error.code == ObjectFailed.code:
                gateway.meter.failures += 1
            raise DurableObjectError.from_record(answer.error)
        if answer.repeated and on_repeat is not None:
            on_repeat()
        try:
            result: R = described.decode_result(answer.result)
        except ValidationError as error:
            raise ObjectFailed(
                f"{objects.name}/{self._to.name}: the objects run another version of the class: {error}"
            ) from error
        return result

    def events(self, since: int | None = None) -> EventStream:
        """See ``contract.Stub``."""
        objects = self._objects
        return objects.gateway.listen(self._to, since, check=objects.check, replay=self._replay)

    async def settle(self) -> None:
        """See ``contract.Stub``."""
        try:
            await self._objects.check()
        except Overloaded as error:
            raise OutcomeUnknown(f"what {self._objects.name}/{self._to.name} has sent is not known: {error}") from error
        await self._objects.gateway.settle(self._to)


class RestateNamespace(Generic[ObjectT]):
    """All objects of one class in the cluster.

    Attributes:
        is_checked: whether the objects are known to be of this class, with this configuration.
        error: why they are not, as of the last look.
    """

    def __init__(self, gateway: Gateway, name: str, cls: type[ObjectT], config: Struct | None) -> None:
        self.gateway = gateway
        self.name = name
        self.cls = cls
        self.config = config
        self.described = Described.of(cls, config)
        self.names = functions_of(cls)
        self.methods = methods_of(cls)
        self.is_checked = False
        self.error: str | None = None
        self._checking: asyncio.Task[None] | None = None

    def get(self, name: str) -> RestateStub[ObjectT]:
        """See ``contract.Namespace``; nothing happens before its first call."""
        check_name("an object", name)
        return RestateStub(self, ObjectId(self.name, name))

    async def check(self) -> None:
        """Return once the objects are known to be the ones that are meant.

        Raises ``ConfigMismatch``, ``Overloaded`` when no node answers or the objects are not there yet, ``RuntimeClosed``.
        """
        if self.is_checked:
            return
        if self._checking is None:
            self._checking = asyncio.get_running_loop().create_task(self._check())
            self._checking.add_done_callback(self._checked)
        await asyncio.shield(self._checking)

    async def _check(self) -> None:
        found = await self.gateway.describe(self.name)
        if found != self.described:
            raise ConfigMismatch(
                f"the objects of the namespace {self.name!r} run {_shown(found)}; this program means {_shown(self.described)}"
            )

    def _checked(self, task: "asyncio.Task[None]") -> None:
        self._checking = None
        if task.cancelled():
            return
        error = task.exception()
        self.is_checked = error is None
        self.error = None if error is None else str(error)


def _shown(described: Described) -> str:
    return f"{described.cls} with the configuration {described.config}"
