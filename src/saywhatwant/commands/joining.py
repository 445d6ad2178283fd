"""The start of a server that is one of many processes: it listens at once, and serves once the others answer."""

import asyncio
from collections.abc import Awaitable, Callable

import click

from saywhatwant.worker import Worker
from saywhatwant.worker.gate import Gate
from saywhatwant.worker.server import Server

LOOK_SECONDS = 1.0
"""How often what it waits for is looked at."""


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

    def listens(self, url: str) -> None:
        """The server listens: begin to say what it waits for."""
        self._url = url
        self._listens.set()

    async def serve(self, server: Server, run: Awaitable[None]) -> None:
        """Run the server until it is stopped; raises what has ended it."""
        joining = asyncio.create_task(self._join(server))
        try:
            await run
        finally:
            joining.cancel()
            await asyncio.wait([joining])
        if not joining.cancelled():
            joining.result()

    async def _join(self, server: Server) -> None:
        await self._listens.wait()
        telling = asyncio.create_task(self._tell())
        try:
            await self._enter()
        except Exception:
            server.should_exit = True
            raise
        finally:
            telling.cancel()
        self._gate.open()
        self._on_ready(self._url)

    async def _tell(self) -> None:
        told: set[str] = set()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if (reason := self._waits_for()) not in told:
                click.echo(f"sww: waiting for the cluster: {reason}", err=True)
                told.add(reason)
