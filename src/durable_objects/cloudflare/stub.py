"""Handles on objects that live in Durable Objects of their own: calls go there by RPC, events come over a WebSocket."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Generic, Self

from msgspec import Struct

from durable_objects.cloudflare.platform import Binding
from durable_objects.cloudflare.sockets import LISTEN, Listen
from durable_objects.config import check_declared, config_for, digest_of
from durable_objects.contract import EventStream, Namespace, ObjectId, ObjectT
from durable_objects.errors import DurableObjectError, EventsLost, ObjectFailed, RuntimeClosed
from durable_objects.event_streams import QueuedEventStream
from durable_objects.exchange import ANSWER, EVENTS, REQUEST, Answer, EndOfEvents, ExchangingStub, Request
from durable_objects.meter import Meter
from durable_objects.names import check_name, check_namespace

log = logging.getLogger("durable_objects")


class RemoteStub(ExchangingStub[ObjectT]):
    """A handle on one object elsewhere."""

    def __init__(self, objects: "RemoteNamespace[ObjectT]", to: ObjectId) -> None:
        super().__init__(objects.cls, to, objects.digest)
        self._objects = objects

    async def exchange(self, request: Request) -> Answer:
        """See ``ExchangingStub``."""
        return await self._objects.exchange(self._to.name, request)

    def events(self, since: int | None = None) -> EventStream:
        """See ``contract.Stub``. It listens for sure when a later call of this namespace is answered."""
        return self._objects.listen(self._to, since, self._replay)


class RemoteNamespace(Generic[ObjectT]):
    """All objects of one class, each in a Durable Object of its own."""

    def __init__(self, binding: Binding, name: str, cls: type[ObjectT], config: Struct | None, meter: Meter) -> None:
        self._binding = binding
        self._name = name
        self._meter = meter
        self._connecting: set[asyncio.Task[None]] = set()
        self._listening: set[_Listening] = set()
        self.cls = cls
        self.config = config
        self.digest = digest_of(config)

    def get(self, name: str) -> RemoteStub[ObjectT]:
        """See ``contract.Namespace``."""
        check_name("an object", name)
        return RemoteStub(self, ObjectId(self._name, name))

    async def exchange(self, name: str, request: Request) -> Answer:
        """Send a request to an object and return its answer; raises ``OutcomeUnknown`` when none comes."""
        if self._connecting:  # events of this call must reach those who listened before it
            await asyncio.wait(self._connecting)  # which others wait for too, so it must outlive this call
        self._meter.calls += 1
        answer: Answer = ANSWER.decode(await self._binding.call(name, REQUEST.encode(request)))
        if answer.error is not None and answer.error.code == ObjectFailed.code:
            self._meter.failures += 1
        return answer

    def listen(self, to: ObjectId, since: int | None, replay: Callable[[int], Any]) -> EventStream:
        """A stream of an object's events: its catch-up is a call, and what comes live comes over a WebSocket."""
        new_waiter = asyncio.get_running_loop().create_future
        stream = QueuedEventStream(since, replay, new_waiter=new_waiter, on_close=lambda _: self._end(listening))
        listening = _Listening(stream)
        self._listening.add(listening)
        connecting = asyncio.create_task(listening.connect(self._binding, to))
        self._connecting.add(connecting)
        connecting.add_done_callback(self._connecting.discard)
        return stream

    def close(self) -> None:
        """End all streams."""
        for listening in list(self._listening):
            listening.stream.fail(RuntimeClosed("the gateway has stopped"))
            self._end(listening)

    def _end(self, listening: "_Listening") -> None:
        self._listening.discard(listening)
        listening.close()


class _Listening:
    """The WebSocket of one stream."""

    def __init__(self, stream: QueuedEventStream) -> None:
        self.stream = stream
        self._close: Callable[[], None] | None = None
        self._is_closed = False

    async def connect(self, binding: Binding, to: ObjectId) -> None:
        try:
            close = await binding.listen(to.name, LISTEN.encode(Listen(to)), self._receive, self._ended)
        except DurableObjectError as error:
            self.stream.fail(error)
            return
        except Exception as error:
            log.exception("the connection for events of %s/%s failed", to.namespace, to.name)
            self.stream.fail(EventsLost(f"the connection to the object has failed: {error!r}"))
            return
        if self._is_closed:
            close()
        self._close = close

    def close(self) -> None:
        self._is_closed = True
        if self._close is not None:
            self._close()

    def _receive(self, frame: bytes) -> None:
        pushed = EVENTS.decode(frame)
        if isinstance(pushed, EndOfEvents):
            self.stream.fail(DurableObjectError.from_record(pushed.error))
        else:
            self.stream.offer(pushed.events)

    def _ended(self) -> None:
        self.stream.fail(EventsLost("the connection to the object has ended"))


class Gateway:
    """A ``contract.Runtime`` whose objects live elsewhere, such as in a stateless Worker.

    An asynchronous context manager: leaving it ends all streams of events.

    Args:
        bindings: the class of Durable Objects for each namespace, by the namespace's name.
        meter: counts the calls and those that failed; by default a new one. What the objects do, they count themselves.
    """

    def __init__(self, bindings: Mapping[str, Binding], meter: Meter | None = None) -> None:
        self.meter = self._counted = Meter() if meter is None else meter
        self._bindings = bindings
        self._namespaces: dict[str, RemoteNamespace[Any]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for objects in self._namespaces.values():
            objects.close()

    def health(self) -> str | None:
        """See ``contract.Runtime``. It has no data itself, so it has nothing to say."""
        return None

    async def scrub(self) -> str | None:
        """See ``contract.Runtime``; what the objects store is theirs."""
        return "each object keeps rows of what was deleted until it writes over them"

    def namespace(self, name: str, cls: type[ObjectT], config: Struct | None = None) -> Namespace[ObjectT]:
        """See ``contract.Runtime``. The objects compare the configuration at each call, which raises ``ConfigMismatch``."""
        check_namespace(name)
        config = config_for(cls, config)
        if name not in self._bindings:
            raise ValueError(f"no binding is named for the namespace {name!r}")
        found = self._namespaces.get(name)
        if found is None:
            found = self._namespaces[name] = RemoteNamespace(self._bindings[name], name, cls, config, self._counted)
        check_declared(name, (found.cls, found.config), (cls, config))
        return found
