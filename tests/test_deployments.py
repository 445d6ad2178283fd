"""Conformance runs on every deployment: what does not says why, and none of that is by accident."""

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import pytest

from deployments import DEPLOYMENTS, NEEDS, Deployment, deployments_of, for_every_deployment, named
from servers import Server

WITHOUT_SERVER = {"test_field_failures.py"}
"""Files of conformance that look at tests only."""
MOST_EXCLUDED = 0.2
"""The largest share of a deployment's tests that needs may exclude."""


class Shared(NamedTuple):
    """A conformance test, and what it was collected for."""

    item: pytest.Function
    deployments: set[str]


@pytest.fixture
def chosen(request: pytest.FixtureRequest) -> tuple[Deployment, ...]:
    """The deployments of this run."""
    return named(request.config.getoption("--deployments"))


@pytest.fixture
def shared(request: pytest.FixtureRequest) -> list[Shared]:
    """The conformance tests of this run."""
    found: dict[str, Shared] = {}
    deployments: dict[str, set[str]] = defaultdict(set)
    for item in request.session.items:
        if item.path.parent.name == "conformance" and isinstance(item, pytest.Function):
            name = item.nodeid.partition("[")[0]
            found[name] = Shared(item, deployments[name])
            one = item.callspec.params.get("deployment") if hasattr(item, "callspec") else None
            if isinstance(one, Deployment):  # none fits, if what the test needs is left out of this run
                deployments[name].add(str(one))
    return list(found.values())


def test_a_conformance_test_runs_on_a_deployment_by_name(shared: list[Shared], chosen: tuple[Deployment, ...]) -> None:
    for test in shared:
        if test.item.path.name in WITHOUT_SERVER or any(test.item.iter_markers("one_deployment")):
            continue
        if deployments_of(test.item, chosen):
            assert test.deployments, test.item.nodeid


def test_a_conformance_test_runs_on_every_deployment_that_no_mark_excludes(
    shared: list[Shared], chosen: tuple[Deployment, ...]
) -> None:
    for test in shared:
        if test.deployments:
            assert test.deployments == {*map(str, deployments_of(test.item, chosen))}, test.item.nodeid
            if not any(any(test.item.iter_markers(name)) for name in ("one_deployment", "needs")):
                assert len(test.deployments) == len(chosen)


def test_what_excludes_a_deployment_has_a_reason(shared: list[Shared]) -> None:
    for test in shared:
        for mark in test.item.iter_markers("one_deployment"):
            assert [type(reason) for reason in mark.args] == [str], test.item.nodeid
    for deployment in DEPLOYMENTS:
        assert deployment.lacks.keys() <= NEEDS.keys()
        assert all(deployment.lacks.values())


@pytest.mark.parametrize("one", DEPLOYMENTS, ids=str)
def test_needs_exclude_few_tests_from_a_deployment(shared: list[Shared], one: Deployment) -> None:
    every = [test.item for test in shared if test.item.path.name not in WITHOUT_SERVER and for_every_deployment(test.item)]
    excluded = [item for item in every if not deployments_of(item, [one])]
    assert len(excluded) <= MOST_EXCLUDED * len(every), sorted(item.nodeid for item in excluded)


def test_the_simulated_deployment_keeps_nothing_on_the_disk(tmp_path: Path) -> None:
    (simulated,) = [one for one in DEPLOYMENTS if one.runtime == "simulated"]
    with Server(tmp_path, deployment=simulated) as server:
        answer = server.http.post("/api/comments", json={"text": "Hello", "username": "Human", "color": "169080199"})
        assert answer.json()["status"] == "success"
    assert not server.data.exists()
