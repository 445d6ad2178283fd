"""An object of ours as a Durable Object of Cloudflare: what Cloudflare calls, in plain Python.

    call ──► ObjectHost ──► CloudflareRuntime ──► the object
                                  └─ sends to others ──► their Durable Objects, by RPC

Each instance of the Durable Object's class hosts the one object that has its name, and with it all objects of classes that have
no binding of their own.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from durable_objects.cloudflare.platform import Binding, Socket, Storage
from durable_objects.cloudflare.runtime import CloudflareRuntime
from durable_objects.cloudflare.sockets import ATTACHMENT, LISTEN, EventSockets
from durable_objects.cloudflare.stub import RemoteNamespace
from durable_objects.config import digest_of
from durable_objects.contract import Namespace, ObjectId, ObjectT
from durable_objects.errors import ConfigMismatch, DurableObjectError, ObjectFailed
from durable_objects.exchange import ANSWER, REQUEST, Answer, Call, Deliver, Request, answer_call, checked
from durable_objects.local_stub import LocalNamespace, LocalStub
from durable_objects.outbox import SentCall


class HostRuntime(CloudflareRuntime):
    """A runtime that has one object of each namespace with a binding, and reaches the others through it.

    Args:
        storage: as for ``CloudflareRuntime``.
        bindings: of the namespaces that have one, by the namespace's name.
        options: those of ``CloudflareRuntime``.
    """

    def __init__(self, storage: Storage, bindings: Mapping[str, Binding], **options: Any) -> None:  # noqa: ANN401 - the base's
        super().__init__(storage, **options)
        self._bindings = bindings
        self._own: str | None = None

    def namespace(self, name: str, cls: type[ObjectT], config: Struct | None = None) -> Namespace[ObjectT]:
        """See ``contract.Runtime``."""
        here = super().namespace(name, cls, config)
        binding = self._bindings.get(name)
        if binding is None:
            return here
        return RemoteNamespace(binding, name, cls, self._declared(name).config, self.meter)

    def declared(self, name: str) -> LocalNamespace[Any]:
        """The objects of a namespace that are here; raises ``ObjectFailed`` when it is not declared."""
        return self._declared(name)

    def own(self, object_id: str) -> None:
        """This is the one object that is here; raises ``ObjectFailed`` when another one is."""
        if self._own is None:
            bound = [found for found in self.disk.objects() if found.partition("/")[0] in self._bindings]
            self._own = bound[0] if bound else object_id
        if self._own != object_id:
            raise ObjectFailed(f"this Durable Object is {self._own}, and not {object_id}")

    def spawn(self, job: Coroutine[Any, Any, None]) -> None:
        """Run ``job`` beside everything else."""
        self._spawn(job)

    async def take(self, sender: str, receiver: str, calls: Sequence[SentCall]) -> int:
        """Take calls that an object elsewhere has sent; see ``outbox.Deliver``."""
        return await super()._deliver(sender, receiver, calls)

    async def _deliver(self, sender: str, receiver: str, calls: Sequence[SentCall]) -> int:
        namespace, _, name = receiver.partition("/")
        binding = self._bindings.get(namespace)
        if binding is None or receiver == self._own:
            return await super()._deliver(sender, receiver, calls)
        request = REQUEST.encode(Deliver(ObjectId(namespace, name), sender, list(calls)))
        try:
            answer = checked(ANSWER.decode(await binding.call(name, request)))
        finally:
            self._plan_soon()
        taken: int = msgspec.json.decode(answer.result, type=int)
        return taken


class ObjectHost:
    """What Cloudflare calls of a Durable Object that hosts one of ours. The first call of a life opens its data.

    Args:
        runtime: with every namespace declared; it has not started yet.
        open_sockets: all WebSockets that the Durable Object has, also from an earlier life.
    """

    def __init__(self, runtime: HostRuntime, open_sockets: Callable[[], Iterable[Socket]]) -> None:
        self.runtime = runtime
        self._open_sockets = open_sockets
        self._loading = asyncio.Lock()
        self._is_loaded = False
        self._sockets: EventSockets | None = None

    async def call(self, encoded: bytes) -> bytes:
        """Answer a request with its result or its error."""
        meter = self.runtime.meter
        meter.requests += 1
        meter.begin()
        try:
            answer = await self._answer(REQUEST.decode(encoded))
        except DurableObjectError as error:
            answer = Answer(error=error.record())
        finally:
            meter.end()
        return ANSWER.encode(answer)

    async def alarm(self) -> None:
        """Run what is due."""
        await self._load()
        await self.runtime.alarm()

    async def connect(self, encoded: bytes, accept: Callable[[], Socket]) -> None:
        """Answer the handshake of a WebSocket, which gets the object's events from now on.

        Raises ``ObjectFailed`` for an object that is not here.
        """
        listen = LISTEN.decode(encoded)
        await self._load()
        self.runtime.meter.requests += 1
        sockets = self._event_sockets(listen.to)
        sockets.add(accept(), listen.since)

    async def _answer(self, request: Request) -> Answer:
        await self._load()
        stub = self._stub(request.to)
        object_id = _id(request.to)
        declared = self.runtime.declared(request.to.namespace)
        if request.config not in (None, digest_of(declared.config)):
            raise ConfigMismatch(f"{object_id} runs with another configuration than this program's")
        if isinstance(request, Call):
            return await answer_call(stub, declared.cls, request)
        if isinstance(request, Deliver):
            taken = await self.runtime.take(request.sender, object_id, request.calls)
            return Answer(Raw(msgspec.json.encode(taken)))
        await stub.settle()
        return Answer()

    def _stub(self, to: ObjectId) -> LocalStub[Any]:
        self.runtime.own(_id(to))
        return self.runtime.declared(to.namespace).get(to.name)

    def _event_sockets(self, to: ObjectId) -> EventSockets:
        stub = self._stub(to)
        if self._sockets is None:
            object_id, runtime = _id(to), self.runtime
            self._sockets = EventSockets(to, stub, seq=lambda: runtime.disk.head(object_id).seq, spawn=runtime.spawn)
            runtime.listeners.add(object_id, self._sockets)
        return self._sockets

    async def _load(self) -> None:
        async with self._loading:
            if self._is_loaded:
                return
            await self.runtime.__aenter__()
            self._is_loaded = True
            for socket in self._open_sockets():
                kept = ATTACHMENT.decode(socket.attachment())
                self._event_sockets(kept.to).resume(socket, kept.position)


def _id(to: ObjectId) -> str:
    return f"{to.namespace}/{to.name}"
