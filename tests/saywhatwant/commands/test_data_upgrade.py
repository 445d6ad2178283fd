"""Data of earlier versions is converted at the start: a file that the code of version 1 wrote loses nothing (P1, P5, P7)."""

import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest
from msgspec import Raw, json
from msgspec.structs import replace

from durable_objects import DataUnreadable, KeyReused
from durable_objects.embedded import EmbeddedRuntime
from durable_objects.embedded.store import VERSION
from saywhatwant.commands.data_upgrade import STEPS, UPGRADES
from saywhatwant.message import NewMessage, decode
from saywhatwant.queue.config import QueueConfig
from saywhatwant.schemas import ListState
from saywhatwant.topology import open_wall
from saywhatwant.topology.position import Position
from saywhatwant.topology.wall import Wall
from scenario import run
from servers import Server

VERSION_1 = Path(__file__).parents[2] / "data" / "version-1"
EXPECTED: dict[str, Any] = json.decode((VERSION_1 / "expected.json").read_bytes())
HALF_HOUR = 30 * 60 * 1_000


class KeyedPost(NamedTuple):
    """A post whose key was known when version 1 ended, with its answer."""

    key: str | None
    new: NewMessage
    id: str
    timestamp: int


KEYED = [
    KeyedPost(known["key"], msgspec.convert(known["new"], NewMessage), known["id"], known["timestamp"])
    for known in EXPECTED["keyed"]
]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A copy of the data of version 1."""
    shutil.copy(VERSION_1 / "objects.sqlite3", tmp_path)
    return tmp_path


class Clock:
    """It stands still where version 1 left it, until a test moves it."""

    now: int = EXPECTED["now"]


@asynccontextmanager
async def converted(directory: Path, clock: Clock | None = None) -> AsyncIterator[Wall]:
    """The wall of a server that converts the data; also at later starts, when nothing is left to convert."""
    clock = clock or Clock()
    runtime = EmbeddedRuntime(directory, clock=lambda: clock.now, upgrades=UPGRADES)
    wall = open_wall(runtime, QueueConfig(entities=tuple(EXPECTED["entities"])))
    async with runtime:
        yield wall


def as_json(value: object) -> Any:
    return json.decode(json.encode(value))


def rows(directory: Path) -> tuple[int, list[Any], list[Any]]:
    """The data version and all rows of a directory that no server holds."""
    with closing(sqlite3.connect(directory / "objects.sqlite3")) as file:
        entries = file.execute("SELECT object, key, value FROM entries").fetchall()
        heads = file.execute("SELECT object, seq, alarm_at FROM heads").fetchall()
        return file.execute("PRAGMA user_version").fetchone()[0], entries, heads


BEFORE = rows(VERSION_1)


def test_the_file_of_version_1_is_one() -> None:
    version, entries, _ = BEFORE
    assert version == 1
    assert sum(key.startswith("keys/") for _, key, _ in entries) > 80


@pytest.mark.parametrize("restarts", [0, 1])
def test_p5_every_message_list_and_figure_is_what_it_was(directory: Path, restarts: int) -> None:
    async def scenario() -> None:
        for _ in range(restarts):
            async with converted(directory):
                pass
        async with converted(directory) as wall:
            assert as_json((await wall.read(newest_first=False)).body) == EXPECTED["messages"]
            changes = await wall.changes(Position())
            assert [decode(message).id for message in changes.messages] == EXPECTED["changes"]
            state: ListState
            for state in ("pending", "waiting", "held", "failed"):
                assert as_json(await wall.listing(state, 1_000)) == EXPECTED["listings"][state]
            stats = as_json(await wall.stats(tuple(EXPECTED["entities"])))
            assert EXPECTED["stats"].items() <= stats.items()

    run(scenario())


def test_every_talk_and_context_is_what_it_was(directory: Path) -> None:
    async def scenario() -> None:
        async with converted(directory) as wall:
            claims = as_json(await wall.claim_next("next bot", tuple(EXPECTED["entities"]), 100, context=100))
            for message in claims["messages"]:
                message.pop("seq")
            expected = EXPECTED["claims"]
            assert claims["talks"] == expected["talks"]
            assert claims["messages"] == [{k: v for k, v in message.items() if k != "seq"} for message in expected["messages"]]

    run(scenario())


def test_p5_timestamps_continue_after_a_discarded_newest_message(directory: Path) -> None:
    async def scenario() -> None:
        async with converted(directory) as wall:
            posted = await wall.post(NewMessage(text="Next", username="Ann", color="169080199", answer=False))
            assert posted.timestamp == EXPECTED["next timestamp"]

    run(scenario())


def test_p7_a_retry_that_crosses_the_upgrade_gets_its_first_answer(directory: Path) -> None:
    """Those with a key and those with an id of their own; and another message with that key is still refused."""

    async def scenario() -> None:
        for _ in range(2):
            async with converted(directory) as wall:
                for known in KEYED:
                    answer = await wall.post(known.new, known.key)
                    assert (answer.id, answer.timestamp, answer.repeated) == (known.id, known.timestamp, True)
                    with pytest.raises(KeyReused):
                        await wall.post(replace(known.new, text="Another"), known.key)
        assert len(await messages_of(directory)) == len(EXPECTED["messages"])

    run(scenario())


async def messages_of(directory: Path) -> list[Raw]:
    async with converted(directory) as wall:
        return json.decode((await wall.read()).body, type=list[Raw])


def test_p7_keys_of_version_1_end_in_their_time_and_leave_no_row(directory: Path) -> None:
    clock = Clock()

    async def post(wall: Wall, text: str, key: str | None) -> None:
        clock.now += HALF_HOUR
        await wall.post(NewMessage(text=text, username="Ann", color="169080199", answer=False), key)

    async def scenario() -> None:
        (pending,) = (known for known in KEYED if known.key == "pending")
        async with converted(directory, clock) as wall:
            for n in range(2 * 24):
                assert (await wall.post(pending.new, pending.key)).id == pending.id
                await post(wall, f"{n}", None)
            for n in range(2 * 3):
                await post(wall, f"{n}", None)
            assert (await wall.post(pending.new, pending.key)).id != pending.id
            for n in range(2 * 24):
                await post(wall, f"{n}", f"new {n}")

    run(scenario())
    _, entries, _ = rows(directory)
    left = [key for _, key, _ in entries if key.startswith("\1keys/answer/")]
    assert [key for key in left if "new" not in key] == ["\1keys/answer/pending"]
    assert len(left) == sum(key.startswith("\1keys/age/") for _, key, _ in entries)


def test_the_queue_has_no_keys_of_its_own_any_more(directory: Path) -> None:
    async def scenario() -> None:
        async with converted(directory):
            pass

    run(scenario())
    version, entries, heads = rows(directory)
    assert version == VERSION
    assert not [key for _, key, _ in entries if key.startswith("keys/")]
    recorded = [entry for entry in entries if entry[0] == "Topology/wall"]
    assert [(key, json.decode(value)["topology"]) for _, key, value in recorded] == [("topology", "single")]
    kept = [entry for entry in entries if not entry[1].startswith("\1") and entry not in recorded]
    assert kept == [entry for entry in BEFORE[1] if not entry[1].startswith("keys/")]
    assert [head for head in heads if head[0] != "Topology/wall"] == BEFORE[2]


# -- When it fails

DIES = """
import os, signal, sys
from durable_objects.embedded.store import Store
from saywhatwant.commands.data_upgrade import UPGRADES

def die(connection):
    connection.execute("PRAGMA cache_size = 1")  # pages that do not fit are written before the commit
    UPGRADES[1](connection)
    os.kill(os.getpid(), signal.SIGKILL)

from pathlib import Path
Store(Path(sys.argv[1]), {1: die}).open()
"""


def test_p1_a_kill_in_the_middle_leaves_version_1_which_the_next_start_converts(directory: Path) -> None:
    died = subprocess.run([sys.executable, "-c", DIES, str(directory)], check=False)
    assert died.returncode == -signal.SIGKILL
    assert rows(directory) == BEFORE
    test_p7_a_retry_that_crosses_the_upgrade_gets_its_first_answer(directory)


def test_p1_an_upgrade_that_fails_leaves_version_1(directory: Path) -> None:
    with closing(sqlite3.connect(directory / "objects.sqlite3")) as file:
        file.execute("UPDATE entries SET value = x'C1' WHERE key = 'keys/age/000000000000030'")
        file.commit()
    before = rows(directory)

    async def start() -> None:
        async with converted(directory):
            pass

    with pytest.raises(DataUnreadable, match="cannot be converted to data version 2, and is unchanged"):
        run(start())
    assert rows(directory) == before


def test_every_version_before_this_one_has_its_steps() -> None:
    assert sorted(STEPS) == sorted(UPGRADES) == list(range(1, VERSION))


# -- The server


def test_a_server_on_data_of_version_1_serves_it_and_takes_retries(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    shutil.copy(VERSION_1 / "objects.sqlite3", data)
    with Server(tmp_path) as server:
        for _ in range(2):
            found = server.http.get("/api/comments", params={"order": "asc"}).json()
            assert [(message["id"], message["text"]) for message in found] == [
                (message["id"], message["text"]) for message in EXPECTED["messages"]
            ]
            for known in KEYED:
                if known.key is not None and known.key.startswith("recent"):
                    assert retry(server, known).json() == {"id": known.id, "timestamp": known.timestamp, "status": "success"}
            server.restart()


def retry(server: Server, known: KeyedPost) -> httpx.Response:
    assert known.key is not None
    new = known.new
    body = {"text": new.text, "username": new.username, "color": new.color, "botParams": {"answer": new.answer}}
    return server.http.post("/api/comments", json=body, headers={"Idempotency-Key": known.key})
