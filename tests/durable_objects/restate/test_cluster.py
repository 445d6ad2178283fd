"""Three Restate servers as one cluster: a partition always finds another leader, and snapshots go to S3."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace

from durable_objects.restate import guard
from durable_objects.restate.cluster import Cluster, cluster_configs, ctl, provision, snapshots_to
from durable_objects.restate.node import Node, NodeFailed, is_ready
from durable_objects.restate.node_config import NodeConfig
from durable_objects.restate.ports import free_port
from servers import DEADLINE_SECONDS, until

PARTITIONS = 6
BUCKET = "snapshots"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server that speaks S3, with an empty bucket."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    moto = [
        sys.executable,
        "-I",
        "-S",
        guard.__file__,
        str(Path(sys.executable).with_name("moto_server")),
        "-H",
        "127.0.0.1",
        "-p",
        str(port),
    ]
    with (
        (tmp_path_factory.mktemp("s3") / "log").open("w") as log,
        subprocess.Popen(moto, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True) as server,
    ):

        def created() -> bool:
            try:
                return httpx.put(f"{url}/{BUCKET}", timeout=DEADLINE_SECONDS, trust_env=False).is_success
            except httpx.TransportError:
                assert server.poll() is None
                return False

        try:
            until(created, "a bucket")
            yield url
        finally:
            assert server.stdin is not None
            server.stdin.close()  # its guard kills it


@pytest.fixture(scope="module")
def cluster(s3: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    kept = snapshots_to(
        f"s3://{BUCKET}/objects",
        aws_region="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",  # noqa: S106 - a stand-in checks none
        aws_endpoint_url=s3,
        aws_allow_http=True,
    )
    with Cluster(tmp_path_factory.mktemp("cluster"), partitions=PARTITIONS, more=kept) as started:
        yield started


def all_leaders(cluster: Cluster, *, without: str = "") -> dict[int, str]:
    """The leaders, once every partition has one on another node than ``without``."""

    def look() -> dict[int, str] | None:
        leaders = cluster.leaders
        return leaders if len(leaders) == PARTITIONS and without not in leaders.values() else None

    return until(look, f"leaders on other nodes than {without!r}", every=0.2)


def test_every_node_answers_for_every_partition(cluster: Cluster) -> None:
    cluster.wait_until_ready()
    assert len({*cluster.ingress_urls}) == 3
    assert set(all_leaders(cluster)) == set(range(PARTITIONS))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_other_nodes_lead_when_one_is_killed_and_it_comes_back(cluster: Cluster, number: int) -> None:
    all_leaders(cluster)
    cluster.kill(number)
    all_leaders(cluster, without=f"node-{number}")
    cluster.wait_until_ready()
    assert cluster.admin_url in {node.admin_url for node in cluster.nodes if node.is_running}
    cluster.restart(number)
    assert all(node.is_running for node in cluster.nodes)


def test_snapshots_of_all_partitions_are_kept_in_s3(cluster: Cluster, s3: str) -> None:
    def kept() -> bool:
        # A partition whose leader is just moving is left out, and restatectl does not call that a failure.
        ctl([node.config for node in cluster.nodes], "snapshots", "create-snapshot")
        listed = httpx.get(f"{s3}/{BUCKET}", timeout=DEADLINE_SECONDS, trust_env=False).text
        return {*re.findall(r"<Key>objects/(\d+)/latest.json</Key>", listed)} == {str(number) for number in range(PARTITIONS)}

    until(kept, "a snapshot of each partition", every=0.5)


def test_a_node_that_is_alive_is_not_ready_before_its_cluster_is_provisioned(tmp_path: Path) -> None:
    """So that nodes that start before the others cannot take calls, or become clusters of their own."""
    (config,) = cluster_configs([NodeConfig(directory=tmp_path)])
    node = Node(config)
    try:
        node.start()
        node.wait_until_alive()
        assert not is_ready(config)
        with pytest.raises(NodeFailed, match="has run for 0 s"):
            node.wait_until_ready(0)
    finally:
        node.kill()


def test_provisioning_a_cluster_again_changes_nothing(cluster: Cluster) -> None:
    leaders = all_leaders(cluster)
    provision(replace(cluster.nodes[1].config, partitions=2 * PARTITIONS))
    assert set(all_leaders(cluster)) == set(leaders)


def test_a_cluster_that_was_stopped_starts_again_on_its_data(cluster: Cluster) -> None:
    cluster.stop()
    assert not any(node.is_running for node in cluster.nodes)
    cluster.start()
    assert set(all_leaders(cluster)) == set(range(PARTITIONS))


def test_a_node_that_lost_its_disk_is_replaced_by_one_with_another_name(cluster: Cluster) -> None:
    all_leaders(cluster)
    lost = cluster.nodes[1].config
    cluster.kill(2)
    shutil.rmtree(lost.directory / lost.name)
    all_leaders(cluster, without=lost.name)
    with pytest.raises(NodeFailed, match="data loss"):
        cluster.restart(2)
    cluster.nodes[1] = Node(replace(lost, name="node-4"))
    cluster.restart(2)
    ctl([node.config for node in cluster.nodes], "metadata-server", "remove-node", number_of(cluster, lost.name))
    assert set(until(lambda: {*cluster.leaders.values()} & {"node-4"}, "partitions that the new node leads", every=0.2))


def number_of(cluster: Cluster, name: str) -> str:
    """Restate's own number of a node, such as ``N2``: they are given in the order in which nodes join."""
    rows = json.loads(ctl([cluster.nodes[0].config], "sql", "--json", "SELECT name, plain_node_id FROM nodes"))
    numbers: dict[str, str] = {row["name"]: row["plain_node_id"] for row in rows}
    return numbers[name]
