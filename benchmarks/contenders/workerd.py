"""The wall on workerd, the open runtime of Cloudflare Workers: a durable object in JavaScript, in two ways.

It is as durable as ours. workerd keeps an object in SQLite with a write-ahead log, fsyncs it at each commit, and holds the
answer until then: under strace, 100 posts one after another were 100 to 102 fsyncs, and an answer was written after its own.
There is no group commit: a call that writes is a commit of its own, also among 32 connections. No option changes any of this.
JavaScript and SQLite run on one thread.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.contenders.contract import Missing
from benchmarks.running import Running, running

FOLDER = Path(__file__).with_name("workerd")


class _Workerd:
    """A constant of ``workerd/worker.capnp``."""

    def __init__(self, name: str, constant: str) -> None:
        self.name = name
        self._constant = constant

    @contextmanager
    def start(self, directory: Path) -> Iterator[Running]:
        """See ``contract.Contender``."""
        serve = (str(_program()), "serve", str(FOLDER / "worker.capnp"), self._constant)
        options = (f"--directory-path=data={directory.resolve()}", "--socket-addr=http=127.0.0.1:0", "--control-fd=2")
        with running(*serve, *options, ready=r'"port":(\d+)') as server:
            url = f"http://127.0.0.1:{server.url}"
            httpx.get(f"{url}/api/stats").raise_for_status()
            yield server._replace(url=url)


class WorkerdArray(_Workerd):
    """All messages as one array under one key, rewritten at each write."""

    def __init__(self) -> None:
        super().__init__("workerd, one array", "array")


class WorkerdRows(_Workerd):
    """A row of SQLite for each message."""

    def __init__(self) -> None:
        super().__init__("workerd, a row each", "rows")


def _program() -> Path:
    """The binary of this platform, installed when the lock file has changed since; raises ``Missing``."""
    installed = FOLDER / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < (FOLDER / "package-lock.json").stat().st_mtime:
        _install()
    for program in FOLDER.glob("node_modules/@cloudflare/workerd-*/bin/workerd"):
        return program
    raise Missing("workerd has no binary for this platform")


def _install() -> None:
    npm = shutil.which("npm")
    if not npm:
        raise Missing("workerd is installed with npm: apt-get install npm")
    done = subprocess.run([npm, "ci", "--ignore-scripts"], check=False, cwd=FOLDER, capture_output=True, text=True)
    if done.returncode:
        raise Missing(f"workerd is not installed; in {FOLDER}, `npm ci --ignore-scripts` says: {done.stderr}")
