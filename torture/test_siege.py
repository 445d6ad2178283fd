"""``sww stress --chaos --runtime restate`` for minutes: each process of a cluster is killed three times, on each topology."""

import re
import subprocess
from pathlib import Path

import pytest

from servers import SWW, environment

KILLS = 27
SETTLE_SECONDS = "600"
SUMMARY = rf"^(\d+)/(\d+) answered once, 0 lost, 0 doubled, 0 stuck, 0 faults; {KILLS} kills, "


@pytest.mark.parametrize("topology", ["single", "per-entity", "hybrid"])
def test_p1_p4_p5_a_cluster_loses_nothing_while_each_of_its_processes_is_killed(tmp_path: Path, topology: str) -> None:
    done = subprocess.run(
        [SWW, "stress", "--chaos", "--runtime", "restate", "--kills", str(KILLS), "--timeout", SETTLE_SECONDS],
        cwd=tmp_path,
        env=environment(topology=topology) | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ((answered, accepted),) = re.findall(SUMMARY, done.stdout, re.MULTILINE)
    assert answered == accepted != "0"
