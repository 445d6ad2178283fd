"""A Python without the modules that other platforms lack: what is imported there must do without them."""

import subprocess
import sys

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
            raise ModuleNotFoundError(f"{name} is blocked", name=name)

for name in [name for name in sys.modules if name.partition(".")[0] in ABSENT | UNUSED]:
    del sys.modules[name]
sys.meta_path.insert(0, Blocked())
"""
"""``ABSENT`` are modules that Pyodide lacks, or that cannot work there; ``UNUSED`` others that only servers need."""
ADAPTER = "ABSENT -= {'ssl', '_ssl', 'subprocess', '_posixsubprocess', 'fcntl'}; UNUSED.clear();"
"""For what stands on asyncio, which imports these where they are."""


def run_blocked(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", BLOCKED + program], capture_output=True, text=True, check=False)
