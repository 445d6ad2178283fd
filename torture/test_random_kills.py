"""SIGKILL under load at random moments. ``TORTURE_SEED=7`` starts with another series of moments."""

import os
import time
from pathlib import Path
from random import Random

import pytest
from clients import Clients
from kill_harness import CHECKS, kill_under_load

from conftest import MakeServer

KILLS = 20
RUNS = 5
FIRST_SEED = int(os.environ.get("TORTURE_SEED", "0"))


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + RUNS))
def test_promises_hold_whenever_the_server_is_killed(make_server: MakeServer, tmp_path: Path, seed: int) -> None:
    random = Random(seed)

    def wait(_: Clients) -> None:
        time.sleep(random.uniform(0.05, 0.6))

    aftermath = kill_under_load(tmp_path, make_server, [wait] * KILLS)
    for check in CHECKS:
        check(aftermath)
