"""This product on uvicorn's own HTTP and WebSocket protocols. Run as a program, it is that server.

The difference to ``product`` is what our connection handling costs or saves; it has none of our bounds on connections.
"""

import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

from benchmarks.contenders.product import NAME, SETTINGS
from benchmarks.loads import LOADS
from benchmarks.running import Running, running
from durable_objects.embedded import EmbeddedRuntime
from saywhatwant.commands.serve import print_ready
from saywhatwant.settings import load
from saywhatwant.worker import create_worker
from saywhatwant.worker.server import Server, listen


class OnPlainUvicorn:
    """The same app, runtime and settings; uvicorn's stock protocols."""

    name = f"{NAME}, on plain uvicorn"
    loads: Collection[str] = frozenset(LOADS)
    stores = True

    @contextmanager
    def start(self, directory: Path) -> Iterator[Running]:
        """See ``contract.Contender``."""
        variables = SETTINGS | {"SWW_BIND": "127.0.0.1:0", "SWW_DATA": str(directory)}
        with running(sys.executable, "-m", __name__, variables=variables) as server:
            yield server


async def _serve() -> None:
    settings = load()
    async with EmbeddedRuntime(settings.data) as runtime:
        server = Server(create_worker(runtime, settings), settings, on_ready=print_ready)
        server.config.http = "httptools"
        server.config.ws = "websockets-sansio"
        with listen(settings) as sock:
            await server.serve([sock])


if __name__ == "__main__":
    uvloop.run(_serve())
