"""``sww serve --restart-on HUP``: a parent of the server, which replaces it without losing a request.

It holds the listening socket, and starts a server as systemd does (see ``service_manager``). On the signal it starts the next
one, which loads its code while the first one serves. Then the first one is asked to stop: it answers what has begun to arrive,
gives its other connections to the parent, and gives up the data. The next one gets the connections, takes the data and serves.
A next server that cannot start, or cannot load its code, such as during or after half an upgrade, changes nothing.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from saywhatwant.commands.service_manager import KEPT, LAST, LOADED, MAX_DESCRIPTORS, MORE, PARENT, ServiceManager
from saywhatwant.worker.handover import Handover

STOP_SECONDS = 60.0
"""Seconds that a server may take to stop; then it is killed, which loses nothing but its connections."""
MAX_NOTIFICATION_BYTES = 4_096


class Child:
    """One server, which loads its code and then waits for ``go``."""

    def __init__(self, parent: "ServerParent", directory: Path) -> None:
        self._parent = parent
        self._address = directory / str(len(list(directory.iterdir())))
        self._notifications = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notifications.bind(str(self._address))
        self._notifications.settimeout(0)
        self._ours, self._theirs = socket.socketpair()
        self.loaded = asyncio.Event()
        self.ended: asyncio.Task[int]

    async def start(self, command: Sequence[str], listening: Sequence[socket.socket]) -> None:
        """Start it. Raises ``OSError`` if there can be no such process now; then nothing of it is left."""
        names = ["wall"] * len(listening) + [PARENT]
        descriptors = [sock.fileno() for sock in (*listening, self._theirs)]
        variables = {
            "LISTEN_FDS": str(len(names)),
            "LISTEN_FDNAMES": ":".join(names),
            "NOTIFY_SOCKET": str(self._address),
            "FDSTORE": "1",  # more than none
        }
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "saywhatwant.commands.launch", ",".join(map(str, descriptors)), *command),
                env=os.environ | variables,
                pass_fds=descriptors,
                process_group=0,  # signals of the terminal are for the parent, which passes on what it means
            )
        except OSError:
            for sock in (self._notifications, self._ours, self._theirs):
                sock.close()
            raise
        asyncio.get_running_loop().add_reader(self._notifications, self._take)
        self._theirs.close()
        self.ended = asyncio.create_task(self._end())

    def go(self, connections: Sequence[socket.socket]) -> None:
        """It may take the data, and goes on with these connections."""
        while connections:
            some, connections = connections[:MAX_DESCRIPTORS], connections[MAX_DESCRIPTORS:]
            socket.send_fds(self._ours, [MORE], [connection.fileno() for connection in some])
            for connection in some:
                connection.close()
        self._ours.sendall(LAST)

    async def stop(self) -> int:
        """Ask it to stop, and return its exit status."""
        if not self.ended.done():
            self._process.terminate()
        done, _ = await asyncio.wait([self.ended], timeout=STOP_SECONDS)
        if not done:
            click.echo(f"the server has not stopped within {STOP_SECONDS:g} seconds, and is killed", err=True)
            self._process.kill()
        return await self.ended

    async def _end(self) -> int:
        status = await self._process.wait()
        self._take()
        asyncio.get_running_loop().remove_reader(self._notifications)
        self._notifications.close()
        self._ours.close()
        return status

    def _take(self) -> None:
        """Take what it has told."""
        while True:
            try:
                told, descriptors, *_ = socket.recv_fds(
                    self._notifications, MAX_NOTIFICATION_BYTES, MAX_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                return
            lines = told.decode().splitlines()
            if f"FDNAME={KEPT}" in lines:
                self._parent.kept += [socket.socket(fileno=descriptor) for descriptor in descriptors]
            else:
                for descriptor in descriptors:
                    os.close(descriptor)
                if LOADED in lines:
                    self.loaded.set()
                else:
                    self._parent.manager.notify(*[line for line in lines if line != "BARRIER=1"])


class ServerParent:
    """Runs ``command``, a server, and replaces it whenever ``restart_on`` comes.

    Args:
        command: a program with its arguments.
        handover: what the service manager of this process, if any, has handed over; its sockets are listened on.
        manager: gets the notifications of the servers.
        restart_on: the signal.
    """

    def __init__(self, command: Sequence[str], handover: Handover, manager: ServiceManager, restart_on: signal.Signals) -> None:
        self.kept = list(handover.connections)
        """Connections that no server has."""
        self.manager = manager
        self._command = command
        self._handover = handover
        self._restart_on = restart_on
        self._restart, self._stop = asyncio.Event(), asyncio.Event()

    async def run(self) -> int:
        """Until SIGINT or SIGTERM, or until a server ends by itself; returns the exit status."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(self._restart_on, self._restart.set)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop.set)
        with TemporaryDirectory(prefix="sww-") as directory:
            status = await self._run(Path(directory))
        for connection in self.kept:
            if self._handover.keep is not None:
                self._handover.keep(connection)
        self.manager.wait()
        return status

    async def _run(self, directory: Path) -> int:
        server = await self._start(directory)
        self._let_go(server)
        while True:
            await self._one_of(server.ended, self._restart, self._stop)
            if self._stop.is_set() or server.ended.done():
                return await server.stop()
            self._restart.clear()
            try:
                following = await self._start(directory)
            except OSError as error:  # such as while the environment of the program is made again, or memory is short
                click.echo(f"the next server cannot be started; the one that runs goes on: {error}", err=True)
                continue
            await self._one_of(following.ended, following.loaded, self._stop)
            if following.loaded.is_set():
                await server.stop()
                self._let_go(following)
                server = following
            elif following.ended.done():
                click.echo("the next server has ended while it loaded its code; the one that runs goes on", err=True)

    async def _start(self, directory: Path) -> Child:
        child = Child(self, directory)
        await child.start(self._command, self._handover.listening)
        return child

    def _let_go(self, server: Child) -> None:
        kept, self.kept = self.kept, []
        server.go(kept)

    async def _one_of(self, ended: asyncio.Task[int], *events: asyncio.Event) -> None:
        """Wait for the first of them."""
        waits = [asyncio.create_task(event.wait()) for event in events]
        await asyncio.wait([ended, *waits], return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
