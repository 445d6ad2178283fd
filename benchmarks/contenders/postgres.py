"""FastAPI on PostgreSQL, which syncs every commit, written the way an experienced team would."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.failures import Missing, ServerFailed
from benchmarks.loads import COMMON
from benchmarks.running import START_SECONDS, Running, running

UVICORN = ("-m", "uvicorn", "--loop", "uvloop", "--http", "httptools", "--port", "0", "--no-access-log")
APP_READY = r"Uvicorn running on (\S+)"
DATABASE_READY = r"(database system is ready) to accept connections"
STILL_THERE = "shared memory block"
INIT_SECONDS = 60
USER = "postgres"
"""The user that Debian's package adds; PostgreSQL refuses to run as root."""


class Postgres:
    """One process of uvicorn, and the processes of a PostgreSQL cluster."""

    name = "FastAPI + PostgreSQL"
    loads: Collection[str] = COMMON
    stores = True

    @contextmanager
    def start(self, directory: Path) -> Iterator[Running]:
        """See ``contract.Contender``."""
        if not all(map(find_spec, ("fastapi", "asyncpg"))):
            raise Missing("Python packages are missing: pip install fastapi asyncpg")
        initdb, postgres = program("initdb"), program("postgres")
        with TemporaryDirectory() as sockets:  # their paths may have no more than 107 characters
            as_user: tuple[str, ...] = ()
            if os.geteuid() == 0:
                as_user = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups")
                for place in (directory, sockets):
                    shutil.chown(place, USER, USER)
            cluster = directory.resolve() / "cluster"
            if not cluster.exists():
                create = (*as_user, initdb, "--auth=trust", f"--username={USER}", "-D", str(cluster))
                subprocess.run(create, check=True, stdout=subprocess.DEVNULL, cwd=directory, timeout=INIT_SECONDS)
            serve = (postgres, "-D", str(cluster), "-k", sockets, "-h", "", "-c", "log_checkpoints=off")
            url = {"DATABASE_URL": f"postgresql://{USER}@/postgres?host={sockets}"}
            app = (sys.executable, *UVICORN, "benchmarks.contenders.postgres_app:app")
            with (
                _database(*as_user, *serve) as main,
                running(*app, ready=APP_READY, variables=url) as server,
            ):
                yield Running(server.url, (*server.pids, main, *_children(main)))


@contextmanager
def _database(*command: str) -> Iterator[int]:
    """The process id of its main process. Starts it again while processes of a cluster killed a moment ago still run."""
    until = time.monotonic() + START_SECONDS
    with ExitStack() as stack:
        while True:
            try:
                server = stack.enter_context(running(*command, ready=DATABASE_READY))
                break
            except ServerFailed as error:
                if STILL_THERE not in str(error) or time.monotonic() > until:
                    raise
                time.sleep(0.02)
        yield server.pids[0]


def program(name: str) -> str:
    """Path of a program, also one that Debian keeps out of PATH; raises ``Missing``."""
    places = [os.environ["PATH"], *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))]
    found = shutil.which(name, path=os.pathsep.join(places))
    if not found:
        raise Missing(f"{name} is missing: sudo apt-get install postgresql")
    return found


def _children(pid: int) -> list[int]:
    """Its processes, except autovacuum workers, which end soon."""
    pids = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split())
    return [pid for pid in pids if b"autovacuum worker" not in Path(f"/proc/{pid}/cmdline").read_bytes()]
