"""The border to Cloudflare: what only exists in a Python Worker. Everything else of this package runs on any Python.

Values that come from JavaScript are proxies; none goes further than this module. JavaScript has floats only, so a statement's
integers are those, and bytes come back as memory that is JavaScript's.

    Counter = durable_object(CLASSES)                      # in main.py, for the class that wrangler.jsonc names

    async def fetch(self, request):                            # of a WorkerEntrypoint
        counter = gateway(self.env, CLASSES).namespace("Counter", counter.Counter).get("visits")
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs, quote, urlsplit

import js
from msgspec import Struct
from pyodide.ffi import JsException, create_once_callable, create_proxy, to_js
from workers import DurableObject as CloudflareObject
from workers import Response, python_to_rpc

from durable_objects.cloudflare.object import HostRuntime, ObjectHost
from durable_objects.cloudflare.platform import Result, Value
from durable_objects.cloudflare.stub import Gateway
from durable_objects.contract import DurableObject
from durable_objects.errors import DurableObjectError, OutcomeUnknown

log = logging.getLogger("durable_objects")

_LISTEN: Final = "listen"
"""The parameter of the URL with which a WebSocket asks for events: a ``sockets.Listen`` as JSON."""
_CLOSED: Final = 1000
"""The code of a WebSocket that ends as it should."""


class Class(Struct, frozen=True):
    """A namespace's class and its configuration, and the name of its binding in ``env``; None if it has none."""

    cls: type[DurableObject]
    binding: str | None = None
    config: Struct | None = None


def gateway(env: Any, classes: Mapping[str, Class]) -> Gateway:  # noqa: ANN401 - the SDK has no types
    """A ``contract.Runtime`` for a Worker, whose objects live in Durable Objects.

    Args:
        env: the Worker's.
        classes: by the namespace's name.
    """
    return Gateway(_bindings(env, classes))


class HostedObject(CloudflareObject):  # type: ignore[misc] # the SDK has no types
    """A Durable Object that hosts the object which has its name; see ``durable_object``."""

    classes: ClassVar[Mapping[str, Class]]

    def __init__(self, ctx: Any, env: Any) -> None:  # noqa: ANN401 - the SDK has no types
        super().__init__(ctx, env)
        self._host: ObjectHost | None = None

    @property
    def host(self) -> ObjectHost:
        """What it is in plain Python."""
        # Not made in the constructor: after an error there, Cloudflare keeps the object as it is, of no use to anybody.
        if self._host is None:
            runtime = HostRuntime(JsStorage(self.ctx), _bindings(self.env, self.classes))
            for name, declared in self.classes.items():
                runtime.namespace(name, declared.cls, declared.config)
            self._host = ObjectHost(runtime, lambda: map(JsSocket, self.ctx.getWebSockets()))
        return self._host

    async def call(self, request: Any) -> bytes:  # noqa: ANN401 - memory of JavaScript
        """The RPC of all callers: a request and its answer."""
        return await self.host.call(bytes(request))

    async def alarm(self, *_: object) -> None:
        """Run what is due."""
        await self.host.alarm()

    async def fetch(self, request: Any) -> Any:  # noqa: ANN401 - the SDK has no types
        """The handshake of a WebSocket that gets events."""
        client, server = js.WebSocketPair.new().object_values()

        def accept() -> JsSocket:
            self.ctx.acceptWebSocket(server)
            return JsSocket(server)

        try:
            [listen] = parse_qs(urlsplit(request.url).query)[_LISTEN]
            await self.host.connect(listen.encode(), accept)
        except (DurableObjectError, KeyError, ValueError) as error:
            return Response(str(error), status=400)
        return Response(None, status=101, web_socket=client)

    async def webSocketMessage(self, *_: object) -> None:  # noqa: N802 - Cloudflare's name
        """Clients of events have nothing to say."""

    async def webSocketClose(self, socket: Any, *_: object) -> None:  # noqa: ANN401, N802 - Cloudflare's name
        """Answer a client that closes its socket; the next event finds that it has ended."""
        _close(socket, _CLOSED)


def durable_object(namespaces: Mapping[str, Class]) -> type[HostedObject]:
    """A Durable Object's class, each instance of which hosts the object that has its name.

    Args:
        namespaces: the classes of this object and of all that it sends calls to, by the namespace's name. Those without a
            binding live in the storage of the object that sends to them.
    """

    class Hosted(HostedObject):
        classes = namespaces

    return Hosted


def _bindings(env: Any, classes: Mapping[str, Class]) -> dict[str, "JsBinding"]:  # noqa: ANN401 - the SDK has no types
    named = {name: declared.binding for name, declared in classes.items()}
    return {name: JsBinding(getattr(env, binding)) for name, binding in named.items() if binding is not None}


class JsStorage:
    """``ctx.storage`` as a ``platform.Storage``.

    Args:
        ctx: what the SDK gives to a ``DurableObject``'s constructor.
    """

    def __init__(self, ctx: Any) -> None:  # noqa: ANN401 - Cloudflare's
        # The SDK's wrapper would convert each call's arguments and results; this is the object itself.
        self._storage = python_to_rpc(ctx.storage)
        self._sql = self._storage.sql

    def exec(self, statement: str, *bindings: Value) -> Result:
        """See ``platform.Storage``."""
        cursor = self._sql.exec(statement, *map(_to_js, bindings))
        rows = cursor.raw().toArray().to_py()
        return Result([tuple(map(_from_js, row)) for row in rows], int(cursor.rowsRead), int(cursor.rowsWritten))

    def transaction(self, closure: Callable[[], None]) -> None:
        """See ``platform.Storage``."""
        self._storage.transactionSync(create_once_callable(closure))

    def set_alarm(self, at: int) -> None:
        """See ``platform.Storage``."""
        self._storage.setAlarm(at)  # Cloudflare writes it with the rows of this turn

    async def get_alarm(self) -> int | None:
        """See ``platform.Storage``."""
        at = await self._storage.getAlarm()
        return int(at) if isinstance(at, int | float) else None


class JsSocket:
    """A hibernating WebSocket as a ``platform.Socket``."""

    def __init__(self, socket: Any) -> None:  # noqa: ANN401 - Cloudflare's
        self._socket = socket

    def send(self, data: bytes) -> None:
        """See ``platform.Socket``."""
        try:
            self._socket.send(to_js(data))
        except JsException as error:
            raise ConnectionError(str(error)) from None

    def close(self, code: int) -> None:
        """See ``platform.Socket``."""
        _close(self._socket, code)

    def attach(self, data: bytes) -> None:
        """See ``platform.Socket``."""
        self._socket.serializeAttachment(to_js(data))

    def attachment(self) -> bytes:
        """See ``platform.Socket``."""
        return bytes(self._socket.deserializeAttachment().to_py())


class JsBinding:
    """A namespace of Durable Objects in ``env`` as a ``platform.Binding``."""

    def __init__(self, namespace: Any) -> None:  # noqa: ANN401 - the SDK's
        self._namespace = namespace

    async def call(self, name: str, request: bytes) -> bytes:
        """See ``platform.Binding``."""
        try:
            return bytes(await self._namespace.getByName(name).call(request))
        except JsException as error:
            raise OutcomeUnknown(f"the Durable Object {name!r} did not answer: {error}") from None

    async def listen(
        self, name: str, request: bytes, receive: Callable[[bytes], None], ended: Callable[[], None]
    ) -> Callable[[], None]:
        """See ``platform.Binding``."""
        url = f"https://object/?{_LISTEN}={quote(request)}"
        try:
            response = await self._namespace.getByName(name).fetch(url, headers={"Upgrade": "websocket"})
        except (JsException, OSError) as error:
            raise OutcomeUnknown(f"the Durable Object {name!r} did not answer: {error}") from None
        socket = response.js_object.webSocket
        if not socket:
            raise OutcomeUnknown(f"the Durable Object {name!r} refused a WebSocket: {await response.text()}")
        socket.binaryType = "arraybuffer"
        socket.addEventListener("message", create_proxy(lambda event: receive(event.data.to_bytes())))
        socket.addEventListener("close", create_proxy(lambda _: ended()))
        socket.accept()
        return lambda: _close(socket, _CLOSED)


def _close(socket: Any, code: int) -> None:  # noqa: ANN401 - Cloudflare's
    try:
        socket.close(code)
    except JsException as error:
        log.debug("a WebSocket had ended before it was closed: %s", error)


def _to_js(value: Value) -> Any:  # noqa: ANN401 - a proxy
    return to_js(value) if isinstance(value, bytes) else value


def _from_js(value: Any) -> int | bytes:  # noqa: ANN401 - a value of JavaScript
    return bytes(value) if isinstance(value, memoryview) else int(value)
