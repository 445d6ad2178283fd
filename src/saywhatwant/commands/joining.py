"""The start of a server that is one of many processes: it listens, and serves once the others answer.

Where another server has just ended on the same socket, its clients wait in the queue for a while: they are refused nothing
for a restart.
"""

import asyncio
from collections.abc import Awaitable, Callable

import click

from saywhatwant.worker import Worker
from saywhatwant.worker.gate import Gate
from saywhatwant.worker.server import Server

LOOK_SECONDS = 1.0
"""How often what it waits for is looked at."""
PATIENCE_SECONDS = 5.0
"""How long clients wait in the queue of a socket that was handed over, before they are told what the server waits for."""


class Joining:
    """Keeps the clients of a server out until its runtime can be used.

    Args:
        worker: what it serves then.
        enter: returns once the runtime can be used; its errors end the server.
        waits_for: why it cannot be used yet, for people.
        on_ready: called with the server's URL once it can.
    """

    def __init__(
        self,
        worker: Worker,
        enter: Callable[[], Awaitable[None]],
        waits_for: Callable[[], str],
        on_ready: Callable[[str], None],
    ) -> None:
        self._gate = Gate(worker.app, waits_for)
        self.worker = worker._replace(app=self._gate)
        """What the server serves meanwhile."""
        self._enter = enter
        self._waits_for = waits_for
        self._on_ready = on_ready
        self._url = ""
        self._listens = asyncio.Event()
        self._entering: asyncio.Task[None]

    def begin(self) -> asyncio.Task[None]:
        """Enter the runtime; the task that is returned does so. Call it once, before anything else."""
        self._entering = asyncio.create_task(self._enter_aloud())
        return self._entering

    async def wait(self, seconds: float) -> None:
        """Return when the runtime can be used, or after so many seconds; raises what hinders it for good."""
        done, _ = await asyncio.wait([self._entering], timeout=seconds)
        for entering in done:
            entering.result()

    def listens(self, url: str) -> None:
        """The server listens, at this URL."""
        self._url = url
        self._listens.set()

    async def serve(self, server: Server, run: Awaitable[None]) -> None:
        """Run the server until it is stopped; raises what has ended it."""
        opening = asyncio.create_task(self._open(server))
        try:
            await run
        finally:
            opening.cancel()
            self._entering.cancel()
            await asyncio.wait([opening, self._entering])
        if not opening.cancelled():
            opening.result()

    async def _open(self, server: Server) -> None:
        try:
            await self._entering
        except Exception:
            server.should_exit = True
            raise
        await self._listens.wait()
        self._on_ready(self._url)

    async def _enter_aloud(self) -> None:
        telling = asyncio.create_task(self._tell())
        try:
            await self._enter()
        finally:
            telling.cancel()
        self._gate.open()

    async def _tell(self) -> None:
        told: set[str] = set()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if (reason := self._waits_for()) not in told:
                click.echo(f"sww: waiting for the cluster: {reason}", err=True)
                told.add(reason)
