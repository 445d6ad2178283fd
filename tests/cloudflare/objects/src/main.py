"""The object of the contract's tests as a Durable Object, and a Worker that calls it: a name, a method and its arguments."""

from typing import Any

import msgspec
from probe import Probe, Rules
from workers import Response, WorkerEntrypoint

from durable_objects import DurableObjectError
from durable_objects.cloudflare.border import Class, durable_object, gateway

CLASSES = {"Probe": Class(Probe, "PROBE", Rules(step=2))}

Hosted: Any = durable_object(CLASSES)


class HostedProbe(Hosted):
    """Also says what its meter has counted in this life."""

    async def counted(self) -> Any:
        """Commits, rows written, rows read, alarms set."""
        meter = self.host.runtime.meter
        return [meter.commits, meter.rows_written, meter.rows_read, meter.alarms_set]


class Default(WorkerEntrypoint):
    """Its requests are JSON: the object's name, and a method with its arguments; ``events`` takes a position and a number."""

    async def fetch(self, request: Any) -> Any:
        """The result of a call as JSON, or the error's record with status 409; a WebSocket goes to the object."""
        if request.headers.get("upgrade") == "websocket":
            return await self.env.PROBE.getByName("one").fetch(request)
        if request.method != "POST":
            return Response("ready")
        name, method, *arguments = msgspec.json.decode(await request.text())
        async with gateway(self.env, CLASSES) as runtime:
            probe = runtime.namespace("Probe", Probe, Rules(step=2)).get(name)
            try:
                if method == "events":
                    found = await self._events(probe, *arguments)
                elif method == "keyed":
                    key, method, *arguments = arguments
                    found = await probe.options(idempotency_key=key).call(getattr(Probe, method), *arguments)
                elif method == "settle":
                    found = await probe.settle()
                elif method == "counted":
                    found = await self.env.PROBE.getByName(name).counted()
                else:
                    found = await probe.call(getattr(Probe, method), *arguments)
            except DurableObjectError as error:
                return Response(msgspec.json.encode(error.record()).decode(), status=409)
        return Response(msgspec.json.encode(found).decode())

    async def _events(self, probe: Any, since: int, number: int) -> list[Any]:
        async with probe.events(since=since) as events:
            return [await anext(events) for _ in range(number)]
