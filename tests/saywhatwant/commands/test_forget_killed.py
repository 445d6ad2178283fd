"""SIGKILL at any moment of ``sww forget``, and of a restore that erases: no backup is lost, and the same command does the rest.

The objects' commits are grouped by chance, so that a run may end before the moment of its death.
"""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from terminal import sww
from test_backup_restore import ran
from test_erased_in_backups import erase, erased_ids, said, say, traces
from test_migrate import fill, on

from durable_objects.embedded.backup import PARTIAL
from saywhatwant.commands.backup_series import complete_backups
from servers import SWW, environment
from strace import CHANGES, Moments, command

QUIET = environment() | {"PYTHONDONTWRITEBYTECODE": "1"}
Run = Callable[..., int]


@pytest.fixture
def gone(tmp_path: Path) -> list[str]:
    """The ids of what was erased after the backup ``copies/monday``, as ``copies/tuesday`` knows."""
    on(tmp_path / "data", "single", fill)
    on(tmp_path / "data", "single", say)
    ran(tmp_path, "backup", "--data", "data", "--to", "copies/monday")
    found: list[str] = on(tmp_path / "data", "single", erase)
    ran(tmp_path, "backup", "--data", "data", "--to", "copies/tuesday")
    return found


def run_in(directory: Path, *line: str) -> int:
    return subprocess.run(line, cwd=directory, env=QUIET, capture_output=True, check=False).returncode


def times(copies: Path) -> set[int]:
    return {manifest.time for manifest, _ in complete_backups(copies)}


def test_p1_no_backup_is_lost_and_the_next_run_leaves_no_byte(tmp_path: Path, gone: list[str]) -> None:
    arguments = [str(SWW), "forget", "--data", "data", "--from"]

    def copy(name: str) -> Path:
        return shutil.copytree(tmp_path / "copies", tmp_path / name, ignore=shutil.ignore_patterns("lock"))

    trace, before = tmp_path / "trace", times(tmp_path / "copies")
    copy("whole")
    assert run_in(tmp_path, *command(trace, *CHANGES), *arguments, "whole") == 0
    moments, seen = Moments.of(trace), set()
    for moment in moments.some(5):
        copies = copy(f"copies-{moment}")
        run_in(tmp_path, *moments.killed_at(moment), *arguments, copies.name)
        assert times(copies) == before
        seen.add(bool(traces(copies)))
        ran(tmp_path, *arguments[1:], copies.name)
        assert times(copies) == before
        assert traces(copies) == []
        assert not list(copies.glob(f"*{PARTIAL}"))
        ran(tmp_path, "restore", "--from", f"{copies.name}/monday", "--data", f"restored-{moment}")
        assert erased_ids(on(tmp_path / f"restored-{moment}", "single", said)) == set(gone)
    assert seen == {False, True}


def test_p1_a_restore_that_erases_is_there_with_all_erased_or_not_at_all(tmp_path: Path, gone: list[str]) -> None:
    arguments = [str(SWW), "restore", "--from", "copies/monday", "--data"]
    trace = tmp_path / "trace"
    assert run_in(tmp_path, *command(trace, *CHANGES), *arguments, "whole") == 0
    moments, seen = Moments.of(trace), set()
    for moment in moments.some(5):
        target = tmp_path / f"target-{moment}"
        run_in(tmp_path, *moments.killed_at(moment), *arguments, target.name)
        seen.add(target.exists())
        if not target.exists():
            ran(tmp_path, *arguments[1:], target.name)
        assert traces(target) == []
        assert erased_ids(on(target, "single", said)) == set(gone)
        assert not (tmp_path / f"{target.name}{PARTIAL}").exists()
    assert seen == {False, True}


def test_p1_a_copy_made_by_hand_is_restored_by_the_start_that_follows_a_kill(tmp_path: Path, gone: list[str]) -> None:
    """The part of the start that changes the data; see ``by_hand``."""
    program = tmp_path / "start.py"
    program.write_text(
        "import asyncio\n"
        "from saywhatwant.commands.by_hand import end_restore\n"
        "from saywhatwant.settings import load\n"
        "asyncio.run(end_restore(load()))\n"
    )
    python = str(Path(SWW).with_name("python"))

    def copy(name: str) -> Path:
        directory = tmp_path / name
        directory.mkdir()
        shutil.copy(tmp_path / "copies" / "monday" / "objects.sqlite3", directory)
        shutil.copy(tmp_path / "copies" / "tuesday" / "erased.json", directory)
        return directory

    def start(directory: Path, *through: str) -> int:
        line = [*through, python, str(program)]
        return subprocess.run(
            line, cwd=tmp_path, env=QUIET | {"SWW_DATA": directory.name}, capture_output=True, check=False
        ).returncode

    trace = tmp_path / "trace"
    assert start(copy("whole"), *command(trace, *CHANGES)) == 0
    moments = Moments.of(trace)
    for moment in moments.some(5):
        directory = copy(f"by-hand-{moment}")
        start(directory, *moments.killed_at(moment))
        assert start(directory) == 0
        assert traces(directory) == []
        assert sorted(path.name for path in directory.iterdir()) == ["objects.sqlite3"]
        assert erased_ids(on(directory, "single", said)) == set(gone)
    assert "is a backup" in sww(tmp_path, "serve", "--data", "copies/monday").error
