"""workerd, Cloudflare's runtime, on this machine: how it is started and stopped."""

import fcntl
import http.client
import os
import platform
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from config import Config

from durable_objects.restate.guarded import GuardedServer

PACKAGES = Path(__file__).resolve().parent / "node_modules"
READY_SECONDS = 120
"""A start that takes longer has failed; on a machine with nothing else to do it takes one to four."""
TAKEN_SECONDS = 10
"""How long data may stay locked by a workerd whose starter was killed: it ends too, but not in the same instant."""
_LOOK_EVERY_SECONDS = 0.02
_LOOK_AT_LEAST_EVERY_SECONDS = 0.5
_ARCHITECTURES = {"x86_64": "64", "amd64": "64", "aarch64": "arm64", "arm64": "arm64"}


class WorkerdMissing(Exception):
    """workerd, or something else that the harness needs, is not installed."""


class WorkerdFailed(Exception):
    """workerd did not start, or its worker cannot answer; what it logged says why."""


class CannotListen(OSError):
    """The address cannot be used."""


class Locked(Exception):
    """Another process uses the data."""


def program() -> Path:
    """Workerd itself. Raises ``WorkerdMissing`` when it is not installed."""
    machine = platform.machine().lower()
    package = f"workerd-{sys.platform}-{_ARCHITECTURES.get(machine, machine)}"
    # Not npm's own link to it, which is a Node.js program that starts this one: it would take part in every signal.
    found = PACKAGES / "@cloudflare" / package / "bin/workerd"
    if not os.access(found, os.X_OK):
        raise WorkerdMissing(f"{found} is missing: run deploy/cloudflare/install")
    return found


class Workerd(GuardedServer):
    """A workerd with one worker, which is ready when the worker answers."""

    stop_seconds = 3
    """It would wait for the end of every socket."""

    def __init__(
        self,
        config: Config,
        folder: Path,
        *,
        bind: tuple[str, int] = ("127.0.0.1", 0),
        environment: Mapping[str, str] | None = None,
        address_variable: str = "WORKERD_ADDRESS",
        ready: str = "/",
        ready_seconds: float = READY_SECONDS,
    ) -> None:
        """A workerd that is not started yet.

        Args:
            config: what it runs.
            folder: gets the data of its objects.
            bind: where it listens; port 0 picks one, which it keeps.
            environment: variables beside those of this process.
            address_variable: the variable that gets its address.
            ready: the path that is asked until it answers.
            ready_seconds: how long that may take.
        """
        super().__init__()
        self._config = config
        self._folder = folder
        self._bind = bind
        self._environment = environment or {}
        self._address_variable = address_variable
        self._ready = ready
        self._ready_seconds = ready_seconds

    @property
    def url(self) -> str:
        """Where it listens, once it was started."""
        return f"http://{self._address}"

    def start(self) -> None:
        """Start it without waiting for an answer.

        Raises:
            CannotListen: the address cannot be used.
            Locked: another process uses the data.
            OSError: the folder cannot be used.
            WorkerdMissing: it is not installed.
        """
        found = program()
        objects = self._folder / "objects"
        objects.mkdir(parents=True, exist_ok=True)
        file = self._folder / "workerd.capnp"
        with ExitStack() as ours:
            lock = _lock(self._folder / "lock")
            ours.callback(os.close, lock)
            listening = ours.enter_context(_listen(self._bind))
            self._bind = listening.getsockname()[:2]
            file.write_text(self._config.text(), encoding="utf-8")
            command = [str(found), "serve", str(file.resolve()), "--experimental", "--import-path=/"]
            options = [f"--directory-path=data={objects.resolve()}", f"--socket-fd=http={listening.fileno()}"]
            self._launch(
                [*command, *options],
                output=sys.stderr,
                environment={**os.environ, **self._environment, self._address_variable: self._address},
                descriptors=(lock, listening.fileno()),
            )

    def wait_until_ready(self) -> None:
        """Wait until the worker answers without an error.

        Raises:
            WorkerdFailed: it has ended, or has not answered so after ``ready_seconds``; the last answer is named.
        """
        deadline = time.monotonic() + self._ready_seconds
        pause = _LOOK_EVERY_SECONDS
        while (status := self._status()) == 0 or status >= http.client.INTERNAL_SERVER_ERROR:
            if not self.is_running:
                raise WorkerdFailed("workerd has ended before it was ready; what it logged says why")
            if time.monotonic() > deadline:
                answer = f"answers GET {self._ready} with {status}" if status else "has not answered"
                raise WorkerdFailed(f"workerd has run for {self._ready_seconds:.0f} s, and {answer}")
            time.sleep(pause)
            pause = min(2 * pause, _LOOK_AT_LEAST_EVERY_SECONDS)  # workerd logs each error

    def request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """A request's status and answer; status 0 when nobody answers. No proxy is asked."""
        connection = http.client.HTTPConnection(*self._bind, timeout=READY_SECONDS)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    @property
    def _address(self) -> str:
        host, port = self._bind
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def _status(self) -> int:
        return self.request("GET", self._ready)[0]


def _lock(file: Path) -> int:
    """Lock the data for this process and those that inherit the descriptor, which is returned."""
    lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + TAKEN_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(lock, 20, 0).decode()
            if _runs(owner) or time.monotonic() > deadline:
                os.close(lock)
                raise Locked(f"{file.parent} is in use by process {owner}") from None
            time.sleep(_LOOK_EVERY_SECONDS)
        else:
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
            return lock


def _runs(pid: str) -> bool:
    """Whether it is another process that runs."""
    if pid == str(os.getpid()):
        return False
    try:
        os.kill(int(pid or 0), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def _listen(address: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    try:
        return socket.create_server(address, family=family, backlog=1024)
    except OSError as error:
        raise CannotListen(error.errno, error.strerror) from error
