"""SIGKILL at any moment of a conversion: the data is what it was or converted, and the next start does the rest (P1)."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import test_migrate
from msgspec.structs import replace
from terminal import sww
from test_data_upgrade import BEFORE, VERSION_1, rows
from test_migrate import fill, on, see

from durable_objects.embedded.store import FILE
from saywhatwant.topology import Topology
from servers import SWW, environment
from strace import CHANGES, Moments, command

QUIET = environment() | {"PYTHONDONTWRITEBYTECODE": "1"}
START = """
import sys
from pathlib import Path
from durable_objects.embedded.store import Store
from saywhatwant.commands.data_upgrade import UPGRADES
store = Store(Path(sys.argv[1]), UPGRADES)
store.open()
store.close()
"""
"""What the start of a server does to its data."""


@pytest.fixture(autouse=True)
def _leases_that_do_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_migrate, "CONFIG", replace(test_migrate.CONFIG, lease_ms=3_600_000))


def start(directory: Path, *through: str) -> int:
    command_line = [*through, sys.executable, "-c", START, str(directory)]
    return subprocess.run(command_line, env=QUIET, capture_output=True, check=False).returncode


def test_p1_data_of_an_earlier_version_is_converted_by_the_start_that_follows_a_kill(tmp_path: Path) -> None:
    def copy(name: str) -> Path:
        (tmp_path / name).mkdir()
        shutil.copy(VERSION_1 / FILE, tmp_path / name)
        return tmp_path / name

    trace = tmp_path / "trace"
    assert start(copy("whole"), *command(trace, *CHANGES)) == 0
    after = rows(tmp_path / "whole")
    moments = Moments.of(trace)
    seen = set()
    for moment in moments.some(16):
        directory = copy(str(moment))
        assert start(directory, *moments.killed_at(moment)) != 0, f"it did not come to its call {moment}"
        found = rows(directory)
        assert found in (BEFORE, after)
        seen.add(found == after)
        assert start(directory) == 0
        assert rows(directory) == after
    assert seen == {False, True}


@pytest.mark.parametrize(("first", "second"), [("single", "per-entity"), ("per-entity", "single")])
def test_p1_a_migration_that_is_killed_has_converted_all_or_nothing(tmp_path: Path, first: Topology, second: Topology) -> None:
    on(tmp_path / "data", first, fill)
    before = on(tmp_path / "data", first, see)
    arguments = ["migrate", "--topology", second, "--data"]

    def migrate(name: str, *through: str) -> int:
        shutil.copytree(tmp_path / "data", tmp_path / name)
        line = [*through, str(SWW), *arguments, name]
        return subprocess.run(line, cwd=tmp_path, env=QUIET, capture_output=True, check=False).returncode

    trace = tmp_path / "trace"
    assert migrate("whole", *command(trace, *CHANGES)) == 0
    after = on(tmp_path / "whole", second, see)
    moments = Moments.of(trace)
    seen = set()
    for moment in moments.some(6):
        name = str(moment)
        assert migrate(name, *moments.killed_at(moment)) != 0
        done = sww(tmp_path, *arguments, name)
        assert done.status == 0, done.stderr
        seen.add("already" in done.stdout)
        assert on(tmp_path / name, second, see) == after
    assert seen == {False, True}
    assert len(before.messages) == len(after.messages)
