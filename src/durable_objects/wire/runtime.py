"""The side of the callers: a gateway whose stubs send bytes.

    runtime = WireRuntime(SimulatedRuntime(seed=7), seed=7)
    counter = runtime.namespace("Counter", Counter).get("visits")
    assert runtime.host.run(counter.call(Counter.add, 2)) == 2

Gateways share the objects and nothing else: ``runtime.gateway()`` is one more.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Generic, Self

import msgspec
from msgspec import Struct

from durable_objects.config import config_for, digest_of
from durable_objects.contract import EventStream, Namespace, ObjectId, ObjectT
from durable_objects.errors import DurableObjectError
from durable_objects.event_streams import QueuedEventStream
from durable_objects.exchange import ANSWER, EVENTS, REQUEST, Answer, EndOfEvents, ExchangingStub, Request
from durable_objects.local import LocalRuntime
from durable_objects.meter import Meter
from durable_objects.names import check_name
from durable_objects.wire.host import Host
from durable_objects.wire.network import Channel, Network


class WireStub(ExchangingStub[ObjectT]):
    """A handle on one object of the host."""

    def __init__(self, gateway: "Gateway", cls: type[ObjectT], to: ObjectId) -> None:
        super().__init__(cls, to)
        self._gateway = gateway

    async def exchange(self, request: Request) -> Answer:
        """See ``ExchangingStub``."""
        return await self._gateway.exchange(request)

    def events(self, since: int | None = None) -> EventStream:
        """See ``contract.Stub``."""
        return self._gateway.listen(self._to, since, self._replay)


class WireNamespace(Generic[ObjectT]):
    """All objects of one class, at the host."""

    def __init__(self, gateway: "Gateway", name: str, cls: type[ObjectT]) -> None:
        self._gateway = gateway
        self._name = name
        self._cls = cls

    def get(self, name: str) -> WireStub[ObjectT]:
        """See ``contract.Namespace``."""
        check_name("an object", name)
        return WireStub(self._gateway, self._cls, ObjectId(self._name, name))


class Gateway:
    """A ``contract.Runtime`` whose objects live at ``host``, behind ``network``."""

    def __init__(self, host: Host, network: Network) -> None:
        self.network = network
        self._host = host
        self._events = Channel(network)

    @property
    def meter(self) -> Meter:
        """The host's."""
        return self._host.runtime.meter

    def health(self) -> str | None:
        """The host's."""
        return self._host.runtime.health()

    async def scrub(self) -> str | None:
        """The host's."""
        return await self._host.runtime.scrub()

    def namespace(self, name: str, cls: type[ObjectT], config: Struct | None = None) -> Namespace[ObjectT]:
        """See ``contract.Runtime``. The first gateway that names a namespace deploys it; the others must mean the same."""
        config = config_for(cls, config)
        self._host.connect(name, cls, msgspec.json.encode(config), digest_of(config))
        return WireNamespace(self, name, cls)

    async def exchange(self, request: Request) -> Answer:
        """Send a request and return its answer; raises ``OutcomeUnknown`` when none comes."""
        encoded = REQUEST.encode(request)
        await self.network.carry_call()
        encoded = await self._host.answer(encoded)
        await self.network.carry_answer()
        answer: Answer = ANSWER.decode(encoded)
        return answer

    def listen(self, to: ObjectId, since: int | None, replay: Callable[[int], Any]) -> EventStream:
        """A stream of an object's events: its catch-up is a call, and what comes live comes through the channel."""

        def receive(encoded: bytes) -> None:
            pushed = EVENTS.decode(encoded)
            if isinstance(pushed, EndOfEvents):
                stream.fail(DurableObjectError.from_record(pushed.error))
            elif pushed.events.seq is not None or not self.network.loses_signal():
                stream.offer(pushed.events)

        stop = self._host.listen(to, lambda encoded: self._events.put(lambda: receive(encoded)))
        stream = QueuedEventStream(since, replay, new_waiter=self._host.runtime.create_waiter, on_close=lambda _: stop())
        return stream


class WireRuntime(Gateway):
    """A gateway with its host and its network.

    An asynchronous context manager: it enters and leaves the runtime of the objects, if that is one.

    Args:
        host: the runtime of the objects, which has not started yet or has run no call.
        seed: the seed of all delays and losses.

    Attributes:
        host: the same.
        network: what happens to calls, answers and events on their way; may be changed at any time.
    """

    def __init__(self, host: LocalRuntime, *, seed: int = 0) -> None:
        self.host = host
        super().__init__(Host(host), Network(host, seed))

    def gateway(self) -> Gateway:
        """One more gateway, behind the same network."""
        return Gateway(self._host, self.network)

    async def __aenter__(self) -> Self:
        if isinstance(self.host, AbstractAsyncContextManager):
            await self.host.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(self.host, AbstractAsyncContextManager):
            await self.host.__aexit__(kind, error, trace)
