"""Restate servers on loopback."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

from benchmarks.failures import Missing, ServerFailed
from benchmarks.running import START_SECONDS, Running
from durable_objects.restate.cluster import Cluster, ClusterFailed
from durable_objects.restate.node import Node, NodeFailed
from durable_objects.restate.node_config import NodeConfig
from durable_objects.restate.programs import RestateMissing

PARTITIONS_A_NODE = 2
"""One for each core here."""


class Servers(NamedTuple):
    """The nodes of a cluster."""

    ingresses: tuple[str, ...]
    admin: str
    running: Running


@contextmanager
def restate_servers(directory: Path, nodes: int) -> Iterator[Servers]:
    """Run a new cluster until the end of the block; of several nodes two keep each record.

    Raises ``Missing``, ``ServerFailed``.
    """
    folder = directory / "restate"
    try:
        with ExitStack() as stack:
            if nodes == 1:
                running = [stack.enter_context(Node(NodeConfig(directory=folder, partitions=PARTITIONS_A_NODE)))]
            else:
                running = stack.enter_context(Cluster(folder, nodes=nodes, partitions=nodes * PARTITIONS_A_NODE)).nodes
            pids = [child for node in running for child in _children(node.pid)]
            ingresses = tuple(node.ingress_url for node in running)
            yield Servers(ingresses, running[0].admin_url, Running(ingresses[0], tuple(pids)))
    except RestateMissing as missing:
        raise Missing(str(missing)) from None
    except (NodeFailed, ClusterFailed) as failed:
        raise ServerFailed(str(failed)) from None


def _children(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()))


def register(admin: str, service: str) -> None:
    """Make the cluster call what listens there."""
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            body = {"uri": service, "force": True}
            httpx.post(f"{admin}/deployments", json=body, timeout=30, trust_env=False).raise_for_status()
        except httpx.HTTPError as error:
            if time.monotonic() > until:
                raise ServerFailed(f"{service} cannot be registered: {error}") from error
            time.sleep(0.1)
        else:
            return
