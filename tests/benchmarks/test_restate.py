"""What the figures of a cluster are measured with: systems that store what they are sent, and sums that are right."""

import os
from pathlib import Path

import pytest

from benchmarks.restate.loads import Measured, limit, touch
from benchmarks.restate.report import middle
from benchmarks.restate.systems import Plan, cluster, plain

PLANS = [Plan("plain", plain), Plan("one object", cluster), Plan("several", cluster, topology="per-entity")]
MEASURED = Measured(1_000, 5.0, 20.0, 4_000, 8.0, 900.0, {"objects": 100.0}, {"gateway 1": 0.4, "objects": 0.3, "others": 0.1})


@pytest.mark.parametrize(
    "plan",
    [Plan("plain", plain), Plan("ours", cluster), Plan("cut", cluster, topology="per-entity")],
    ids=lambda plan: plan.name,
)
def test_a_system_stores_what_it_is_sent(plan: Plan, tmp_path: Path) -> None:
    with plan.start(tmp_path, plan) as system:
        before = system.stored(3)
        touch(system, 2)
        touch(system, 3)
        # A new object of a wall with several has a commit of its own.
        assert system.stored(3) - before >= 5
        for process in system.processes.values():
            assert process.pids
            for pid in process.pids:
                os.kill(pid, 0)  # raises for a process that is not there, of which nothing could be measured


@pytest.mark.parametrize(
    ("cores", "at_its_end"),
    [
        ({"gateway 1": 0.97, "others": 0.1}, "the core of the gateway 1"),
        ({"restate": 0.97, "others": 0.1}, "one batch after another"),
        ({"restate": 90.0, "others": 4_000.0}, "the machine"),
        ({"objects": 0.2}, "one batch after another"),
    ],
)
def test_a_limit_is_named_for_what_is_at_its_end(cores: dict[str, float], at_its_end: str) -> None:
    assert limit(MEASURED._replace(cores=cores)) == at_its_end


def test_the_rounds_of_a_load_are_merged_by_figure() -> None:
    rounds = [MEASURED._replace(per_second=rate, cpu_us={"objects": cpu}) for rate, cpu in ((1, 30), (2, 10), (6, 20))]
    assert middle(rounds) == MEASURED._replace(per_second=2, cpu_us={"objects": 20})
