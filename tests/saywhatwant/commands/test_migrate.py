"""``sww migrate`` keeps every message, state, answer and key, in both directions (P1, P5, P7)."""

import asyncio
import shlex
import sqlite3
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pytest
from msgspec import UNSET
from msgspec.structs import replace
from terminal import sww

from documents import blocks
from durable_objects import KeyReused
from durable_objects.embedded import EmbeddedRuntime
from saywhatwant.commands import migrate
from saywhatwant.message import Message, NewMessage, Ruling, decode, decode_list
from saywhatwant.moderation.object import Moderation
from saywhatwant.queue.config import QueueConfig
from saywhatwant.schemas import ListState, Reply
from saywhatwant.topology import START, Topology, Wall, moderation_of, open_wall, recorded_topology
from scenario import run
from servers import Server

CONFIG = QueueConfig(entities=("eliza", "iesha", "suntsu", "zen", "rude"))
ENTITIES = ("zen", "rude", None, "nobody")


class Seen(NamedTuple):
    """The wall as readers and operators see it."""

    messages: list[Message]
    listed: dict[str, list[str]]
    details: list[str]


def on(data: Path, topology: Topology, use: Callable[[Wall], Coroutine[Any, Any, Any]]) -> Any:
    """What ``use`` returns, on a wall in this data."""

    async def scenario() -> Any:
        runtime = EmbeddedRuntime(data)
        wall = open_wall(runtime, CONFIG, topology)
        async with runtime:
            assert await recorded_topology(runtime, topology) == topology
            return await use(wall)

    return run(scenario())


def a_post(text: str, **fields: Any) -> NewMessage:
    return NewMessage(**({"text": text, "username": "Human", "color": "169080199"} | fields))


async def fill(wall: Wall) -> None:
    """Messages in every state, with keys, ids of clients, contexts, details and answers."""
    for number in range(12):
        entity = ENTITIES[number % 4]
        context = (f"context {number}",) if number == 8 else None
        await wall.post(a_post(f"post {number}", entity=entity, context=context), f"key {number}")
    await wall.post(a_post("own id", id="myownid", entity="zen"))
    await wall.post(a_post("only said", answer=False))
    for attempt in range(4):
        (message,) = map(decode, (await wall.claim_next("bot", ("zen", "rude"), 1)).messages)
        if attempt == 3:
            await wall.fail(message.id, "bot", 1, "no words", retry=False, detail="HTTP 500")
        elif attempt:
            await wall.complete(message.id, "bot", 1, Reply(f"answer to {message.text}"))


async def see(wall: Wall) -> Seen:
    messages = decode_list((await wall.read(newest_first=False)).body)
    lists = {state: await wall.listing(state, 100) for state in get_args(ListState)}
    ids = {state: [decode(one).id for one in found] for state, found in lists.items()}
    details = [one for one in map(bytes, lists["failed"]) if b"HTTP 500" in one]
    return Seen([replace(message, seq=0) for message in messages], ids, [str(len(details))])


async def go_on(wall: Wall) -> None:
    """Retries get their first answers, bots go on, and new messages are newer."""
    before = decode_list((await wall.read()).body)
    for new, key in ((a_post("post 0", entity="rude"), "key 0"), (a_post("own id", id="myownid", entity="rude"), None)):
        with pytest.raises(KeyReused):
            await wall.post(new, key)
    again = await wall.post(a_post("post 0", entity="zen"), "key 0")
    assert (again.id, again.repeated) == (before[-1].id, True)
    assert (await wall.post(a_post("own id", id="myownid", entity="zen"))).repeated
    held = [decode(one) for one in await wall.listing("held", 10)]
    for message in held:
        await wall.extend(message.id, "bot", message.bot_params.attempt)
    claimed = await wall.claim_next("bot", ("zen",), 10, context=10)
    assert claimed.talks is not UNSET
    assert ["context 8"] in [talk.context for talk in claimed.talks.values()]
    assert (await wall.post(a_post("new", entity="zen"))).timestamp > before[0].timestamp
    assert len((await wall.changes(START)).messages) == len(before) + 1


def converted(data: Path, topology: str) -> str:
    done = sww(data.parent, "migrate", "--data", str(data), "--topology", topology)
    assert done.status == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(("first", "second"), [("single", "per-entity"), ("per-entity", "single")])
def test_p1_nothing_is_lost_when_the_topology_changes(tmp_path: Path, first: Topology, second: Topology) -> None:
    data = tmp_path / "data"
    on(data, first, fill)
    before = on(data, first, see)
    assert converted(data, second).startswith(f"converted 16 messages in {data} from {first} to {second}")
    after = on(data, second, see)
    moved = [message for message in after.messages if message not in before.messages]
    assert {message.id for message in after.messages} == {message.id for message in before.messages}
    if first == "single":
        assert after == before
    else:
        assert len({message.timestamp for message in after.messages}) == len(after.messages)
        assert {message.text for message in moved} <= {message.text for message in before.messages}
    on(data, second, go_on)


def test_p1_there_and_back_again_keeps_what_readers_see(tmp_path: Path) -> None:
    data = tmp_path / "data"
    on(data, "single", fill)
    before = on(data, "single", see)
    converted(data, "per-entity")
    assert converted(data, "per-entity") == f"the data in {data} has the topology per-entity already"
    converted(data, "single")
    assert on(data, "single", see) == before
    on(data, "single", go_on)


def test_p7_posts_that_wait_for_review_become_messages_in_the_other_topology(tmp_path: Path) -> None:
    data = tmp_path / "data"

    async def scenario(topology: Topology, text: str) -> list[str]:
        """Approve the post of before, then post what has to wait; returns the texts of the wall."""
        runtime = EmbeddedRuntime(data)
        wall, moderation = open_wall(runtime, CONFIG, topology), moderation_of(runtime)
        async with runtime:
            await recorded_topology(runtime, topology)
            for held in (await moderation.call(Moderation.overview)).held:
                await moderation.call(Moderation.approve, held.id, await wall.place_of(held), "olga", "")
                await moderation.settle()
                assert decode(await wall.message(held.id)).text == held.new.text
                assert (await wall.post(held.new, "a key of " + held.new.text)).held
            await wall.post(a_post(text, entity="zen", ruling=Ruling("hold")), "a key of " + text)
            while not (await moderation.call(Moderation.overview)).held:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.01)
            return [message.text for message in decode_list((await wall.read(newest_first=False)).body)]

    topologies: list[Topology] = ["single", "per-entity", "single", "per-entity"]
    for number, topology in enumerate(topologies):
        if number:
            converted(data, topology)
        texts = run(scenario(topology, f"post {number}"))
        assert texts == [f"post {earlier}" for earlier in range(number)]


def test_the_guides_command_runs_as_it_is_shown(tmp_path: Path) -> None:
    (block,) = [block for block in blocks("docs/operate.md") if block.text.startswith("sww migrate")]
    on(tmp_path / "data", "single", fill)
    (command,) = block.commands
    done = sww(tmp_path, *shlex.split(command)[1:])
    assert done.status == 0, done.stderr
    with Server(tmp_path, topology="per-entity") as server:
        assert len(server.http.get("/api/comments").json()) == 16


def rows(data: Path) -> list[Any]:
    with closing(sqlite3.connect(data / "objects.sqlite3")) as file:
        return [file.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in ("entries", "heads")]  # noqa: S608


def test_p5_timestamps_of_all_objects_go_on_from_the_newest(tmp_path: Path) -> None:
    data = tmp_path / "data"
    on(data, "single", fill)
    newest = max(message.timestamp for message in on(data, "single", see).messages)
    converted(data, "per-entity")
    entries, _ = rows(data)
    assert {value for _, key, value in entries if key == "newest"} == {b"%d" % newest}


def test_p1_a_conversion_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    on(data, "single", fill)
    before = rows(data)
    write = migrate._write

    def fails(*given: Any) -> None:
        write(*given)
        raise OSError("the disk is full")

    monkeypatch.setattr(migrate, "_write", fails)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match="full"):
        migrate.migrate.main(["--data", str(data), "--topology", "per-entity"], standalone_mode=False)
    assert rows(data) == before


def test_p1_what_migrate_does_not_know_is_refused_by_its_name(tmp_path: Path) -> None:
    data = tmp_path / "data"
    on(data, "single", fill)
    with closing(sqlite3.connect(data / "objects.sqlite3")) as file:
        file.execute("INSERT INTO entries VALUES ('MessageQueue/global-queue', 'riddle', '')")
        file.commit()
    done = sww(tmp_path, "migrate", "--data", str(data), "--topology", "per-entity")
    assert done.error == "sww: the data has an entry 'riddle', which sww migrate does not know"


def test_p1_a_topology_that_migrate_does_not_convert_is_refused_by_its_name(tmp_path: Path) -> None:
    data = tmp_path / "data"
    on(data, "single", fill)
    done = sww(tmp_path, "migrate", "--data", str(data), "--topology", "hybrid")
    assert done.error == "sww: sww migrate converts single and per-entity into each other, not single into hybrid"


def test_p1_a_running_server_keeps_its_data(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        done = sww(tmp_path, "migrate", "--data", str(server.data), "--topology", "per-entity")
        assert f"is in use by process {server.pid}" in done.error


def test_p8_a_directory_without_data_is_refused(tmp_path: Path) -> None:
    done = sww(tmp_path, "migrate", "--data", str(tmp_path / "none"), "--topology", "per-entity")
    assert done.error == f"sww: SWW_DATA {tmp_path / 'none'} has no data to convert"
