"""A Durable Object that counts, and passes on what it is sent over sockets. It is written for Cloudflare's SDK as it is."""

from typing import Any

import js
import msgspec
from pyodide.ffi import create_once_callable, to_js
from workers import DurableObject, Response, WorkerEntrypoint


class Probe(DurableObject):
    """Its state is in memory and in its storage."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self.sql = ctx.storage.sql
        self.sql.exec("CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, count INTEGER)")
        self.calls = 0

    def add(self, name: Any, much: int = 1) -> Any:
        """Add to a count and return it."""
        self.calls += 1
        self.sql.exec("INSERT INTO counts VALUES (?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count", name, much)
        return self.count(name)

    def count(self, name: Any) -> Any:
        """A count, 0 if it is none."""
        rows = self.sql.exec("SELECT count FROM counts WHERE name = ?", name).toArray()
        return int(rows[0]["count"]) if rows else 0

    def seen(self) -> Any:
        """How many calls this instance has had."""
        return self.calls

    def rolled_back(self, name: Any) -> Any:
        """Add to a count in a transaction that fails."""

        def change() -> None:
            self.add(name, 100)
            raise ValueError("no")

        try:
            self.ctx.storage.transactionSync(create_once_callable(change))
        except Exception:  # noqa: BLE001 - it went through JavaScript
            return self.count(name)
        return None

    def kept(self, value: Any) -> Any:
        """Bytes that went through the key-value storage."""
        self.ctx.storage.kv.put("bytes", value)
        return bytes(self.ctx.storage.kv.get("bytes"))

    def billed(self, statement: Any, sizes: Any) -> Any:
        """Run a statement: a size is so many bytes, and below 0 a number, -1 for 0. The rows read and written."""
        cursor = self.sql.exec(statement, *(-1 - size if size < 0 else to_js(bytes(int(size))) for size in sizes))
        cursor.toArray()
        return [cursor.rowsRead, cursor.rowsWritten]

    def fails(self) -> Any:
        """Never return."""
        raise LookupError("nothing there")

    async def arm(self, milliseconds: Any) -> Any:
        """Set an alarm."""
        await self.ctx.storage.setAlarm(js.Date.now() + milliseconds)

    async def alarm(self, _info: Any) -> Any:
        """Count alarms."""
        self.add("alarms")

    async def fetch(self, request: Any) -> Any:
        """Accept a socket; else, what a client asks for: a method and its arguments as JSON."""
        if request.headers.get("upgrade") == "websocket":
            client, server = js.WebSocketPair.new().object_values()
            self.ctx.acceptWebSocket(server)
            server.serializeAttachment(to_js([0]))
            return Response(None, status=101, web_socket=client)
        return Response(f"{self.env.GREETING} {request.url}")

    async def webSocketMessage(self, _socket: Any, message: Any) -> Any:  # noqa: N802 - Cloudflare's name
        """Tell all sockets, each with the number of messages that it has got; and what is in memory."""
        self.calls += 1
        for each in self.ctx.getWebSockets():
            (count,) = each.deserializeAttachment()
            each.serializeAttachment(to_js([count + 1]))
            each.send(f"{message} {count + 1} {self.calls}")

    async def webSocketClose(self, _socket: Any, code: Any, *_: Any) -> Any:  # noqa: N802 - as above
        """Count closed sockets."""
        self.add(f"closed {code}")


class Default(WorkerEntrypoint):
    """Passes requests on to one object, as calls where they have a body."""

    async def fetch(self, request: Any) -> Any:
        """See ``WorkerEntrypoint``."""
        stub = self.env.PROBE.getByName("probe")
        if request.method != "POST":
            return await stub.fetch(request)
        method, *arguments = msgspec.json.decode(await request.text())
        try:
            found = await getattr(stub, method)(*(a.encode() if method == "kept" else a for a in arguments))
        except Exception as error:  # noqa: BLE001 - it went through JavaScript
            return Response(str(error), status=500)
        return Response(msgspec.json.encode(bytes(found).decode() if method == "kept" else found).decode())
