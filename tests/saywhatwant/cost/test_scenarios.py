"""The workloads: what they cost, and that what is published of them is what they use."""

import runpy
from functools import cache

import pytest

from documents import ROOT, text_of
from saywhatwant.cost.chart import chart
from saywhatwant.cost.counts import Counts
from saywhatwant.cost.prices import Prices
from saywhatwant.cost.report import Cost
from saywhatwant.cost.scenarios import SCENARIOS
from saywhatwant.cost.scenarios import play as play_now

COSTS = runpy.run_path(str(ROOT / "docs/costs.py"))
"""The script that makes the table and the chart; `make costs` runs it."""


@cache
def play(name: str) -> Counts:
    return play_now(name)


def cost_of(name: str) -> Cost:
    return Cost.counted(name, SCENARIOS[name].what, play(name), Prices())


def objects_only(name: str) -> float:
    cost = cost_of(name).per_million_objects
    assert cost is not None
    return cost


def test_a_million_round_trips_cost_little() -> None:
    assert objects_only("quiet") <= 2.50
    assert objects_only("busy") <= 1.20


def test_a_visitor_whose_tab_is_always_open_costs_less_than_a_cent_a_month() -> None:
    month = cost_of("one-visitor").per_month
    assert month is not None
    assert month < 0.01


@pytest.mark.parametrize("name", ["quiet", "busy", "one-visitor", "thirty-tabs"])
def test_what_is_published_is_what_is_used(name: str) -> None:
    """If not, `make costs` publishes it again. The others take too long for a test."""
    assert COSTS["counted"]()[name] == play(name)


def test_every_message_is_answered() -> None:
    """Nobody was refused, and nobody waits: else the costs would be those of something else."""
    assert play("quiet").round_trips == 120
    assert play("busy").round_trips == 400


def test_the_table_and_the_chart_are_made_from_the_published_counts() -> None:
    document = text_of("docs/cloudflare.md")
    assert COSTS["generated"](document) == document
    assert set(COSTS["counted"]()) == set(SCENARIOS)
    assert chart(COSTS["report"](COSTS["counted"]())) == text_of("docs/benchmarks/cost.svg")


def test_the_readme_names_the_costs() -> None:
    quiet, busy = f"${objects_only('quiet'):.2f}", f"${objects_only('busy'):.2f}"
    sentence = f"cost {quiet} for a million round trips on a quiet wall and {busy} on a busy one"
    assert sentence in " ".join(text_of("README.md").split())
