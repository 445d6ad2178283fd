"""A process that serves scribes and journals: ``with scribes(node) as served``, to kill it and to start it again."""

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from journal import Journal
from scribe import Scribe

import durable_objects
from durable_objects.restate.node import Node
from durable_objects.restate.objects import RestateObjects, end_process
from durable_objects.restate.ports import free_port
from durable_objects.restate.runtime import RestateRuntime


class Scribes:
    """The process, and what it is known by in the cluster."""

    def __init__(self, node: Node, prefix: str | None = None) -> None:
        self.node = node
        self.prefix = prefix or f"scribes-{secrets.token_hex(4)}"
        self.process: subprocess.Popen[str]
        self.port = free_port()

    def start(self) -> None:
        """Start it, and wait until Restate knows it."""
        sources = [Path(durable_objects.__file__).parent.parent, Path(__file__).parent.parent]
        self.process = subprocess.Popen(
            [sys.executable, __file__, self.prefix, str(self.port), self.node.admin_url],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sources))},
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "registered\n"

    def kill(self) -> None:
        """Send SIGKILL, and wait for its end."""
        self.process.kill()
        self._wait()

    def stop(self) -> int:
        """Send SIGTERM, and wait for its end; returns the exit status."""
        self.process.terminate()
        return self._wait()

    def _wait(self) -> int:
        assert self.process.stdout is not None
        self.process.stdout.close()
        return self.process.wait()

    def gateway(self) -> RestateRuntime:
        """A gateway to the scribes."""
        return RestateRuntime([self.node.ingress_url], prefix=self.prefix)


@contextmanager
def scribes(node: Node, prefix: str | None = None) -> Iterator[Scribes]:
    """Scribes, by default of a prefix of their own; their process is killed at the end."""
    served = Scribes(node, prefix)
    served.start()
    try:
        yield served
    finally:
        served.kill()


async def main(prefix: str, port: int, admin_url: str) -> None:
    """Serve until SIGTERM; two minutes at most, if the test that wanted it does not end it."""
    objects = RestateObjects(prefix)
    objects.namespace("Scribe", Scribe)
    objects.namespace("Journal", Journal)
    ready = asyncio.Event()
    async with asyncio.timeout(120):
        serving = asyncio.create_task(objects.serve("127.0.0.1", port, ready=ready.set))
        await ready.wait()
        await objects.register([admin_url], f"http://127.0.0.1:{port}/", force=True)
        print("registered", flush=True)  # noqa: T201 - to the process that started this one
        await serving


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
    end_process()
