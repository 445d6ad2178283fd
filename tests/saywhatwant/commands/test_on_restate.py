"""The wall on Restate: what each command starts, waits for and ends."""

import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest
from calls import a_post, assert_problem, post, read
from readers import HANDSHAKE
from terminal import Running, running, sww

from children import alive, command_of, descendants
from deployments import DEPLOYMENTS
from durable_objects.restate.node import Node
from durable_objects.restate.ports import free_port
from servers import DEADLINE_SECONDS, Server, until

(SINGLE,) = [one for one in DEPLOYMENTS if str(one) == "restate/single"]


def texts(server: Server) -> list[str]:
    return [message["text"] for message in read(server)]


# -- Everything on one machine


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Server]:
    """``sww up --runtime restate`` without any cluster."""
    with Server(tmp_path, command="up", deployment=SINGLE) as server:
        yield server


def test_up_starts_a_cluster_of_one_with_objects_and_a_bot_and_announces_itself_once(alone: Server) -> None:
    asked = post(alone, entity="zen")["id"]
    until(lambda: any(message["replyTo"] == asked for message in read(alone)), "the answer")
    assert alone.log.count("ready on ") == 1
    commands = " ".join(command_of(pid) for pid in descendants(alone.pid))
    assert "restate-server" in commands
    assert " objects " in commands


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_nothing_is_left_of_it_however_it_ends(alone: Server, number: signal.Signals) -> None:
    children = descendants(alone.pid)
    assert len(children) >= 4
    assert alone.terminate(number) == (-number if number is signal.SIGKILL else 0)
    until(lambda: not alive(children), "the end of its children")


def test_p1_data_survives_kills_of_it_all(alone: Server) -> None:
    for number in range(3):
        post(alone, f"before kill {number}", entity="nobody")
        alone.restart()
    assert texts(alone) == ["before kill 2", "before kill 1", "before kill 0"]
    post(alone, "at the end", entity="nobody")
    assert alone.terminate() == 0
    alone.start()
    assert texts(alone)[0] == "at the end"


def test_p1_a_second_process_on_the_same_data_is_refused(alone: Server, tmp_path: Path) -> None:
    second = sww(tmp_path, "up", "--bind", "127.0.0.1:0", "--data", str(alone.data), "--runtime", "restate")
    assert f"is in use by process {alone.pid}" in second.error
    assert alone.http.get("/readyz").status_code == 200


def test_the_wall_goes_on_when_its_objects_are_killed(alone: Server) -> None:
    first = post(alone, "before", entity="nobody")
    (objects,) = [pid for pid in descendants(alone.pid) if " objects " in command_of(pid) and "guard.py" not in command_of(pid)]
    subprocess.run(["kill", "-9", str(objects)], check=True)
    assert post(alone, "after", entity="nobody")["timestamp"] > first["timestamp"]
    assert texts(alone) == ["after", "before"]
    assert "sww: the objects' process has ended, and is started again" in alone.log


def test_p1_another_topology_than_the_datas_is_refused(alone: Server, tmp_path: Path) -> None:
    alone.terminate()
    refused = sww(
        tmp_path, "serve", "--bind", "127.0.0.1:0", "--data", str(alone.data), "--runtime", "restate", topology="hybrid"
    )
    assert refused.error == (
        f"sww: SWW_TOPOLOGY is hybrid, but the data in {alone.data} has the topology single: start with SWW_TOPOLOGY=single, "
        "or choose another SWW_DATA"
    )


# -- Gateways and objects of a cluster


class Wall:
    """A wall of its own on a cluster: how its processes are started."""

    def __init__(self, restate: Node, directory: Path) -> None:
        self._directory = directory
        self.gateway_url = f"http://127.0.0.1:{free_port()}"
        self.objects_url = f"http://127.0.0.1:{free_port()}"
        self.settings = {
            "runtime": "restate",
            "restate": restate.ingress_url,
            "restate_admin": restate.admin_url,
            "restate_name": f"wall-{secrets.token_hex(8)}",
            "objects_bind": self.objects_url.removeprefix("http://"),
            "bind": self.gateway_url.removeprefix("http://"),
        }

    def gateway(self, command: str = "serve") -> AbstractContextManager[Running]:
        """A running gateway."""
        return running(self._directory, command, stream="stderr", **self.settings)

    def objects(self, *options: str, **settings: object) -> AbstractContextManager[Running]:
        """Running objects, each with its own file for what they write."""
        directory = self._directory / secrets.token_hex(4)
        directory.mkdir()
        return running(directory, "objects", *options, stream="stderr", **self.settings | settings)

    def refused(self, command: str, **settings: object) -> str:
        """The error of a command that does not start, though it may have waited before."""
        done = sww(self._directory, command, **self.settings | settings)
        assert done.status == 1
        return done.stderr.splitlines()[-1]


@pytest.fixture
def wall(restate: Node, tmp_path: Path) -> Wall:
    return Wall(restate, tmp_path)


@pytest.fixture
def gateway(wall: Wall) -> Iterator[httpx.Client]:
    """Where the gateway of the wall is, once it is started."""
    with httpx.Client(base_url=wall.gateway_url, timeout=DEADLINE_SECONDS, trust_env=False) as http:
        yield http


def until_line(process: Running, words: str) -> None:
    def is_written() -> bool:
        lines = process.lines
        assert process.process.poll() is None, lines
        return any(words in line for line in lines)

    until(is_written, f"a line with {words!r}")


@pytest.mark.parametrize("command", ["serve", "up"])
def test_p8_a_gateway_without_a_cluster_waits_and_says_what_for(wall: Wall, gateway: httpx.Client, command: str) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    wall.settings |= {"restate": nobody, "restate_admin": nobody}
    with wall.gateway(command) as server:
        until_line(server, "sww: waiting for the cluster")
        assert gateway.get("/healthz").json() == {"status": "alive"}
        assert_problem(gateway.get("/readyz"), 503, "waiting for the cluster")
        assert_problem(gateway.post("/api/comments", json=a_post()), 503, "waiting for the cluster")
        assert_problem(gateway.get("/api/ws", headers=HANDSHAKE), 503, "waiting for the cluster")
        server.process.terminate()
        assert server.process.wait(DEADLINE_SECONDS) == 0
        assert not any("ready on" in line for line in server.lines)


def test_p8_a_gateway_waits_for_the_objects_and_objects_for_nobody(wall: Wall, gateway: httpx.Client) -> None:
    with wall.gateway() as server:
        until_line(server, "sww: waiting for the cluster")
        assert_problem(gateway.get("/readyz"), 503, "waiting for the cluster")
        with wall.objects() as objects:
            until_line(objects, f"ready on {wall.objects_url}")
            until_line(server, f"ready on {wall.gateway_url}")
            assert gateway.get("/readyz").json() == {"status": "ready"}
            assert gateway.post("/api/comments", json=a_post()).status_code == 200


def test_p8_objects_without_a_cluster_wait_and_say_what_for(wall: Wall) -> None:
    wall.settings["restate_admin"] = nobody = f"http://127.0.0.1:{free_port()}"
    with wall.objects() as objects:
        until_line(
            objects, f"sww: waiting for the cluster: no admin server of the cluster takes the objects at {wall.objects_url}"
        )
        assert nobody in objects.lines[0]
        objects.process.terminate()
        assert objects.process.wait(DEADLINE_SECONDS) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_objects_stop_in_order_and_start_again_at_once(wall: Wall, gateway: httpx.Client, number: signal.Signals) -> None:
    with wall.gateway() as server:
        for turn in range(3):
            with wall.objects() as objects:
                until_line(objects, "ready on")
                until_line(server, "ready on")
                assert gateway.post("/api/comments", json=a_post()).status_code == 200
                assert len(gateway.get("/api/comments").json()) == turn + 1
                children = descendants(objects.process.pid)
                objects.process.send_signal(number)
                assert objects.process.wait(DEADLINE_SECONDS) == 0
                assert not alive(children)


def test_objects_that_stand_by_go_on_when_the_others_are_killed(wall: Wall, gateway: httpx.Client) -> None:
    with wall.gateway() as server, wall.objects() as first:
        until_line(server, "ready on")
        with wall.objects("--standby") as second:
            assert gateway.post("/api/comments", json=a_post()).status_code == 200
            first.process.kill()
            assert gateway.post("/api/comments", json=a_post()).status_code == 200
            until_line(second, "ready on")
            assert len(gateway.get("/api/comments").json()) == 2


def test_p8_objects_at_an_address_in_use_are_refused(wall: Wall) -> None:
    with wall.objects() as objects:
        until_line(objects, "ready on")
        address = wall.settings["objects_bind"]
        assert wall.refused("objects") == (
            f"sww: SWW_OBJECTS_BIND {address} is in use by another process; stop it or choose another port (--bind)"
        )


@pytest.mark.parametrize("setting", [{"retention": 7}, {"topology": "hybrid"}, {"lease_seconds": 7}], ids=str)
def test_p8_a_gateway_with_other_settings_than_the_objects_is_refused(wall: Wall, setting: dict[str, object]) -> None:
    with wall.objects() as objects:
        until_line(objects, "ready on")
        error = wall.refused("serve", **setting)
        assert "start gateways and objects with the same settings and entities" in error


def test_p1_another_topology_than_the_data_of_the_cluster_is_refused(wall: Wall) -> None:
    with wall.objects(), wall.gateway() as server:
        until_line(server, "ready on")
    with wall.objects(topology="per-entity"):
        error = wall.refused("serve", topology="per-entity")
    name = wall.settings["restate_name"]
    assert error == (
        f"sww: SWW_TOPOLOGY is per-entity, but the data of the wall {name} has the topology single: "
        "start with SWW_TOPOLOGY=single, or choose another SWW_RESTATE_NAME"
    )


def test_up_in_a_cluster_starts_again_at_once_after_a_kill(wall: Wall, gateway: httpx.Client) -> None:
    """Its objects end with it, but not in the same instant, and those of the next one have their address."""
    for number in range(3):
        with wall.gateway("up") as server:
            until_line(server, "ready on")
            assert gateway.post("/api/comments", json=a_post()).status_code == 200
            assert len([one for one in gateway.get("/api/comments").json() if one["messageType"] == "human"]) == number + 1
