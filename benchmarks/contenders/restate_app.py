"""The wall as a plain Restate service: each post is a call of its own, which stores one message.

``python -m benchmarks.contenders.restate_app PORT`` serves it on loopback.
"""

import asyncio
import json
import sys
from typing import Any

import restate
import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from benchmarks.loads import RETENTION

NAME = "PlainWall"

# Lazy, since each eager call would carry all messages.
wall = restate.VirtualObject(NAME, enable_lazy_state=True)


@wall.handler()
async def post(ctx: restate.ObjectContext, body: dict[str, Any]) -> dict[str, Any]:
    """Put a message on the wall; remove the one beyond ``RETENTION``."""
    last = await ctx.get("last", type_hint=dict) or {"seq": 0, "timestamp": 0}
    seq = last["seq"] + 1
    timestamp = max(int(await ctx.time() * 1_000), last["timestamp"] + 1)
    message = {
        "id": str(ctx.uuid()),
        "timestamp": timestamp,
        "text": body["text"],
        "username": body["username"],
        "color": body["color"],
        "botParams": {"status": "pending", "priority": 50, "entity": body["botParams"]["entity"]},
    }
    ctx.set(f"message-{seq}", message)
    if seq > RETENTION:
        ctx.clear(f"message-{seq - RETENTION}")
    ctx.set("last", {"seq": seq, "timestamp": timestamp})
    return {"id": message["id"], "timestamp": timestamp, "status": "success"}


@wall.handler(kind="shared")
async def stats(ctx: restate.ObjectSharedContext) -> dict[str, int]:
    """How many posts were stored."""
    last = await ctx.get("last", type_hint=dict)
    return {"seq": last["seq"] if last else 0}


async def main() -> None:
    """Serve until a signal."""
    port = int(sys.argv[1])
    server = Server(restate.app([wall]), port=port, interface=Interfaces.ASGINL, http=HTTPModes.http2)
    serving = asyncio.create_task(server.serve())
    print(json.dumps({"port": port}), file=sys.stderr, flush=True)
    await serving


if __name__ == "__main__":
    uvloop.run(main())
