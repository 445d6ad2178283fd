"""The wall on workerd, the open-source runtime of Cloudflare Workers: a durable object in JavaScript, in two designs.

It is as durable as ours: workerd keeps an object in SQLite with a write-ahead log, fsyncs it at each commit, then sends the
answer. Under strace, 100 posts one after another took 100 to 102 fsyncs. It has no group commit: each call that writes is a
commit of its own, also with 32 connections. No option changes that. JavaScript and SQLite share one thread.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.failures import Missing
from benchmarks.loads import COMMON
from benchmarks.running import Running, running

FOLDER = Path(__file__).with_name("workerd")


class _Workerd:
    """A constant of ``workerd/worker.capnp``."""

    loads: Collection[str] = COMMON
    stores = True

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
            httpx.get(f"{url}/api/stats", timeout=30, trust_env=False).raise_for_status()
            yield server._replace(url=url)


class WorkerdArray(_Workerd):
    """All messages as one array under one key, rewritten at each write."""

    def __init__(self) -> None:
        super().__init__("workerd, one array", "array")


class WorkerdRows(_Workerd):
    """A row of SQLite for each message."""

    def __init__(self) -> None:
        super().__init__("workerd, a row each", "rows")


def is_outdated() -> bool:
    """Whether ``npm ci`` has not run since the lock file changed."""
    installed = FOLDER / "node_modules" / ".package-lock.json"
    return not installed.exists() or installed.stat().st_mtime < (FOLDER / "package-lock.json").stat().st_mtime


def _program() -> Path:
    for program in FOLDER.glob("node_modules/@cloudflare/workerd-*/bin/workerd"):
        return program
    raise Missing(f"workerd is missing: in {FOLDER}, npm ci --ignore-scripts")
