"""The side of the objects: a local runtime that is called with bytes, and answers with bytes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from durable_objects.config import config_of, digest_of
from durable_objects.contract import Events, Namespace, ObjectId, Stub
from durable_objects.errors import ConfigMismatch, DurableObjectError
from durable_objects.exchange import ANSWER, EVENTS, REQUEST, Answer, Call, EndOfEvents, SentEvents, answer_call
from durable_objects.local import LocalRuntime
from durable_objects.wire.disk import EncodedDisk


class _Deployed(NamedTuple):
    cls: type[Any]
    digest: str
    objects: Namespace[Any]


class _Listener:
    """Encodes an object's events; what a network would push to one stream of a gateway."""

    def __init__(self, push: Callable[[bytes], None]) -> None:
        self._push = push

    def offer(self, events: Events) -> None:
        self._push(EVENTS.encode(SentEvents(events)))

    def fail(self, error: DurableObjectError) -> None:
        self._push(EVENTS.encode(EndOfEvents(error.record())))


class Host:
    """Runs the objects of all gateways. No instance survives a call, so nothing can be kept in memory only."""

    def __init__(self, runtime: LocalRuntime) -> None:
        self.runtime = runtime
        self._deployed: dict[str, _Deployed] = {}
        runtime.wrap_disk(EncodedDisk)

    def connect(self, name: str, cls: type[Any], config: bytes, digest: str) -> None:
        """Deploy a class with its encoded configuration; if it is, check that the gateway means the same.

        Raises ``ConfigMismatch``, and what ``Runtime.namespace`` raises.
        """
        if name not in self._deployed:
            decoded = msgspec.json.decode(config, type=config_of(cls))
            self._deployed[name] = _Deployed(cls, digest_of(decoded), self.runtime.namespace(name, cls, decoded))
        deployed = self._deployed[name]
        if deployed.cls is not cls:
            raise ValueError(f"the namespace {name!r} is already declared with {deployed.cls!r}")
        if deployed.digest != digest:
            raise ConfigMismatch(f"the objects of the namespace {name!r} run with another configuration than this program's")

    async def answer(self, encoded: bytes) -> bytes:
        """Run a request, and return its answer or its error."""
        request = REQUEST.decode(encoded)
        try:
            answer = await self._answer(request)
        except DurableObjectError as error:
            answer = Answer(error=error.record())
        return ANSWER.encode(answer)

    async def _answer(self, request: Any) -> Answer:  # noqa: ANN401 - one of the requests
        stub: Any = self._stub(request.to)
        if not isinstance(request, Call):
            await stub.settle()
            return Answer()
        object_id = f"{request.to.namespace}/{request.to.name}"
        self.runtime.drop(object_id)
        try:
            return await answer_call(stub, self._deployed[request.to.namespace].cls, request)
        finally:
            self.runtime.drop(object_id)

    def listen(self, to: ObjectId, push: Callable[[bytes], None]) -> Callable[[], None]:
        """Push an object's events from now on, until the returned function is called."""
        self._stub(to)  # checks the name
        listener = _Listener(push)
        object_id = f"{to.namespace}/{to.name}"
        self.runtime.listeners.add(object_id, listener)
        return lambda: self.runtime.listeners.remove(object_id, listener)

    def _stub(self, to: ObjectId) -> Stub[Any]:
        return self._deployed[to.namespace].objects.get(to.name)
