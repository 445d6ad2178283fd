"""The data of the release before this one opens in this one, in each topology, and answers as it did (P1, P5, P7)."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from msgspec import json

from durable_objects import KeyReused
from durable_objects.disk import DATA_VERSION
from durable_objects.embedded import EmbeddedRuntime
from saywhatwant.commands.data_upgrade import UPGRADES
from saywhatwant.message import NewMessage, decode
from saywhatwant.queue.config import QueueConfig
from saywhatwant.topology import open_wall, recorded_topology
from saywhatwant.topology.position import Position
from saywhatwant.topology.topologies import Topology
from saywhatwant.topology.wall import Wall
from scenario import run
from servers import Server

DATA = Path(__file__).parents[2] / "data"
TOPOLOGIES: list[Topology] = ["single", "per-entity", "hybrid"]


class Release(NamedTuple):
    """A copy of its data, and what it answered about it."""

    directory: Path
    topology: Topology
    expected: dict[str, Any]


@pytest.fixture(params=TOPOLOGIES)
def release(request: pytest.FixtureRequest, tmp_path: Path) -> Release:
    source = DATA / f"version-{DATA_VERSION}" / request.param
    data = tmp_path / "data"
    data.mkdir()
    shutil.copy(source / "objects.sqlite3", data)
    return Release(data, request.param, json.decode((source / "expected.json").read_bytes()))


@asynccontextmanager
async def opened(release: Release) -> AsyncIterator[Wall]:
    runtime = EmbeddedRuntime(release.directory, clock=lambda: release.expected["now"], upgrades=UPGRADES)
    wall = open_wall(runtime, QueueConfig(entities=tuple(release.expected["entities"]), retention=1_000), release.topology)
    async with runtime:
        assert await recorded_topology(runtime, release.topology) == release.topology
        yield wall


def plain(value: object) -> Any:
    return json.decode(json.encode(value))


def has(found: Any, expected: Any) -> bool:
    """Whether everything expected is there; a later release may say more."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(name in found and has(found[name], expected[name]) for name in expected)
    if isinstance(expected, list):
        return isinstance(found, list) and len(found) == len(expected) and all(map(has, found, expected))
    return bool(found == expected)


def without_seq(value: Any) -> Any:
    """Without the numbers of commits: gateways of several objects write some of their own."""
    if isinstance(value, dict):
        return {name: without_seq(each) for name, each in value.items() if name != "seq"}
    return [without_seq(each) for each in value] if isinstance(value, list) else value


def test_p5_every_message_list_and_position_is_what_it_was(release: Release) -> None:
    async def scenario() -> None:
        for _ in range(2):
            async with opened(release) as wall:
                assert has(plain((await wall.read(newest_first=False)).body), release.expected["messages"])
                for state in ("pending", "waiting", "held", "failed"):
                    assert has(plain(await wall.listing(state, 1_000)), release.expected["listings"][state])
                changes = await wall.changes(Position())
                assert [decode(each).id for each in changes.messages] == release.expected["changes"]
                assert (await wall.position()).wire == release.expected["position"]

    run(scenario())


def test_p7_a_retry_that_crosses_the_upgrade_gets_its_first_answer(release: Release) -> None:
    async def scenario() -> None:
        async with opened(release) as wall:
            for known in release.expected["keyed"]:
                new = msgspec.convert(known["new"], NewMessage)
                again = await wall.post(new, known["key"])
                assert (again.id, again.timestamp, again.repeated) == (known["id"], known["timestamp"], True)
                with pytest.raises(KeyReused):
                    await wall.post(msgspec.structs.replace(new, text="Another"), known["key"])
            assert len(plain((await wall.read()).body)) == len(release.expected["messages"])

    run(scenario())


def test_p4_its_work_goes_on(release: Release) -> None:
    async def scenario() -> None:
        async with opened(release) as wall:
            assert ([] if wall.standing is None else await wall.standing.sockets()) == release.expected["sockets"]
            claims = plain(await wall.claim_next("next bot", tuple(release.expected["entities"]), 100, context=100))
            assert has(without_seq(claims), without_seq(release.expected["claims"]))
            assert claims["messages"]
            for message in claims["messages"]:
                await wall.complete(message["id"], "next bot", message["botParams"]["attempt"])

    run(scenario())


def test_p1_a_server_serves_it(release: Release) -> None:
    with Server(release.directory.parent, topology=release.topology, retention=1_000) as server:
        found = server.http.get("/api/comments", params={"order": "asc"}).json()
        assert [message["text"] for message in found] == [message["text"] for message in release.expected["messages"]]
