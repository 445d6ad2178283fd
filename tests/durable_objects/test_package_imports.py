"""``import durable_objects`` needs the standard library and msgspec, and no part of it that other platforms lack."""

import subprocess
import sys

import pytest

BLOCKED = """
import sys
from importlib.abc import MetaPathFinder

ALLOWED = {"msgspec", "durable_objects"}
ABSENT = {
    "_multiprocessing", "_posixshmem", "_posixsubprocess", "_sqlite3", "_ssl", "curses", "dbm", "fcntl", "grp", "mmap",
    "multiprocessing", "pwd", "resource", "socketserver", "sqlite3", "ssl", "subprocess", "syslog", "termios", "tty", "uvloop",
}
UNUSED = {"asyncio", "concurrent", "logging", "queue", "select", "selectors", "signal", "socket", "threading"}

class Blocked(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in ABSENT | UNUSED or not (top in sys.stdlib_module_names or top in ALLOWED):
            raise ImportError(f"{name} is blocked")

for name in [name for name in sys.modules if name.partition(".")[0] in ABSENT | UNUSED]:
    del sys.modules[name]
sys.meta_path.insert(0, Blocked())
"""
"""``ABSENT`` are modules that Pyodide lacks, or that cannot work there; ``UNUSED`` others that only servers need."""
ADAPTER = "ABSENT -= {'ssl', '_ssl', 'subprocess', '_posixsubprocess', 'fcntl'}; UNUSED.clear();"
"""For what stands on asyncio, which imports these where they are."""


def run_blocked(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", BLOCKED + program], capture_output=True, text=True, check=False)


def test_the_package_imports_without_threads_file_locks_and_sqlite() -> None:
    done = run_blocked("import durable_objects; durable_objects.Meter()")
    assert done.returncode == 0, done.stderr


def test_the_queue_imports_without_them_too() -> None:
    """So that it can live where there are no files and threads."""
    done = run_blocked(
        'ALLOWED |= {"saywhatwant", "sortedcontainers"}; import saywhatwant.queue; saywhatwant.queue.QueueConfig()'
    )
    assert done.returncode == 0, done.stderr


def test_what_adapters_stand_on_imports_without_them_but_for_asyncio() -> None:
    """The simulated runtime has all of it: live objects, overlay storage, group commit, alarms, streams of events."""
    done = run_blocked(f"{ADAPTER} import durable_objects.simulated; durable_objects.simulated.SimulatedRuntime()")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "name", ["fcntl", "sqlite3", "threading", "multiprocessing", "socketserver", "asyncio", "starlette", "nltk"]
)
def test_this_file_blocks_the_modules_it_names(name: str) -> None:
    done = run_blocked(f"import {name}")
    assert f"ImportError: {name} is blocked" in done.stderr


def test_every_public_name_of_the_package_is_there() -> None:
    program = "import durable_objects; print(*(name for name in durable_objects.__all__ if not hasattr(durable_objects, name)))"
    assert run_blocked(program).stdout == "\n"
