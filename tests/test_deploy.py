"""What deploy/ has for a cluster: it runs here as docs/cluster.md shows, and what is for other machines means the same."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from documents import ROOT, Block, blocks, inline_code
from durable_objects.restate import cluster
from durable_objects.restate.cluster import cluster_configs, provision
from durable_objects.restate.node_config import NodeConfig
from durable_objects.restate.ports import free_port, is_free
from durable_objects.restate.programs import restate_server
from servers import DEADLINE_SECONDS

DEPLOY = ROOT / "deploy/restate"
PROGRAM = "deploy/restate/cluster.py"
SHOWN_PORT = 18080
ON_A_MACHINE = {
    "NODE": "node-1",
    "ADDRESS": "10.0.0.1",
    "NODES": "[http://10.0.0.1:5122/,http://10.0.0.2:5122/,http://10.0.0.3:5122/]",
    "SNAPSHOTS": "s3://bucket/folder",
}
"""The .env of a machine."""


def shown() -> list[Block]:
    """The blocks of the page that are about a cluster on this machine."""
    return [block for block in blocks("docs/cluster.md") if PROGRAM in block.text]


class Here:
    """A cluster on free ports, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        while not all(map(is_free, self.ports)):
            self.port = free_port()

    @property
    def ports(self) -> list[int]:
        return [self.port + tens + number for tens in (0, 10, 20) for number in (1, 2, 3)]

    def run(self, *arguments: str) -> str:
        command = [
            sys.executable,
            PROGRAM,
            "--folder",
            str(self.folder),
            "--port",
            str(self.port),
            "--partitions",
            "3",
            *arguments,
        ]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=2 * DEADLINE_SECONDS, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run_shown(self, command: str) -> str:
        """Run a command of the page."""
        program, *arguments = shlex.split(command)
        match program:
            case ".venv/bin/python":
                assert arguments[0] == PROGRAM
                return self.run(*arguments[1:])
            case "curl":
                url = re.sub(r"(?<=127.0.0.1:)\d+", lambda port: str(self.port + int(port[0]) - SHOWN_PORT), arguments[-1])
                answer = httpx.get(url, timeout=DEADLINE_SECONDS, trust_env=False)
                assert answer.status_code == 200, answer.text
                return answer.text
        raise AssertionError(f"no test knows how to run {command!r}")


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    started = Here(tmp_path)
    try:
        yield started
    finally:
        started.run("stop")


def test_the_commands_of_the_page_start_a_cluster_lose_a_node_and_stop_it(here: Here) -> None:
    commands = [command for block in shown() for command in block.commands]
    output = {command.partition(f"{PROGRAM} ")[2] or command: here.run_shown(command) for command in commands}
    assert output["start"].splitlines()[0] == "calls to " + " ".join(f"http://127.0.0.1:{port}" for port in here.ports[:3])
    assert "node-2 is down" in output["status"]
    assert output["ctl nodes list"].count("node-") == 3
    named = {figure for figure in inline_code("docs/cluster.md") if figure.startswith("restate_")}
    assert len(named) > 4
    (metrics,) = (text for command, text in output.items() if command.startswith("curl"))
    assert {figure for figure in named if f"\n{figure}{{" not in metrics} == set()
    assert all(map(is_free, here.ports))


def test_a_node_is_stopped_alone_and_the_cluster_goes_on(here: Here) -> None:
    here.run("start")
    here.run("stop", "1")
    assert re.findall(r"^node-\d (?:is down|runs)", here.run("status"), re.MULTILINE) == [
        "node-1 is down",
        "node-2 runs",
        "node-3 runs",
    ]
    assert here.run("start", "1").startswith(f"calls to http://127.0.0.1:{here.port + 1} ")


def made_here() -> dict[str, Any]:
    """The configuration of a node here."""
    config, *_ = cluster_configs([NodeConfig(directory=Path(), ingress_port=1, admin_port=2, node_port=3)])
    return tomllib.loads(config.toml())


def test_nodes_on_other_machines_are_configured_as_those_here() -> None:
    here, there = made_here(), tomllib.loads((DEPLOY / "node.toml").read_text())
    sized = {"default-num-partitions", "worker"}  # for more load, and with snapshots
    own = {"node-name", "base-dir", "bind-ip", "bind-port", "ingress", "admin"}  # from the environment, or the default port
    del here["metadata-client"]["addresses"]
    assert there.keys() - sized == here.keys() - sized - own
    assert {name: there[name] for name in there.keys() - sized} == {name: here[name] for name in there.keys() - sized}


def test_the_compose_file_gives_a_node_what_it_needs(tmp_path: Path) -> None:
    """The server itself reads the file and the variables, and says what it made of them."""
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["restate"]
    version = json.loads((DEPLOY / "package.json").read_text())["dependencies"]["@restatedev/restate-server"]
    assert service["image"].endswith(f":{version}")
    assert [volume.split(":")[0] for volume in service["volumes"]] == ["./node.toml", "data"]

    def filled(value: str) -> str:
        return re.sub(r"\$\{(\w+)(?::\?[^}]*)?\}", lambda name: ON_A_MACHINE[name[1]], value)

    variables = {name: filled(value) for name, value in service["environment"].items() if value is not None}
    assert variables.keys() >= {"RESTATE_BASE_DIR", "RESTATE_NODE_NAME"}
    variables["RESTATE_BASE_DIR"] = str(tmp_path)
    command = [str(restate_server()), "--config-file", str(DEPLOY / "node.toml"), "--dump-config"]
    done = subprocess.run(
        command, env=os.environ | variables, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    understood = tomllib.loads(done.stdout)
    assert understood["node-name"] == ON_A_MACHINE["NODE"]
    assert understood["bind-ip"] == ON_A_MACHINE["ADDRESS"]
    assert understood["advertised-address"] == "http://10.0.0.1:5122/"
    assert understood["metadata-client"]["addresses"] == ON_A_MACHINE["NODES"].strip("[]").split(",")
    assert understood["worker"]["snapshots"]["destination"] == ON_A_MACHINE["SNAPSHOTS"]
    assert understood["auto-provision"] is False
    assert understood["default-replication"] == 2


def test_what_npm_installs_is_pinned_without_the_address_of_a_registry() -> None:
    wanted = json.loads((DEPLOY / "package.json").read_text())["dependencies"]
    packages = json.loads((DEPLOY / "package-lock.json").read_text())["packages"]
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert len(set(wanted.values())) == 1
    assert all("integrity" in package and "resolved" not in package for path, package in packages.items() if path)


def test_the_page_provisions_a_cluster_as_it_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(cluster, "ctl", lambda _nodes, *words: asked.extend(words))
    provision(
        NodeConfig(directory=Path(), partitions=tomllib.loads((DEPLOY / "node.toml").read_text())["default-num-partitions"])
    )
    (shown_command,) = (code for code in inline_code("docs/cluster.md") if " provision " in code)
    assert shlex.split(shown_command)[3:] == asked


def test_the_page_names_every_variable_of_the_compose_file() -> None:
    text = (ROOT / "docs/cluster.md").read_text()
    for name in ON_A_MACHINE:
        assert f"`{name}" in text, name
