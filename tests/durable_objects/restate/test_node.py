"""A Restate server: ready when it says so, on loopback only, and gone when the process that started it is gone."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import httpx
import pytest

from durable_objects.restate import programs
from durable_objects.restate.node import Node, NodeFailed, is_ready
from durable_objects.restate.node_config import NodeConfig
from durable_objects.restate.ports import is_free
from durable_objects.restate.programs import RestateMissing, restate_server
from servers import DEADLINE_SECONDS, until

STARTS_ONE = """
import sys, time
from pathlib import Path
from threading import Thread
from durable_objects.restate.node import Node
from durable_objects.restate.node_config import NodeConfig

node = Node(NodeConfig(directory=Path(sys.argv[1])))
starting = Thread(target=node.start)  # one that ends before the server
starting.start()
starting.join()
node.wait_until_ready()
print(*node.config.ports, flush=True)
time.sleep(120)
"""


def health(node: Node) -> dict[str, Any]:
    """What the node says about itself."""
    found: dict[str, Any] = httpx.get(f"{node.node_url}/health", timeout=DEADLINE_SECONDS, trust_env=False).json()
    return found


def test_a_node_is_ready_until_it_is_stopped(tmp_path: Path) -> None:
    node = Node(NodeConfig(directory=tmp_path))
    assert not is_ready(node.config)
    with node:
        assert is_ready(node.config)
    assert node.wait() == 0
    assert not node.is_running
    assert not is_ready(node.config)


def test_it_listens_on_its_three_ports_of_loopback_and_nowhere_else(restate: Node) -> None:
    bound = {address["address"]: address["kind"] for address in health(restate)["bound_addresses"]}
    assert bound == {f"127.0.0.1:{port}": "tcp" for port in restate.config.ports}


def test_p1_nodes_here_and_elsewhere_take_the_keys_of_large_objects() -> None:
    elsewhere = tomllib.loads((Path(__file__).parents[3] / "deploy/restate/node.toml").read_text())
    here = tomllib.loads(NodeConfig(directory=Path()).toml())
    assert elsewhere["networking"] == here["networking"] == {"message-size-limit": "256MiB"}


def test_it_logs_no_warning_when_all_is_well(tmp_path: Path) -> None:
    with Node(NodeConfig(directory=tmp_path)) as node:
        assert node.log() == ""


def test_its_directory_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Node(NodeConfig(directory=Path("data"))) as node:
        assert is_ready(node.config)
    assert (tmp_path / "data" / "node-1").is_dir()


def test_it_starts_again_on_its_data_after_a_kill_on_these_ports_or_others(tmp_path: Path) -> None:
    node = Node(NodeConfig(directory=tmp_path, partitions=2))
    with node:
        first = health(node)
        node.kill()
        assert not node.is_running
        node.start()
        node.wait_until_ready()
        again = health(node)
    with Node(NodeConfig(directory=tmp_path)) as elsewhere:
        assert not set(elsewhere.config.ports) & set(node.config.ports)
        third = health(elsewhere)
    assert [answer["node_id"] for answer in (first, again, third)] == [
        "N1:2",
        "N1:3",
        "N1:4",
    ]  # N1, in its second to fourth life


def test_nothing_is_left_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTS_ONE, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        ports = [int(port) for port in parent.stdout.readline().split()]
        assert len(ports) == 3
        assert not any(map(is_free, ports))
        parent.kill()
        until(lambda: all(map(is_free, ports)), "the end of the server")


def test_its_configuration_is_its_file_whatever_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTATE_CLUSTER_NAME", "another")
    with Node(NodeConfig(directory=tmp_path, cluster="ours")) as node:
        assert health(node)["cluster_name"] == "ours"


def test_a_node_that_ends_at_once_says_why(tmp_path: Path) -> None:
    node = Node(NodeConfig(directory=tmp_path, more={"roles": ["juggler"]}))
    with pytest.raises(NodeFailed, match=r"node-1 ended before(?s:.*)juggler"), node:
        pass
    assert not node.is_running


def test_a_node_does_not_start_twice(restate: Node) -> None:
    with pytest.raises(NodeFailed, match="running already"):
        restate.start()


def test_a_port_in_use_is_named(restate: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable_objects.restate.node._PORTS_SECONDS", 0)
    other = Node(NodeConfig(directory=tmp_path, admin_port=restate.config.admin_port))
    with pytest.raises(NodeFailed, match=f"needs the port {restate.config.admin_port} "):
        other.start()


def test_a_server_that_is_not_installed_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RESTATE_SERVER", raising=False)
    monkeypatch.setattr(programs, "_PACKAGES", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RestateMissing, match="run `make restate`"):
        restate_server()
    in_path = tmp_path / "restate-server"
    in_path.touch(mode=0o755)
    assert restate_server() == in_path
    monkeypatch.setenv("RESTATE_SERVER", "/nowhere/restate-server")
    with pytest.raises(RestateMissing, match="/nowhere/restate-server"):
        restate_server()
    monkeypatch.setenv("RESTATE_SERVER", os.fspath(in_path))
    assert restate_server() == in_path


def test_further_configuration_wins_table_by_table(tmp_path: Path) -> None:
    config = NodeConfig(directory=tmp_path, admin_port=5, more={"cluster-name": "x", "admin": {"disable-web-ui": True}})
    text = config.toml()
    assert 'cluster-name = "x"' in text
    assert text.count("cluster-name") == 1
    assert "[admin]\nbind-port = 5\ndisable-web-ui = true\n" in text
