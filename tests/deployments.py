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
    "own disk": "data that its own process writes to the disk",
    "own connections": "a server of ours that has the connections, and ends in order",
    "own files": "files that may change while it serves",
    "own pages": "pages that its own process serves",
    "own figures": "what objects read and write is counted by the process that serves",
    "one object": "commits that are counted by one object",
    "one row": "one row for each message",
    "short calls": "thousands of calls, one after another, that take no milliseconds each",
}
"""What tests may need that a deployment may lack."""


class Deployment(NamedTuple):
    """A runtime and a topology, as a server is started with."""

    runtime: str
    topology: str
    lacks: Mapping[str, str] = {}
    """Names from ``NEEDS``, each with the reason."""
    in_make_test: bool = True
    """Whether ``make test`` runs it; ``make conformance`` runs all."""

    def __str__(self) -> str:
        return f"{self.runtime}/{self.topology}"

    @property
    def hands_over(self) -> bool:
        """Whether its queue hands messages to bots on sockets; else servers claim for them."""
        return self.topology == "single" and self.runtime not in {"restate", "wire"}

    @property
    def program(self) -> list[str]:
        """The ``sww`` that has this runtime."""
        if self.runtime == "simulated":
            return [sys.executable, str(Path(__file__).with_name("simulated_sww.py"))]
        if self.runtime == "restored":
            return [sys.executable, str(Path(__file__).with_name("restored_sww.py"))]
        if self.runtime == "cloudflare":
            return [sys.executable, str(Path(__file__).parents[1] / "deploy/cloudflare/serve.py")]
        return [str(Path(sys.executable).with_name("sww"))]


_RESTATE = {
    "own disk": "Restate's server has the data",
    "own files": "files that may change while it serves",
    "own pages": "pages that its own process serves",
    "own figures": "gateways have no objects; their process counts what these read and write",
    "short calls": "a call that changes something is written by several processes",
}

_CLOUDFLARE = {
    "own connections": "workerd has the connections, as Cloudflare's network has",
    "own disk": "workerd has the data",
    "own pages": "workerd serves them, as Cloudflare's network does",
    "own files": "its files are those of its deployment",
    "short calls": "five commits a second, each of all calls that came since the last one",
}

DEPLOYMENTS = (
    Deployment("embedded", "single"),
    Deployment("embedded", "per-entity", {"one object": "each of its objects counts its own"}),
    Deployment("embedded", "hybrid", {"one row": "work queues have rows of their own, and send others"}),
    Deployment("restate", "single", _RESTATE),
    Deployment("restate", "per-entity", _RESTATE | {"one object": "each of its objects counts its own"}),
    Deployment("restate", "hybrid", _RESTATE | {"one row": "work queues have rows of their own, and send others"}),
    Deployment("cloudflare", "single", _CLOUDFLARE),
    Deployment("wire", "single", {"memory": "it drops every object after each call, so that nothing can rest on its memory"}),
    # A wall that was lost and restored from a backup: test_restored_conformance runs some files on it.
    Deployment("restored", "single", in_make_test=False),
    Deployment(
        "simulated",
        "single",
        dict.fromkeys(("durability", "own disk"), "its disk is in the memory of its process"),
        in_make_test=False,  # its promises are kept by most unit tests
    ),
)


def named(names: str) -> tuple[Deployment, ...]:
    """The deployments with these names, separated by commas; ``all`` are all, ``usual`` those of ``make test``."""
    if names == "all":
        return DEPLOYMENTS
    if names == "usual":
        return tuple(deployment for deployment in DEPLOYMENTS if deployment.in_make_test)
    known = {str(deployment): deployment for deployment in DEPLOYMENTS}
    return tuple(known[name] for name in names.split(","))


def for_every_deployment(test: pytest.Item | pytest.Function) -> bool:
    """Whether a test runs on each deployment that has what it needs, rather than on one of them."""
    for mark in test.iter_markers():  # the closest first
        if mark.name in {"one_deployment", "every_deployment"}:
            return mark.name == "every_deployment"
    return test.path.parent.name == "conformance"


def deployments_of(test: pytest.Item | pytest.Function, chosen: Sequence[Deployment]) -> list[Deployment]:
    """Those of ``chosen`` that a test runs on."""
    needs = {need for mark in test.iter_markers("needs") for need in mark.args}
    if unknown := needs - NEEDS.keys():
        raise ValueError(f"{test.nodeid} needs {min(unknown)!r}, which is none of {', '.join(NEEDS)}")
    fit = [deployment for deployment in chosen if not needs & deployment.lacks.keys()]
    return fit if for_every_deployment(test) else fit[:1]
