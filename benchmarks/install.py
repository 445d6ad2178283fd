"""``python -m benchmarks.install``: install the programs that ``make bench`` compares with.

As root on Debian or Ubuntu it uses apt-get; workerd comes from npm. Programs that cannot be installed are printed, and get a
row with a note in the tables. The exit status is 0 either way.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contenders import workerd
from benchmarks.contenders.postgres import program
from benchmarks.failures import Missing, note

PROGRAMS = {"wrk": "wrk", "redis-server": "redis-server", "initdb": "postgresql", "npm": "npm"}
"""Programs and their Debian packages."""
SECONDS = 600
"""Time limit of one installation."""


def main() -> None:
    """Install missing programs, then print those that are still missing."""
    missing = [name for name in PROGRAMS if not _found(name)]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        _apt(missing)
    problems = [f"{name}: sudo apt-get install {PROGRAMS[name]}" for name in missing if not _found(name)]
    if workerd.is_outdated() and (npm := shutil.which("npm")):
        problems += _run((npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"), workerd.FOLDER)
    for problem in problems:
        print(f"not installed: {problem}", file=sys.stderr)


def _apt(missing: Sequence[str]) -> None:
    """Install one package at a time, so that a failure does not stop the others."""
    for problem in _run(("apt-get", "update", "-qq")):
        print(problem, file=sys.stderr)
    for name in missing:
        print(f"installing {PROGRAMS[name]}", file=sys.stderr)
        for problem in _run(("apt-get", "install", "-y", "-qq", "--no-install-recommends", PROGRAMS[name])):
            print(problem, file=sys.stderr)


def _found(name: str) -> bool:
    try:
        program(name)
    except Missing:
        return False
    return True


def _run(command: Sequence[str], directory: Path | None = None) -> list[str]:
    """Run a command to its end; returns what failed."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, check=False, cwd=directory, env=environment, capture_output=True, text=True, timeout=SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return [note(error)]
    return [f"{' '.join(command)}: {done.stderr.strip()[-400:]}"] if done.returncode else []


if __name__ == "__main__":
    main()
