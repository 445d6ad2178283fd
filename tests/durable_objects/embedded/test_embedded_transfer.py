"""Objects that leave a data directory and enter another: the same rows, heads and calls under way, or nothing of them."""

import asyncio
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from courier import Letters, broken
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger import Ledger
from processes import next_line, process

from durable_objects import DataExists, DataLocked, DataUnreadable, OutcomeUnknown
from durable_objects.disk import DATA_VERSION, Change, Head
from durable_objects.embedded import EmbeddedRuntime
from durable_objects.embedded.store import IMPORT, Store
from durable_objects.embedded.transfer import EmbeddedSource, EmbeddedTarget
from durable_objects.transfer import Piece
from profiles import examples
from scenario import run, until

Objects = Mapping[str, tuple[Head, Mapping[str, bytes]]]

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
OBJECTS = st.dictionaries(
    NAMES,
    st.tuples(
        st.builds(Head, st.integers(1, 2**62), st.none() | st.integers(0, 2**53 - 1)),
        st.dictionaries(st.builds(str.__add__, st.sampled_from(["", "\x01out/", "\x01"]), NAMES), st.binary(max_size=300)),
    ),
    max_size=5,
)


@pytest.fixture(autouse=True)
def nothing_is_broken() -> None:
    broken.clear()


def store(directory: Path, objects: Objects) -> None:
    directory.mkdir()
    file = Store(directory)
    file.open()
    file.write([Change(name, dict(rows), head) for name, (head, rows) in objects.items()])
    file.close()


def stored(directory: Path) -> list[Any]:
    """All rows, all heads, and the index of the calls that may not be taken yet."""
    read = [
        "SELECT * FROM entries ORDER BY 1, 2",
        "SELECT * FROM heads WHERE object <> '' ORDER BY 1",  # a disk's probe leaves one without a name
        "SELECT object, key FROM entries INDEXED BY outboxes WHERE key >= '\x01out/' AND key < '\x01out0' ORDER BY 1, 2",
    ]
    with closing(sqlite3.connect(directory / "objects.sqlite3")) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [file.execute(statement).fetchall() for statement in read]


async def move(origin: Path, directory: Path) -> list[Piece]:
    pieces: list[Piece] = []
    async with EmbeddedSource(origin) as source, EmbeddedTarget(directory) as target:
        await target.begin(source.data_version, bytes(32))
        for object_id in await source.objects():
            async for piece in source.pieces(object_id):
                await target.write(piece)
                pieces.append(piece)
        await source.check()
        await target.finish()
    return pieces


@settings(max_examples=examples(100))
@given(objects=OBJECTS, size=st.sampled_from([1, 100, 256 * 1024]))
def test_p1_every_row_and_every_head_moves(tmp_path_factory: pytest.TempPathFactory, objects: Objects, size: int) -> None:
    directory = tmp_path_factory.mktemp("move")
    store(directory / "old", objects)
    before = stored(directory / "old")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("durable_objects.transfer.PIECE_BYTES", size)
        pieces = run(move(directory / "old", directory / "new"))
    assert stored(directory / "new") == before == stored(directory / "old")
    assert all(len(piece.rows) <= 1 for piece in pieces) or size > 1, "pieces fit into memory"
    assert sum(piece.head is not None for piece in pieces) == len(objects)


def test_p1_a_call_that_is_not_taken_yet_is_taken_once_where_it_goes(tmp_path: Path) -> None:
    """Some were taken, and their rows not removed yet; others wait for a receiver that fails."""

    async def before() -> None:
        async with EmbeddedRuntime(tmp_path / "old") as runtime:
            letters = runtime.namespace("Letters", Letters)
            await letters.get("a").call(Letters.write, to=["b", "b"])
            await letters.get("a").settle()
            broken.add("c")  # it fails
            await letters.get("a").call(Letters.write, to=["b", "c", "c"])
            with pytest.raises(OutcomeUnknown):
                await letters.get("a").settle()

    async def after() -> None:
        async with EmbeddedRuntime(tmp_path / "new") as runtime:
            letters = runtime.namespace("Letters", Letters)
            await letters.get("a").settle()
            await letters.get("a").call(Letters.write, to=["b", "c"])
            await letters.get("a").settle()
            assert [await letters.get(name).call(Letters.read) for name in ("b", "c")] == [4, 2]

    run(before())
    broken.clear()
    run(move(tmp_path / "old", tmp_path / "new"))
    run(after())
    got = [(object_id, key, value) for object_id, key, value in stored(tmp_path / "new")[0] if key.startswith("got/")]
    assert got == [
        ("Letters/b", "got/000001", b"a 1"),
        ("Letters/b", "got/000002", b"a 2"),
        ("Letters/b", "got/000003", b"a 3"),
        ("Letters/b", "got/000004", b"a 6"),
        ("Letters/c", "got/000001", b"a 4"),
        ("Letters/c", "got/000002", b"a 7"),
    ], "the letter 5 is refused, as each fifth one is"


def test_p1_an_alarm_that_was_due_meanwhile_runs_at_once(tmp_path: Path) -> None:
    now = 1_000

    async def before() -> None:
        async with EmbeddedRuntime(tmp_path / "old", clock=lambda: now) as runtime:
            await runtime.namespace("Ledger", Ledger).get("a").call(Ledger.set_alarm, now + 10)

    async def after() -> list[str]:
        runtime = EmbeddedRuntime(tmp_path / "new", clock=lambda: now + 20)
        ledger = runtime.namespace("Ledger", Ledger).get("a")
        async with runtime:
            await until(lambda: runtime.meter.alarms == 1)
            return await ledger.call(Ledger.texts)

    run(before())
    run(move(tmp_path / "old", tmp_path / "new"))
    assert run(after()) == ["alarm set", "alarm ran"]


def test_p7_a_call_repeated_after_the_move_gets_its_first_answer(tmp_path: Path) -> None:
    async def call(directory: Path) -> int:
        async with EmbeddedRuntime(tmp_path / directory) as runtime:
            stub = runtime.namespace("Ledger", Ledger).get("a").options(idempotency_key="once")
            return (await stub.call(Ledger.append, "x")).seq

    first = run(call(tmp_path / "old"))
    run(move(tmp_path / "old", tmp_path / "new"))
    assert run(call(tmp_path / "new")) == first == 1


def test_p1_data_that_a_runtime_uses_is_refused(tmp_path: Path) -> None:
    with process("hold", tmp_path) as holder:
        assert next_line(holder) == "holding"
        for place in (EmbeddedSource(tmp_path), EmbeddedTarget(tmp_path)):
            with pytest.raises(DataLocked, match=rf"is in use by process {holder.pid}"):
                run(place.__aenter__())


async def begin(directory: Path, data_version: int = DATA_VERSION) -> None:
    async with EmbeddedTarget(directory) as target:
        await target.begin(data_version, bytes(32))
        await target.write(Piece("Ledger/a", Head(1), [("k", b"")]))


@pytest.mark.parametrize("name", ["objects.sqlite3", "objects.sqlite3-wal", "objects.sqlite3-journal"])
def test_p1_a_directory_with_data_is_refused(tmp_path: Path, name: str) -> None:
    """Also with a log alone, which SQLite would apply to what is written there."""
    (tmp_path / name).write_bytes(b"data")
    with pytest.raises(DataExists, match=rf"{tmp_path} has data already \({name}\); choose another directory"):
        run(begin(tmp_path))
    assert (tmp_path / name).read_bytes() == b"data"


def test_p1_what_is_not_finished_is_not_there(tmp_path: Path) -> None:
    run(begin(tmp_path / "new"))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["lock"]


def test_p1_a_runtime_refuses_a_directory_whose_import_has_not_ended(tmp_path: Path) -> None:
    async def start() -> None:
        async with EmbeddedRuntime(tmp_path):
            pass

    (tmp_path / IMPORT).write_bytes(b"half of it")
    rule = f"an import into {tmp_path} has not ended; run it again, or remove {tmp_path / IMPORT}"
    with pytest.raises(DataUnreadable) as refused:
        run(start())
    assert str(refused.value) == rule
    store(tmp_path / "old", {"Ledger/a": (Head(1), {"k": b"v"})})
    run(move(tmp_path / "old", tmp_path))
    run(start())
    assert stored(tmp_path) == stored(tmp_path / "old")


@pytest.mark.parametrize(
    ("version", "way"),
    [(DATA_VERSION + 1, "use the program that wrote it, or a later one"), (1, "use one that can convert it")],
)
def test_data_of_another_version_is_refused_with_a_way_out(tmp_path: Path, version: int, way: str) -> None:
    with pytest.raises(DataUnreadable) as refused:
        run(begin(tmp_path / "new", version))
    assert str(refused.value) == f"the data has version {version}; this program reads version {DATA_VERSION}: {way}"


def test_p1_an_object_that_comes_twice_is_refused(tmp_path: Path) -> None:
    async def twice() -> None:
        async with EmbeddedTarget(tmp_path / "new") as target:
            await target.begin(DATA_VERSION, bytes(32))
            for _ in range(2):
                await target.write(Piece("Ledger/a", Head(1), []))

    with pytest.raises(DataUnreadable, match="Ledger/a comes twice"):
        run(twice())


def enter_source(directory: Path) -> str:
    async def enter() -> None:
        async with EmbeddedSource(directory) as source:
            await source.objects()
            await source.check()

    with pytest.raises(DataUnreadable) as refused:
        asyncio.run(enter())
    return str(refused.value)


def test_p8_data_that_cannot_be_read_is_refused_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "objects.sqlite3"
    assert enter_source(tmp_path) == f"{tmp_path} has no data"
    path.write_bytes(b"no database" * 1_000)
    assert enter_source(tmp_path) == f"{path} cannot be read: file is not a database"
    path.unlink()
    with closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE t (x)")
    assert enter_source(tmp_path) == f"{path} was written by another program (application id 0x0)"
    path.unlink()
    store(tmp_path / "old", {"Ledger/a": (Head(1), {"k": b"v"})})
    with closing(sqlite3.connect(tmp_path / "old" / "objects.sqlite3")) as file:
        file.execute("DELETE FROM heads")
        file.commit()
    assert enter_source(tmp_path / "old").endswith("has 1 rows that belong to no object")
    with closing(sqlite3.connect(tmp_path / "old" / "objects.sqlite3")) as file:
        file.execute(f"PRAGMA user_version = {DATA_VERSION + 1}")
    way = "export it with the program that wrote it, or a later one"
    assert enter_source(tmp_path / "old").endswith(f"this program reads version {DATA_VERSION}: {way}")
