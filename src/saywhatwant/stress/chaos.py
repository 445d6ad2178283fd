"""Chaos: the test's own server and bots, which are killed with SIGKILL and restarted."""

import time
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from msgspec import Struct

from saywhatwant.client import ServerUnavailable
from saywhatwant.stress.program import Program

LEASE_SECONDS = 3
"""A message whose bot was killed can be claimed again after this time."""
BOTS = 2
TRIES = 3
"""Attempts to start the server: another process may hold its port for a moment after a kill."""


class Kill(Struct, frozen=True):
    """One SIGKILL, at ``at_ms`` (milliseconds since 1970)."""

    at_ms: int
    name: str


class Chaos:
    """A server and two bots with their own data directory. An asynchronous context manager that stops them.

    ``entities`` is their file of entities; None is the one that ships.
    """

    def __init__(self, entity: str, entities: Path | None = None) -> None:
        self.url = ""
        self.kills: list[Kill] = []
        self._scratch = TemporaryDirectory(prefix="sww-stress-", ignore_cleanup_errors=True)
        self._entity = entity
        self._entities: dict[str, object] = {} if entities is None else {"entities": entities.absolute()}
        self._server: Program
        self._bots: list[Program] = []

    async def __aenter__(self) -> Self:
        """Start them. Raises ``ServerUnavailable`` when the server does not become ready."""
        directory = Path(self._scratch.name)
        settings: dict[str, object] = {"rate_limit": 0, "lease_seconds": LEASE_SECONDS, "max_attempts": 100}
        settings |= {"retention": 1_000_000} | self._entities
        self._server = Program("server", directory, ["serve", "--data", str(directory / "data")], settings)
        try:
            await self._start_server("127.0.0.1:0")
            for number in range(1, BOTS + 1):
                name = f"bot {number}"
                arguments = ["bot", "--url", self.url, "--entity", self._entity, "--worker-id", f"stress-{number}"]
                self._bots.append(Program(name, directory, arguments, self._entities))
                await self._bots[-1].start()
            self._targets = cycle([self._server, self._bots[0], self._server, self._bots[1]])
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._end()

    async def kill_next(self) -> None:
        """Kill and restart the next of server, bot 1, server, bot 2. Raises ``ServerUnavailable`` if that fails."""
        target = next(self._targets)
        if not target.is_running:
            raise ServerUnavailable(f"{target.name} ended by itself: {target.stderr.strip()}")
        self.kills.append(Kill(time.time_ns() // 1_000_000, target.name))
        target.kill()
        await target.ended()
        if target is self._server:
            await self._start_server(self.url.removeprefix("http://"))
        else:
            await target.start()

    async def _start_server(self, bind: str) -> None:
        for _ in range(TRIES):
            await self._server.start("--bind", bind)
            with suppress(TimeoutError, ServerUnavailable):
                self.url = await self._server.ready()
                return
            self._server.kill()
            await self._server.ended()
        raise ServerUnavailable(f"the server did not become ready: {self._server.stderr.strip()}")

    async def _end(self) -> None:
        programs = [*self._bots, self._server]
        for program in programs:
            program.kill()
        for program in programs:
            await program.ended()
        self._scratch.cleanup()
