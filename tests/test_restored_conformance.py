"""A wall that was restored from a backup is a wall like any other: it passes conformance."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from documents import ROOT

FILES = ("test_wall.py", "test_pages.py", "test_live.py")
"""Those that would notice numbers, times or positions that are not as on a new wall; ``make conformance`` runs all."""


@pytest.mark.parametrize("file", FILES)
def test_p1_p5_a_restored_wall_passes_conformance(file: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "--deployments", "restored/single"]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    path = f"tests/conformance/{file}"
    done = subprocess.run(
        [*command, f"--basetemp={tmp_path / 'run'}", path], cwd=ROOT, env=inherited, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[100%]" in done.stdout
    assert "skipped" not in done.stdout
