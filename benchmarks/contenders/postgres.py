"""FastAPI on PostgreSQL, which syncs every commit: what a team would write that knows both."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.contenders.contract import Missing
from benchmarks.running import START_SECONDS, Running, running

UVICORN = ("-m", "uvicorn", "--loop", "uvloop", "--http", "httptools", "--port", "0", "--no-access-log")
APP_READY = r"Uvicorn running on (\S+)"
DATABASE_READY = r"(database system is ready) to accept connections"
STILL_THERE = "shared memory block"
USER = "postgres"
"""Whom Debian's package adds for it; it refuses to run as root."""


class Postgres:
    """One process of uvicorn, and a PostgreSQL cluster with its own."""

    name = "FastAPI + PostgreSQL"

    @contextmanager
    def start(self, directory: Path) -> Iterator[Running]:
        """See ``contract.Contender``."""
        if not all(map(find_spec, ("fastapi", "asyncpg"))):
            raise Missing("Python packages are missing: pip install fastapi asyncpg")
        initdb, postgres = _program("initdb"), _program("postgres")
        with TemporaryDirectory() as sockets:  # their paths may have no more than 107 characters
            as_user: tuple[str, ...] = ()
            if os.geteuid() == 0:
                as_user = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups")
                for place in (directory, sockets):
                    shutil.chown(place, USER, USER)
            cluster = directory.resolve() / "cluster"
            if not cluster.exists():
                create = (*as_user, initdb, "--auth=trust", f"--username={USER}", "-D", str(cluster))
                subprocess.run(create, check=True, stdout=subprocess.DEVNULL, cwd=directory)
            serve = (postgres, "-D", str(cluster), "-k", sockets, "-h", "", "-c", "log_checkpoints=off")
            url = f"postgresql://{USER}@/postgres?host={sockets}"
            app = (sys.executable, *UVICORN, "benchmarks.contenders.postgres_app:app")
            with (
                _database(*as_user, *serve) as main,
                running(*app, ready=APP_READY, DATABASE_URL=url) as server,
            ):
                yield Running(server.url, (*server.pids, main, *_children(main)))


@contextmanager
def _database(*command: str) -> Iterator[int]:
    """Its main process, once the processes of one that was killed a moment ago have gone too."""
    until = time.monotonic() + START_SECONDS
    with ExitStack() as stack:
        while True:
            try:
                server = stack.enter_context(running(*command, ready=DATABASE_READY))
                break
            except RuntimeError as error:
                if STILL_THERE not in str(error) or time.monotonic() > until:
                    raise
                time.sleep(0.02)
        yield server.pids[0]


def _program(name: str) -> str:
    places = [os.environ["PATH"], *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))]
    found = shutil.which(name, path=os.pathsep.join(places))
    if not found:
        raise Missing(f"{name} is missing: apt-get install postgresql")
    return found


def _children(pid: int) -> list[int]:
    """Its processes, without the workers that vacuum a table and end."""
    pids = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split())
    return [pid for pid in pids if b"autovacuum worker" not in Path(f"/proc/{pid}/cmdline").read_bytes()]
