"""A cluster of Restate servers on this machine, configured as on machines of their own."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from msgspec.structs import replace

from durable_objects.errors import DurableObjectError
from durable_objects.restate.node import READY_SECONDS, Node
from durable_objects.restate.node_config import NodeConfig
from durable_objects.restate.programs import restatectl

REPLICATION = 2
"""On how many nodes a write is before it is answered, and on how many a partition runs: of three nodes one may fail."""
SETTINGS: Mapping[str, Any] = {
    "auto-provision": False,  # else each node that starts alone makes a cluster of its own
    "default-replication": REPLICATION,
    "metadata-client": {"type": "replicated"},
    "bifrost": {"default-provider": "replicated"},
}
"""What makes nodes a cluster, in Restate's configuration."""
_CTL_SECONDS = 60
_LEADERS = """
SELECT p.partition_id, n.name FROM partition_state p JOIN nodes n ON n.plain_node_id = p.plain_node_id
WHERE p.effective_mode = 'Leader'
"""


class ClusterFailed(DurableObjectError):
    """``restatectl`` could not do what was asked; the text ends with what it printed."""


def cluster_configs(configs: Sequence[NodeConfig]) -> list[NodeConfig]:
    """These nodes' configurations as those of one cluster, with free ports where they have none."""
    placed = [config.with_ports() for config in configs]
    addresses = [f"{config.node_url}/" for config in placed]
    shared = {**SETTINGS, "metadata-client": {**SETTINGS["metadata-client"], "addresses": addresses}}
    return [replace(config, more={**shared, **config.more}) for config in placed]


def snapshots_to(destination: str, **options: object) -> dict[str, Any]:
    """Configuration that has the nodes keep snapshots in S3, for ``NodeConfig.more``.

    Args:
        destination: ``s3://BUCKET/FOLDER``; nothing else is possible.
        options: as in Restate's configuration, with underscores: ``aws_region``, ``aws_endpoint_url``, ``snapshot_interval`` …
    """
    return {
        "worker": {"snapshots": {"destination": destination, **{name.replace("_", "-"): options[name] for name in options}}}
    }


class Cluster:
    """Nodes of one cluster, numbered from 1, which end when this process does.

    A context manager that starts them, provisions the cluster, and waits until every partition has a leader.
    """

    def __init__(self, directory: Path, *, nodes: int = 3, partitions: int = 6, more: Mapping[str, Any] | None = None) -> None:
        configs = [
            NodeConfig(directory=directory, name=f"node-{number}", partitions=partitions, more=more or {})
            for number in range(1, nodes + 1)
        ]
        self.nodes = [Node(config) for config in cluster_configs(configs)]

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self.stop)
            self.start()
            undo.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def ingress_urls(self) -> list[str]:
        """Where calls may be sent: to any of them."""
        return [node.ingress_url for node in self.nodes]

    @property
    def admin_url(self) -> str:
        """Where deployments are registered: at any node that runs."""
        return self._running()[0].admin_url

    @property
    def leaders(self) -> dict[int, str]:
        """The name of the node that leads each partition, as the nodes told each other some seconds ago at most.

        A partition without a leader is missing.
        """
        rows = json.loads(ctl([node.config for node in self._running()], "sql", "--json", _LEADERS))
        return {row["partition_id"]: row["name"] for row in rows}

    def start(self) -> None:
        """Start all nodes, and wait until every partition has a leader.

        Raises:
            NodeFailed, RestateMissing: see ``Node``.
            ClusterFailed: it could not be provisioned.
        """
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            node.wait_until_alive()
        provision(self.nodes[0].config)
        self.wait_until_ready()

    def wait_until_ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait until each node that runs gets an answer from the leader of every partition.

        Raises:
            NodeFailed: it has ended, or is not ready after so many seconds.
        """
        for node in self._running():
            node.wait_until_ready(seconds)

    def kill(self, number: int) -> None:
        """Kill a node with SIGKILL."""
        self.nodes[number - 1].kill()

    def restart(self, number: int) -> None:
        """Start a node that was killed, on its data and ports, and wait until it is ready.

        Raises:
            NodeFailed, RestateMissing: see ``Node``.
        """
        node = self.nodes[number - 1]
        try:
            node.start()
            node.wait_until_ready()
        except BaseException:
            node.kill()
            raise

    def stop(self) -> None:
        """Stop all nodes at once; one after the other, the last ones would wait for those that are gone."""
        with ThreadPoolExecutor(len(self.nodes)) as threads:
            list(threads.map(Node.stop, self.nodes))

    def _running(self) -> list[Node]:
        return [node for node in self.nodes if node.is_running]


def provision(config: NodeConfig) -> None:
    """Make a cluster of the nodes that know this one; one that was made before stays as it is.

    Raises:
        ClusterFailed: the node does not answer.
    """
    options = ("--replication", str(REPLICATION), "--num-partitions", str(config.partitions), "--log-provider", "replicated")
    ctl([config], "provision", "--yes", *options)


def ctl(nodes: Sequence[NodeConfig], *arguments: str) -> str:
    """What ``restatectl`` prints when it asks these nodes.

    Raises:
        ClusterFailed: it fails.
        RestateMissing: it is not installed.
    """
    command = [str(restatectl()), "--address", ",".join(node.node_url for node in nodes), *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - the program just found
            command, capture_output=True, text=True, timeout=_CTL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ClusterFailed(f"restatectl {arguments[0]} took more than {_CTL_SECONDS} s") from error
    if done.returncode:
        raise ClusterFailed(f"restatectl {arguments[0]} failed: {(done.stdout + done.stderr).strip()}")
    return done.stdout
