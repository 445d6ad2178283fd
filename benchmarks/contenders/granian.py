"""This product on Granian instead of uvicorn. Run as a program, it is that server."""

import asyncio
import socket
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import uvloop
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from benchmarks.contenders.product import SETTINGS
from benchmarks.failures import Missing
from benchmarks.loads import LOADS
from benchmarks.running import Running, running
from durable_objects.embedded import EmbeddedRuntime
from saywhatwant.settings import load
from saywhatwant.worker import create_worker
from saywhatwant.worker.server import SWITCH_INTERVAL_SECONDS

READY_SECONDS = 0.5


class OnGranian:
    """The same app and runtime in Granian's embedded server."""

    name = "Say What Want, on Granian"
    loads: Collection[str] = frozenset(LOADS)
    stores = True

    @contextmanager
    def start(self, directory: Path) -> Iterator[Running]:
        """See ``contract.Contender``."""
        if not find_spec("granian"):
            raise Missing("a Python package is missing: pip install granian")
        with running(sys.executable, "-m", __name__, variables=SETTINGS | {"SWW_DATA": str(directory)}) as server:
            yield server


def _in_bytes(app: ASGIApp) -> ASGIApp:
    """Pass bodies on as bytes: Granian copies other buffers one byte at a time."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_bytes(message: Message) -> None:
            await send({**message, "body": bytes(message["body"])} if "body" in message else message)

        await app(scope, receive, send_bytes)

    return wrapped


async def _serve() -> None:
    from granian.constants import Interfaces  # noqa: PLC0415 - only the server needs them
    from granian.server.embed import Server  # noqa: PLC0415

    settings = load()
    runtime = EmbeddedRuntime(settings.data)
    app = create_worker(runtime, settings).app
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    async with runtime:
        granian = Server(_in_bytes(app), port=port, interface=Interfaces.ASGINL, log_enabled=False, backlog=1_024)
        say_ready = partial(print, f"ready on http://127.0.0.1:{port}", file=sys.stderr, flush=True)
        asyncio.get_running_loop().call_later(READY_SECONDS, say_ready)
        await granian.serve()


if __name__ == "__main__":
    uvloop.run(_serve())
