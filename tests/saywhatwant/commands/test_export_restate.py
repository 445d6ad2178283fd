"""A wall moves from one process to a Restate cluster and back, and is the same wall (P1, P4, P5, P7)."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from terminal import Done, running, sww
from test_export import claim, complete, messages, post
from test_migrate import fill, go_on, on, rows, see

from deployments import Deployment
from durable_objects.restate.inventory import objects_of
from durable_objects.restate.node import Node
from durable_objects.restate.ports import free_port
from durable_objects.storage import OUTBOX
from saywhatwant.topology import Topology
from servers import Server, until


@contextmanager
def place(node: Node, directory: Path, topology: str) -> Iterator[dict[str, Any]]:
    """A place for a wall in the cluster, whose objects' process runs: the settings that name it."""
    settings = {
        "restate": node.ingress_url,
        "restate_admin": node.admin_url,
        "restate_name": f"wall-{secrets.token_hex(8)}",
        "objects_bind": f"127.0.0.1:{free_port()}",
        "topology": topology,
        "lease_seconds": 3_600,
    }
    with running(directory, "objects", stream="stderr", **settings) as objects:
        until(lambda: any(line.startswith("ready on ") for line in objects.lines), "the objects")
        yield settings


def exported(directory: Path, file: Path, **settings: object) -> Done:
    done = sww(directory, "export", str(file), "--runtime", "restate", **settings)
    assert done.status == 0, done.stderr
    return done


def stored(data: Path) -> Any:
    """All rows and heads, without calls that were taken and whose rows are not removed yet."""
    entries, heads = rows(data)
    return [row for row in entries if not row[1].startswith(OUTBOX)], heads


@pytest.mark.parametrize("topology", ["single", "per-entity", "hybrid"])
def test_p1_a_wall_is_the_same_after_the_way_there_and_back(tmp_path: Path, restate: Node, topology: Topology) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    on(old, topology, fill)
    before = on(old, topology, see)
    sww(tmp_path, "export", "--data", str(old), str(tmp_path / "there"))
    with place(restate, tmp_path, topology) as settings:
        done = sww(tmp_path, "import", str(tmp_path / "there"), "--runtime", "restate", **settings)
        assert (done.status, done.stdout[:21]) == (0, "imported 16 messages,"), done.stderr
        again = sww(tmp_path, "import", str(tmp_path / "there"), "--runtime", "restate", **settings)
        assert "the cluster has objects already, such as" in again.error
        done = exported(tmp_path, tmp_path / "back", **settings)
        assert done.stdout.endswith(f"its topology is {topology}\n")
    done = sww(tmp_path, "import", str(tmp_path / "back"), "--data", str(new), topology=topology)
    assert done.status == 0, done.stderr
    assert stored(new) == stored(old)
    assert on(new, topology, see) == before
    on(new, topology, go_on)


@pytest.mark.parametrize("topology", ["single", "per-entity", "hybrid"])
def test_p1_p4_p5_p7_a_gateway_goes_on_with_the_wall_of_a_server_and_a_server_with_the_gateways(
    tmp_path: Path, restate: Node, topology: str
) -> None:
    """Each time some messages are answered, one is held, and others wait."""
    there, back = tmp_path / "there", tmp_path / "back"
    for name in ("old", "cluster", "new"):
        (tmp_path / name).mkdir()
    with Server(tmp_path / "old", topology=topology, lease_seconds=3_600) as old:
        posted = [post(old, f"post {number}", f"key {number}") for number in range(6)]
        answered, held = claim(old, 1) + claim(old, 1)
        assert complete(old, answered) == 200
        before = messages(old)
        old.kill()
        assert sww(tmp_path, "export", "--data", str(old.data), str(there)).status == 0
    with place(restate, tmp_path, topology) as settings:
        done = sww(tmp_path, "import", str(there), "--runtime", "restate", **settings)
        assert done.status == 0, done.stderr
        with Server(tmp_path / "cluster", deployment=Deployment("restate", topology), **settings) as gateway:
            assert messages(gateway) == before
            assert [post(gateway, f"post {number}", f"key {number}") for number in range(6)] == posted
            assert complete(gateway, held) == 200
            answered, held = claim(gateway, 1) + claim(gateway, 1)
            assert complete(gateway, answered) == 200
            posted += [post(gateway, f"post {number}", f"key {number}") for number in range(6, 8)]
            before = messages(gateway)
            assert gateway.terminate() == 0
        exported(tmp_path, back, **settings)
    with Server(tmp_path / "new", topology=topology, lease_seconds=3_600) as new:
        new.kill()
        (new.data / "objects.sqlite3").unlink()
        for log in new.data.glob("objects.sqlite3-*"):
            log.unlink()
        done = sww(tmp_path, "import", str(back), "--data", str(new.data), topology=topology)
        assert done.status == 0, done.stderr
        new.start()
        assert messages(new) == before
        assert [post(new, f"post {number}", f"key {number}") for number in range(8)] == posted
        assert complete(new, held) == 200
        while found := claim(new, 2):
            assert [complete(new, message) for message in found] == [200] * len(found)
        after = messages(new)
    answers = [message["replyTo"] for message in after if message["messageType"] == "AI"]
    assert {message["botParams"]["status"] for message in after} == {"complete"}
    assert sorted(answers) == sorted(one["id"] for one in posted)


def test_p1_an_import_that_is_killed_leaves_nothing_to_start_on_or_everything(tmp_path: Path, restate: Node) -> None:
    """It is killed as soon as something is there; how much more comes is chance."""
    on(tmp_path / "old", "single", fill)
    sww(tmp_path, "export", "--data", str(tmp_path / "old"), str(tmp_path / "there"))
    arguments = ("import", str(tmp_path / "there"), "--runtime", "restate")
    with place(restate, tmp_path, "single") as settings:
        with running(tmp_path, *arguments, **settings) as killed:
            until(lambda: asyncio.run(objects_of([restate.admin_url], settings["restate_name"])), "the first object")
            killed.process.kill()
            killed.process.wait()
        again = sww(tmp_path, "export", str(tmp_path / "half"), "--runtime", "restate", **settings)
        if again.status:
            unfinished = "is part of an import that has not ended; run it again"
            assert unfinished in again.error
            assert unfinished in sww(tmp_path, "serve", "--runtime", "restate", "--bind", "127.0.0.1:0", **settings).error
            assert sww(tmp_path, *arguments, **settings).status == 0
        exported(tmp_path, tmp_path / "back", **settings)
    assert sww(tmp_path, "import", str(tmp_path / "back"), "--data", str(tmp_path / "new")).status == 0
    assert stored(tmp_path / "new") == stored(tmp_path / "old")


def test_p1_a_wall_moves_to_restate_on_this_machine_and_back(tmp_path: Path) -> None:
    """Without a cluster: the command starts what it needs, and ends it."""
    data, new = tmp_path / "data", tmp_path / "new"
    on(tmp_path / "old", "single", fill)
    sww(tmp_path, "export", "--data", str(tmp_path / "old"), str(tmp_path / "there"))
    arguments = ("--data", str(data), "--runtime", "restate")
    done = sww(tmp_path, "export", str(tmp_path / "back"), *arguments)
    assert done.error == f"sww: SWW_DATA {data} has no data of Restate, and SWW_RESTATE names no cluster"
    done = sww(tmp_path, "import", str(tmp_path / "there"), *arguments)
    assert done.status == 0, done.stderr
    done = sww(tmp_path, "export", str(tmp_path / "back"), *arguments)
    assert done.status == 0, done.stderr
    assert sww(tmp_path, "import", str(tmp_path / "back"), "--data", str(new)).status == 0
    assert stored(new) == stored(tmp_path / "old")


def test_p8_a_cluster_for_another_runtime_is_refused(tmp_path: Path) -> None:
    done = sww(tmp_path, "export", str(tmp_path / "file"), "--restate", "http://127.0.0.1:8080")
    assert done.error == "sww: SWW_RESTATE names a cluster, but SWW_RUNTIME is embedded; set it to restate"
