"""The disk is lost again and again, and so are the server, its backups and its restores. See ``TORTURE_SEED``."""

import os
from pathlib import Path
from random import Random

import pytest
from test_backup_kills import run_rounds

FIRST_SEED = int(os.environ.get("TORTURE_SEED", "0"))


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + 5))
def test_p1_a_wall_outlives_its_disks(tmp_path: Path, seed: int) -> None:
    run_rounds(tmp_path, Random(seed), rounds=12)
