"""What conformance runs on: pairs of runtime and topology. One more is an entry of ``DEPLOYMENTS``.

Each test of ``tests/conformance`` runs on all of them, and other tests with a server on the first one, unless a mark says more:

    @pytest.mark.one_deployment("why what it tests is the same for all")      the first one only
    @pytest.mark.every_deployment                                            against such a mark of its module
    @pytest.mark.needs("durability")                                         those that do not lack it
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

NEEDS = {
    "durability": "data that outlives its process",
    "memory": "objects that stay in memory between calls",
    "one object": "commits that are counted by one object",
    "one row": "one row for each message",
}
"""What tests may need that a deployment may lack."""


class Deployment(NamedTuple):
    """A runtime and a topology, as a server is started with."""

    runtime: str
    topology: str
    lacks: Mapping[str, str] = {}
    """Names from ``NEEDS``, each with the reason."""

    def __str__(self) -> str:
        return f"{self.runtime}/{self.topology}"

    @property
    def program(self) -> list[str]:
        """The ``sww`` that has this runtime."""
        if self.runtime == "simulated":
            return [sys.executable, str(Path(__file__).with_name("simulated_sww.py"))]
        return [str(Path(sys.executable).with_name("sww"))]


DEPLOYMENTS = (
    Deployment("embedded", "single"),
    Deployment("embedded", "per-entity", {"one object": "each of its objects counts its own"}),
    Deployment("embedded", "hybrid", {"one row": "work queues have rows of their own, and send others"}),
    Deployment("wire", "single", {"memory": "it drops every object after each call, so that nothing can rest on its memory"}),
    Deployment("simulated", "single", {"durability": "its disk is in the memory of its process"}),
)


def named(names: str) -> tuple[Deployment, ...]:
    """The deployments with these names, separated by commas; ``all`` are all."""
    if names == "all":
        return DEPLOYMENTS
    known = {str(deployment): deployment for deployment in DEPLOYMENTS}
    return tuple(known[name] for name in names.split(","))


def deployments_of(test: pytest.Item | pytest.Function, chosen: Sequence[Deployment]) -> list[Deployment]:
    """Those of ``chosen`` that a test runs on."""
    needs = {need for mark in test.iter_markers("needs") for need in mark.args}
    if unknown := needs - NEEDS.keys():
        raise ValueError(f"{test.nodeid} needs {min(unknown)!r}, which is none of {', '.join(NEEDS)}")
    fit = [deployment for deployment in chosen if not needs & deployment.lacks.keys()]
    every = test.path.parent.name == "conformance"
    for mark in test.iter_markers():  # the closest first
        if mark.name in {"one_deployment", "every_deployment"}:
            every = mark.name == "every_deployment"
            break
    return fit if every else fit[:1]
