"""FastAPI on Redis, which syncs every write, written the way an experienced team would."""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.failures import Missing, ServerFailed
from benchmarks.loads import COMMON
from benchmarks.running import START_SECONDS, Running, running, stop

UVICORN = ("-m", "uvicorn", "--loop", "uvloop", "--http", "httptools", "--port", "0", "--no-access-log")
READY = r"Uvicorn running on (\S+)"


class Redis:
    """One process of uvicorn, one of redis-server."""

    name = "FastAPI + Redis"
    loads: Collection[str] = COMMON
    stores = True

    @contextmanager
    def start(self, directory: Path) -> Iterator[Running]:
        """See ``contract.Contender``."""
        if not shutil.which("redis-server"):
            raise Missing("redis-server is missing: sudo apt-get install redis-server")
        if not all(map(find_spec, ("fastapi", "redis", "hiredis"))):
            raise Missing("Python packages are missing: pip install fastapi redis[hiredis]")
        with TemporaryDirectory() as sockets:  # their paths may have no more than 107 characters
            address = str(Path(sockets) / "redis")
            url = {"REDIS_URL": f"unix://{address}"}
            app = (sys.executable, *UVICORN, "benchmarks.contenders.redis_app:app")
            with _redis(directory, address) as pid, running(*app, ready=READY, variables=url) as server:
                yield Running(server.url, (*server.pids, pid))


@contextmanager
def _redis(directory: Path, address: str) -> Iterator[int]:
    settings = {
        "dir": str(directory.resolve()),
        "logfile": "redis.log",
        "port": "0",
        "unixsocket": address,
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",  # the log is enough; snapshots would only add cost
    }
    command = ["redis-server", *(word for name, value in settings.items() for word in (f"--{name}", value))]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _wait_for(address, process, directory / "redis.log")
        yield process.pid
    finally:
        stop(process)


def _wait_for(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while not _answers(address):
        if process.poll() is not None or time.monotonic() > until:
            raise ServerFailed(f"redis-server did not start within {START_SECONDS:g} s: {_last(log)}")
        time.sleep(0.02)


def _answers(address: str) -> bool:
    """Whether it has read its log; until then it answers with an error."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1)
        try:
            connection.connect(address)
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def _last(log: Path) -> str:
    return log.read_text(errors="replace").strip().rpartition("\n")[2] if log.exists() else "no log"
