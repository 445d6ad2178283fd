"""Durable Objects that are created when they are called, and their bindings, in this process."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from fake_storage import FakeStorage
from msgspec import Struct

from durable_objects import DurableObject, Meter, OutcomeUnknown
from durable_objects.cloudflare.object import HostRuntime, ObjectHost

Classes = Mapping[str, tuple[type[DurableObject], Struct | None]]
"""What is deployed, by namespace: a class and its configuration."""


class FakeSocket:
    """Both ends of a WebSocket."""

    def __init__(self, receive: Callable[[bytes], None], ended: Callable[[], None]) -> None:
        self._receive = receive
        self._ended = ended
        self._attached = b""
        self.is_open = True

    def send(self, data: bytes) -> None:
        if not self.is_open:
            raise ConnectionError("the socket has ended")
        assert type(data) is bytes
        asyncio.get_running_loop().call_soon(self._receive, data)

    def close(self, code: int = 1000) -> None:
        del code
        if self.is_open:
            self.is_open = False
            asyncio.get_running_loop().call_soon(self._ended)

    def attach(self, data: bytes) -> None:
        assert type(data) is bytes
        assert len(data) <= 2_048
        self._attached = data

    def attachment(self) -> bytes:
        return self._attached


class FakeObject:
    """One Durable Object: its storage and its sockets, and what is in memory while it is awake."""

    def __init__(self, platform: "FakePlatform") -> None:
        self._platform = platform
        self.storage = FakeStorage()
        self.sockets: list[FakeSocket] = []
        self._host: ObjectHost | None = None

    @property
    def host(self) -> ObjectHost:
        if self._host is None:
            self._host = self._platform.new_host(self)
        return self._host

    def hibernate(self) -> None:
        """Forget what is in memory; the sockets stay."""
        assert self.host.runtime.commits.idle
        self._host = None

    async def end(self) -> None:
        """Forget what is in memory, once nothing is under way; its sockets end."""
        host, self._host = self._host, None
        if host is not None:
            await host.runtime.__aexit__(None, None, None)


class FakePlatform:
    """All Durable Objects of a Worker.

    Attributes:
        meter: of all objects.
        unbound: namespaces without a binding.
        loses_answer_of: names of objects whose next answer gets lost.
    """

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self.classes: Classes = {}
        self.objects: dict[tuple[str, str], FakeObject] = {}
        self.meter = Meter()
        self.unbound: set[str] = set()
        self.loses_answer_of: set[str] = set()

    def get(self, namespace: str, name: str) -> FakeObject:
        return self.objects.setdefault((namespace, name), FakeObject(self))

    def bindings(self) -> dict[str, "FakeBinding"]:
        return {name: FakeBinding(self, name) for name in self.classes if name not in self.unbound}

    def new_host(self, durable_object: FakeObject) -> ObjectHost:
        options = {"commit_interval_ms": 1, "clock": self._now, "meter": self.meter}
        runtime = HostRuntime(durable_object.storage, self.bindings(), **options)
        for name, (cls, config) in self.classes.items():
            runtime.namespace(name, cls, config)
        return ObjectHost(runtime, lambda: [socket for socket in durable_object.sockets if socket.is_open])

    def due(self) -> list[Any]:
        """Coroutines that call the alarms which are due."""
        due = [each for each in self.objects.values() if each.storage.alarm is not None and each.storage.alarm <= self._now()]
        for each in due:
            each.storage.alarm = None
        return [each.host.alarm() for each in due]


class FakeBinding:
    """A ``platform.Binding``."""

    def __init__(self, platform: FakePlatform, namespace: str) -> None:
        self._platform = platform
        self._namespace = namespace

    async def call(self, name: str, request: bytes) -> bytes:
        assert type(request) is bytes
        await asyncio.sleep(0)
        answer = await self._platform.get(self._namespace, name).host.call(request)
        await asyncio.sleep(0)
        if name in self._platform.loses_answer_of:
            self._platform.loses_answer_of.remove(name)
            raise OutcomeUnknown("the answer was lost")
        return answer

    async def listen(
        self, name: str, request: bytes, receive: Callable[[bytes], None], ended: Callable[[], None]
    ) -> Callable[[], None]:
        durable_object = self._platform.get(self._namespace, name)

        def accept() -> FakeSocket:
            socket = FakeSocket(receive, ended)
            durable_object.sockets.append(socket)
            return socket

        await asyncio.sleep(0)
        await durable_object.host.connect(request, accept)
        return durable_object.sockets[-1].close
