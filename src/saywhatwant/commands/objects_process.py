"""``sww objects`` as a child of this process: started again when it ends, and gone with this process, however that ends."""

import asyncio
import os
import signal
import sys
from asyncio import StreamReader
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import suppress
from types import TracebackType
from typing import Self, cast

import click

from durable_objects.restate.guarded import GUARD
from durable_objects.restate.ports import is_free
from saywhatwant.addresses import host_and_port
from saywhatwant.errors import ExpectedError
from saywhatwant.settings import PREFIX, Settings, as_environment

RESTART_SECONDS = 0.2
"""Pause before it is started again."""
STOP_SECONDS = 10.0
"""How long it may take to stop before it is killed."""
ADDRESS_SECONDS = 10.0
"""How long the address may stay taken by the process that was there before: it ends with its parent, but somewhat later."""
_LOOK_SECONDS = 0.02
_READY = "ready on "
_RUN = "from saywhatwant.commands import main; main()"


class ObjectsEnded(ExpectedError):
    """The objects' process ended before it was ready. It has written why."""


async def lines_of(reader: StreamReader) -> AsyncIterator[str]:
    """All lines. One that is longer than the reader takes is left out: unread, it would hold up the process that writes."""
    while True:
        try:
            line = await reader.readline()
        except ValueError:
            yield "(a line that is too long to be shown)"
            continue
        if not line:
            return
        yield line.decode(errors="replace").rstrip()


class ObjectsProcess:
    """The process with a wall's objects. An asynchronous context manager, which is entered once they are registered.

    What it writes goes to standard error, except its ready line.

    Args:
        settings: those of the wall.
        options: those of ``sww objects``.
    """

    def __init__(self, settings: Settings, *options: str) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        self._environment = inherited | as_environment(settings)
        # Without site packages: the guard needs none, and starts at once.
        self._command = [*GUARD, sys.executable, "-c", _RUN, "objects", *options]
        self._host, self._port = host_and_port(settings.objects_bind)
        self._process: Process
        self._first_start: asyncio.Future[None]
        self._keeping: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._first_start = loop.create_future()
        await self._address_is_free()
        await self._start()
        self._keeping = loop.create_task(self._keep())
        try:
            await self._first_start
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._keeping.cancel()
        await asyncio.wait([self._keeping])
        self._signal(signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        self._signal(signal.SIGKILL)
        await self._process.wait()

    async def _address_is_free(self) -> None:
        """Return once it is, or after a while: then the process says what is wrong."""
        for _ in range(round(ADDRESS_SECONDS / _LOOK_SECONDS)):
            if is_free(self._port, self._host):
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def _start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            env=self._environment,
            stdin=PIPE,  # the guard's leash
            stderr=PIPE,
            start_new_session=True,  # a process group, and no Ctrl-C of this terminal
        )

    async def _keep(self) -> None:
        """Pass on what it writes, and start it again when it ends; not if it never was ready."""
        while True:
            async for last in lines_of(cast(StreamReader, self._process.stderr)):
                if not last.startswith(_READY):
                    click.echo(last, err=True)
                elif not self._first_start.done():
                    self._first_start.set_result(None)
            status = await self._process.wait()
            if not self._first_start.done():
                self._first_start.set_exception(ObjectsEnded(f"the objects' process has ended with status {status}"))
                return
            click.echo("sww: the objects' process has ended, and is started again", err=True)
            await self._start_again()

    async def _start_again(self) -> None:
        """Also where the machine cannot start another process now: it is tried until it can."""
        while True:
            await asyncio.sleep(RESTART_SECONDS)
            try:
                await self._start()
            except OSError as error:
                click.echo(f"sww: the objects' process cannot be started: {error}; trying again", err=True)
            else:
                return

    def _signal(self, number: int) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
