"""The program that has started this one, and keeps sockets for it: systemd, or a ``ServerParent``, which speaks its protocol.

Listening sockets come as file descriptors from 3 on (sd_listen_fds(3)). Notifications go to a UNIX socket (sd_notify(3)); one
of them gives the manager a connection to keep (``FDSTORE=1``), which the next process gets beside the listening sockets. The
protocol is a few lines of text, and the packages that speak it keep no descriptors or need libsystemd's headers.

A ``ServerParent`` has one thing more: a socket named ``PARENT``, through which the connections come once this process has
loaded its code. So the process before this one may serve until then.
"""

import asyncio
import logging
import os
import select
import signal
import socket
from collections.abc import MutableMapping, Sequence

from saywhatwant.addresses import is_loopback
from saywhatwant.commands.launch import FIRST_DESCRIPTOR
from saywhatwant.settings import Settings, WrongSettings
from saywhatwant.worker import limits
from saywhatwant.worker.handover import Handover

log = logging.getLogger("saywhatwant")

KEPT = "connection"
"""The name under which the manager keeps connections."""
PARENT = "parent"
LOADED = "X_SWW_LOADED=1"
"""The notification for a ``ServerParent`` that this process has loaded its code."""
MORE, LAST = b".", b"!"
"""What comes with the descriptors of a ``ServerParent``."""
MAX_DESCRIPTORS = 200
"""How many come together; Linux takes 253."""
NOTIFY_SECONDS = 5.0
"""The longest time that a notification may take; then it is given up."""


class ServiceManager:
    """What it has handed over, and notifications for it. Without a manager there is nothing, and notifications go nowhere.

    Made once in a process: it takes its variables out of ``environment``, since they are not for this process's children.
    """

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        pid = _take_number(environment, "LISTEN_PID")
        count = _take_number(environment, "LISTEN_FDS")
        names = environment.pop("LISTEN_FDNAMES", "").split(":")
        self._address = environment.pop("NOTIFY_SOCKET", "")
        # systemd says since version 254 how many it keeps; the unit says it to earlier ones.
        self._keeps = _take_number(environment, "FDSTORE") > 0 and bool(self._address)
        self._listening: list[socket.socket] = []
        self._connections: list[socket.socket] = []
        self._parent: socket.socket | None = None
        if pid != os.getpid():
            return
        for number in range(count):
            sock = socket.socket(fileno=FIRST_DESCRIPTOR + number)
            sock.set_inheritable(False)
            match names[number] if number < len(names) else "":
                case name if name == KEPT:
                    self._connections.append(sock)
                case name if name == PARENT:
                    self._parent = sock
                case _:
                    self._listening.append(sock)

    async def handover(self, prepared: asyncio.Task[None] | None = None) -> Handover:
        """What the server takes over, and who keeps what it leaves; call it once, when all code is loaded.

        While a server before this one serves, it does so until ``prepared`` is done; if that fails, its error is raised.
        """
        if self._parent is not None:
            taking = asyncio.create_task(self._take_from(self._parent))
            if prepared is not None:
                await asyncio.wait([taking, prepared], return_when=asyncio.FIRST_COMPLETED)
                if not taking.done():
                    await prepared
            self.notify(LOADED)
            await taking
        return Handover(
            self._listening,
            self._connections,
            self._keep if self._keeps else None,
            limits.IDLE_GRACE_SECONDS if self._listening else 0,
        )

    def notify(self, *lines: str, descriptors: tuple[int, ...] = ()) -> None:
        """Send these lines to the manager, such as ``READY=1``. If that fails, it is logged."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.settimeout(NOTIFY_SECONDS)
                sock.connect("\0" + self._address[1:] if self._address.startswith("@") else self._address)
                socket.send_fds(sock, ["\n".join(lines).encode()], descriptors)
        except OSError as error:
            log.warning("the service manager could not be notified of %s: %s", lines[0], error)

    def wait(self) -> None:
        """Return once the manager has everything that it should keep, or after ``NOTIFY_SECONDS``."""
        if not self._keeps:
            return
        ours, theirs = os.pipe()
        self.notify("BARRIER=1", descriptors=(theirs,))
        os.close(theirs)
        select.select([ours], [], [], NOTIFY_SECONDS)  # its end is there when the manager has closed its copy
        os.close(ours)

    def _keep(self, connection: socket.socket) -> None:
        with connection:
            self.notify("FDSTORE=1", f"FDNAME={KEPT}", descriptors=(connection.fileno(),))

    async def _take_from(self, parent: socket.socket) -> None:
        """Take connections until the last one; after that the end of ``parent`` is a signal to stop."""
        loop = asyncio.get_running_loop()
        parent.settimeout(0)
        received = b""
        while received != LAST:
            readable = loop.create_future()
            loop.add_reader(parent, readable.set_result, None)
            await readable
            loop.remove_reader(parent)
            received, descriptors, *_ = socket.recv_fds(parent, 1, MAX_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
            self._connections += [socket.socket(fileno=descriptor) for descriptor in descriptors]
            if not received:
                raise SystemExit("the parent of this server has ended")
        loop.add_reader(parent, self._stop)

    def _stop(self) -> None:
        assert self._parent is not None  # noqa: S101 - it is what has ended
        asyncio.get_running_loop().remove_reader(self._parent)
        os.kill(os.getpid(), signal.SIGTERM)


def _take_number(environment: MutableMapping[str, str], name: str) -> int:
    """Take a number out of the environment; 0 if it is none."""
    text = environment.pop(name, "")
    return int(text) if text.isascii() and text.isdecimal() else 0


def check_listening(sockets: Sequence[socket.socket], settings: Settings) -> None:
    """Raise ``WrongSettings`` for a socket that is not what ``SWW_BIND`` says: limits and rights depend on that."""
    for sock in sockets:
        if sock.family not in {socket.AF_INET, socket.AF_INET6} or sock.type != socket.SOCK_STREAM:
            raise WrongSettings("the socket that was handed over is none of TCP (ListenStream= of the socket unit)")
        host, port = sock.getsockname()[:2]
        if is_loopback(host) != settings.is_loopback or settings.port not in {0, port}:
            raise WrongSettings(
                f"the socket that was handed over listens on {host} port {port}, but SWW_BIND is {settings.bind}: make "
                "ListenStream= of the socket unit and SWW_BIND the same"
            )
