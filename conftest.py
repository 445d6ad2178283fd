"""Shared by tests and torture: Hypothesis profiles, real servers, and the runtimes they run on."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest

import deployments
import profiles
from clustered import ClusteredServer
from deployments import Deployment, deployments_of
from durable_objects.restate.node import Node
from durable_objects.restate.node_config import NodeConfig
from servers import Server, environment

profiles.register("ci")

# A shell without job control starts what runs in the background with SIGINT ignored, and every program below it inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)

SLOW_FIRST = ("test_tutorial", "stress", "page", "bot", "conformance", "commands", "models")
"""Files and folders in the order in which parallel processes take them: the longest first, so that none is left for the end."""


class StartServer(Protocol):
    """Start a server for this test alone; ``lease_seconds=5`` is the setting SWW_LEASE_SECONDS=5."""

    def __call__(self, *, command: str = "serve", **settings: object) -> Server: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--deployments",
        default="usual",
        help="what servers under test run on, such as embedded/single,wire/single (see tests/deployments.py)",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {folder: rank for rank, folder in enumerate(SLOW_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path.stem, ranks.get(item.path.parent.name, len(ranks))))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "deployment" in metafunc.fixturenames:
        chosen = deployments.named(metafunc.config.getoption("--deployments"))
        metafunc.parametrize("deployment", deployments_of(metafunc.definition, chosen), ids=str, scope="session")


@pytest.fixture(scope="session")
def restate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A Restate server for all tests of this process: what they keep in it must have names of their own."""
    with Node(NodeConfig(directory=tmp_path_factory.mktemp("restate"))) as node:
        yield node


class MakeServer(Protocol):
    """A server of this deployment in a directory, which is not started yet."""

    def __call__(self, directory: Path, *, command: str = "serve", **settings: object) -> Server: ...


@pytest.fixture(scope="session")
def make_server(request: pytest.FixtureRequest, deployment: Deployment) -> MakeServer:
    """Makes servers that are not started yet."""
    if deployment.runtime == "restate":
        return partial(ClusteredServer, node=request.getfixturevalue("restate"), deployment=deployment)
    return partial(Server, deployment=deployment)


@pytest.fixture(scope="module")
def server(make_server: MakeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of a module, with the default settings and a retention that keeps everything."""
    with make_server(tmp_path_factory.mktemp("server"), retention=100_000) as started:
        yield started


@pytest.fixture
def start_server(make_server: MakeServer, tmp_path: Path) -> Iterator[StartServer]:
    """Servers for one test alone, each with its own data."""
    with ExitStack() as servers:

        def start(*, command: str = "serve", **settings: object) -> Server:
            directory = tmp_path / f"server-{len(list(tmp_path.iterdir()))}"
            directory.mkdir()
            return servers.enter_context(make_server(directory, command=command, **settings))

        yield start


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run without the caller's SWW_ variables, in a working directory without a settings file."""
    for name in set(os.environ) - set(environment()):
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
