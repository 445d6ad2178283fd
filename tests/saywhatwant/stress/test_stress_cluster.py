"""``sww stress --chaos --runtime restate``: a cluster of its own, whose processes are killed in turn."""

import re
import subprocess
from pathlib import Path

import pytest

from process_table import children, is_running
from servers import SWW, environment, until
from stress_command import stress

pytestmark = pytest.mark.one_deployment("it starts its own cluster")

SUMMARY = re.compile(r"^(\d+)/(\d+) answered once, 0 lost, 0 doubled, 0 stuck, 0 faults; 4 kills, ", re.MULTILINE)


PROCESSES = 9
"""Three nodes, two objects' processes, two gateways and two bots, each with its guard."""


def test_p1_p4_p5_nothing_is_lost_doubled_or_read_twice_when_a_process_of_each_kind_is_killed(tmp_path: Path) -> None:
    done = stress(tmp_path, "--chaos", "--runtime", "restate", "--tabs", "4", "--kills", "4")
    assert done.returncode == 0, done.stdout + done.stderr
    (figures,) = SUMMARY.findall(done.stdout)
    assert figures[0] == figures[1] != "0"
    killed = re.findall(r"^(\w+ \d) +\d+\.\d\d s", done.stdout, re.MULTILINE)
    assert killed == ["node 1", "gateway 1", "objects 1", "bot 1"]


def test_p8_nothing_of_a_cluster_is_left_when_the_command_is_killed(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [SWW, "stress", "--chaos", "--runtime", "restate"],
        cwd=tmp_path,
        env=environment() | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: len(children(process.pid)) == PROCESSES, "all processes", every=0.1)
        guarded = {child: children(child) for child in children(process.pid)}
    finally:
        process.kill()
        process.wait()
    started = [*guarded, *(one for ones in guarded.values() for one in ones)]
    assert len(started) > PROCESSES
    until(lambda: not any(is_running(pid) for pid in started), "their end", every=0.1)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--runtime", "restate"],
        ["--kills", "2"],
        ["--chaos", "--stall", "2"],
        ["--chaos", "--runtime", "restate", "--messages", "2"],
        ["--chaos", "--runtime", "restate", "--talks", "2"],
        ["--chaos", "--runtime", "restate", "--url", "http://127.0.0.1:8787"],
    ],
    ids=" ".join,
)
def test_p8_options_that_have_no_effect_together_are_refused(tmp_path: Path, arguments: list[str]) -> None:
    done = stress(tmp_path, *arguments)
    assert done.returncode == 2
    assert "Usage" in done.stderr
