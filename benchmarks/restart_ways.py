"""The ways in which a wall is restarted without a loss; each is a wall that runs until the end of a block."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.contenders.product import SETTINGS
from benchmarks.failures import Missing, ServerFailed
from benchmarks.restate.servers import restate_servers
from benchmarks.running import Running, running

SWW = str(Path(sys.executable).with_name("sww"))
BACKLOG = 4_096
READY = "ready on "
RESTART_SECONDS = 60.0
TOKEN = "SWW_BOT_TOKEN="  # noqa: S105 - its name
KEEPS_ALL = SETTINGS | {"SWW_RETENTION": "1000000", "SWW_MAX_KEPT": "1000000"}


class Wall(NamedTuple):
    """A running one."""

    url: str
    restart: Callable[[], None]
    """Restarts it, and returns once the next server is ready."""
    token: str | None = None
    """Of a bot, where one is needed."""


Way = Callable[[Path], AbstractContextManager[Wall]]
"""Gets an empty directory."""


@contextmanager
def by_signal(directory: Path) -> Iterator[Wall]:
    """``sww serve --restart-on HUP``."""
    serve = (SWW, "serve", "--bind", "127.0.0.1:0", "--data", str(directory / "data"), "--restart-on", "HUP")
    with running(*serve, directory=directory, variables=KEEPS_ALL) as server:
        yield Wall(server.url, partial(_replace, server))


def _replace(parent: Running) -> None:
    before = _starts(parent)
    os.kill(parent.pids[0], signal.SIGHUP)
    deadline = time.monotonic() + RESTART_SECONDS
    while _starts(parent) == before:
        if time.monotonic() > deadline:
            raise ServerFailed(f"the next server was not ready within {RESTART_SECONDS:g} s")
        time.sleep(0.005)


def _starts(parent: Running) -> int:
    assert parent.log is not None
    return parent.log.read_text(errors="replace").count(READY)


@contextmanager
def by_socket(directory: Path) -> Iterator[Wall]:
    """A program holds the socket, and starts each server through ``systemd-socket-activate``. It keeps no connections."""
    program = shutil.which("systemd-socket-activate")
    if program is None:
        raise Missing("systemd-socket-activate is missing: sudo apt-get install systemd")
    with socket.socket() as listening, ExitStack() as stack:
        listening.bind(("127.0.0.1", 0))
        listening.listen(BACKLOG)
        number, address = listening.fileno(), "{}:{}".format(*listening.getsockname())
        names = [option for name in KEEPS_ALL for option in ("-E", name)]
        serve = (SWW, "serve", "--bind", address, "--data", str(directory / "data"))
        launch = (sys.executable, "-m", "saywhatwant.commands.launch", str(number), program, *names, *serve)
        variables = KEEPS_ALL | {"LISTEN_FDS": "1"}

        def start() -> None:
            with socket.create_connection(listening.getsockname()):  # it waits for one
                stack.enter_context(running(*launch, directory=directory, variables=variables, descriptors=(number,)))

        def restart() -> None:
            stack.close()
            start()

        start()
        yield Wall(f"http://{address}", restart)


@contextmanager
def by_systemd(directory: Path) -> Iterator[Wall]:
    """``systemctl restart`` of the installed service, under a systemd of its own. It needs root."""
    sys.path.insert(0, str(Path("tests").absolute()))
    from systemd_manager import UserManager  # noqa: PLC0415 - of the tests, which are no package

    with socket.create_server(("127.0.0.1", 0)) as free:
        address = "{}:{}".format(*free.getsockname())
    try:
        with UserManager(directory) as manager, ExitStack() as stack:
            _install(manager.environment, "--bind", address)
            stack.callback(_install, manager.environment, "--remove")
            settings = directory / ".config/sww/wall.env"
            with settings.open("a") as file:
                file.writelines(f"{name}={value}\n" for name, value in KEEPS_ALL.items())
            (token,) = (
                line.partition("=")[2] for line in settings.read_text().splitlines() if line.startswith("SWW_BOT_TOKEN=")
            )
            manager.systemctl("daemon-reload")
            manager.systemctl("enable", "--now", "sww.socket", "sww.service")
            stack.callback(manager.systemctl, "disable", "--now", "sww.socket", "sww.service")
            yield Wall(f"http://{address}", lambda: _said(manager.systemctl("restart", "sww.service")), token)
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        raise Missing(f"systemd does not run here: {error}") from error


def _install(environment: dict[str, str], *options: str) -> None:
    subprocess.run((SWW, "install", "--user", *options), env=environment, check=True, capture_output=True)


def _said(_: str) -> None:
    pass


@contextmanager
def of_gateway(directory: Path) -> Iterator[Wall]:
    """``sww serve --restart-on HUP`` as the only gateway of a wall on Restate."""
    with restate_servers(directory, 1) as servers, ExitStack() as stack:
        run = partial(running, directory=directory, variables=KEEPS_ALL)
        stack.enter_context(run(SWW, "objects", "--bind", "127.0.0.1:0", "--restate-admin", servers.admin))
        serve = ("serve", "--bind", "127.0.0.1:0", "--runtime", "restate", "--restate", servers.ingresses[0])
        gateway = stack.enter_context(run(SWW, *serve, "--restart-on", "HUP"))
        yield Wall(gateway.url, partial(_replace, gateway))


WAYS: dict[str, Way] = {"signal": by_signal, "socket": by_socket, "systemd": by_systemd, "gateway": of_gateway}
"""By short name."""
