"""Objects that move to a Restate cluster and back: the same rows and heads, and every call between them taken once."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from courier import Letters, broken
from hypothesis import given
from hypothesis import strategies as st
from ledger import Ledger
from moves import BOXES, Box, into, out_of, place, store, stored

from durable_objects import OutcomeUnknown, SourceChanged, Unsettled
from durable_objects.disk import DATA_VERSION, Change, Head
from durable_objects.embedded import EmbeddedRuntime
from durable_objects.restate import held_object, transfer
from durable_objects.restate.encoding import namespace_of, service_name
from durable_objects.restate.node import Node
from durable_objects.transfer import Piece
from scenario import run


@pytest.fixture(autouse=True)
def nothing_is_broken() -> None:
    broken.clear()


@given(namespace=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_service_is_named_after_one_namespace(namespace: str) -> None:
    service = service_name("wall", namespace)
    assert namespace_of("wall", service) == namespace
    assert namespace_of("wall-2", service) is None


def test_p1_every_row_and_every_head_is_the_same_after_the_way_there_and_back(tmp_path: Path, restate: Node) -> None:
    store(tmp_path / "old", *BOXES)

    async def there_and_back() -> None:
        async with place(restate) as there:
            await into(tmp_path / "old", there)
            assert await there.objects() == sorted(change.object_id for change in BOXES)
            async with there.gateway() as gateway:
                await gateway.namespace("Box", Box).get("ä/ö 😀").call(Box.put, "new", b"x")
            await out_of(there, tmp_path / "new")

    run(there_and_back())
    before, after = stored(tmp_path / "old"), stored(tmp_path / "new")
    head, rows = before["Box/ä/ö 😀"]
    assert after == before | {"Box/ä/ö 😀": (Head(head.seq + 1), rows | {"new": b"x"})}


def letters_of(directory: Path) -> dict[str, list[bytes]]:
    found = {name: stored(directory).get(f"Letters/{name}", (None, {}))[1] for name in "bc"}
    return {name: [value for key, value in rows.items() if key.startswith("got/")] for name, rows in found.items()}


async def write(runtime: Any, *to: str, settled: bool = True) -> None:
    letters = runtime.namespace("Letters", Letters)
    await letters.get("a").call(Letters.write, to=[*to])
    if settled:
        await letters.get("a").settle()


async def settled(runtime: Any) -> None:
    """Wait until all letters are taken, also those that were put off because a commit was full."""
    letters = runtime.namespace("Letters", Letters).get("a")
    while True:
        with suppress(OutcomeUnknown):
            await letters.settle()
            return
        await asyncio.sleep(0.01)


def test_p1_calls_that_are_not_taken_yet_are_taken_once_and_in_order_on_either_runtime(tmp_path: Path, restate: Node) -> None:
    """They wait in the sender's outbox here, and at the receiver there."""

    async def before() -> None:
        async with EmbeddedRuntime(tmp_path / "old") as runtime:
            await write(runtime, "b", "b")
            broken.add("c")
            with pytest.raises(OutcomeUnknown):
                await write(runtime, "b", "c", "c")

    async def there_and_back() -> None:
        async with place(restate) as there:
            broken.clear()
            await into(tmp_path / "old", there)
            async with there.gateway() as gateway:
                await write(gateway, "c", "b")
                broken.add("c")
                with pytest.raises(OutcomeUnknown):
                    await write(gateway, "c", "c", "b")
            await out_of(there, tmp_path / "new")

    async def after() -> None:
        async with EmbeddedRuntime(tmp_path / "new") as runtime:
            await write(runtime, "c", "b")

    run(before())
    run(there_and_back())
    assert letters_of(tmp_path / "new") == {"b": [b"a 1", b"a 2", b"a 3", b"a 7"], "c": [b"a 4", b"a 6"]}
    broken.clear()
    run(after())
    assert letters_of(tmp_path / "new") == {
        "b": [b"a 1", b"a 2", b"a 3", b"a 7", b"a 12"],
        "c": [b"a 4", b"a 6", b"a 8", b"a 9", b"a 11"],
    }, "each fifth one is refused"


def test_p1_an_outbox_that_is_too_large_for_one_commit_is_sent_before_anything_newer(
    tmp_path: Path, restate: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_object, "ENOUGH_BYTES", 1)
    monkeypatch.setattr(held_object, "_CALLS_TOGETHER", 3)

    async def before() -> None:
        async with EmbeddedRuntime(tmp_path / "old") as runtime:
            broken.add("b")
            broken.add("c")
            for _ in range(4):
                with pytest.raises(OutcomeUnknown):
                    await write(runtime, "b", "c", "b", "b")
        broken.clear()

    async def there_and_back() -> None:
        async with place(restate) as there:
            await into(tmp_path / "old", there)
            async with there.gateway() as gateway:
                await write(gateway, "b", "c", "b", "b", settled=False)
                await settled(gateway)
            await out_of(there, tmp_path / "new")

    run(before())
    run(there_and_back())
    sent = {"b": [1, 3, 4, 7, 8, 9, 11, 12, 13, 16, 17, 19], "c": [2, 6, 14, 18]}
    assert letters_of(tmp_path / "new") == {name: [b"a %d" % number for number in numbers] for name, numbers in sent.items()}


def test_p1_an_alarm_that_was_due_meanwhile_runs_and_a_later_one_waits(tmp_path: Path, restate: Node) -> None:
    store(
        tmp_path / "old",
        Change("Ledger/due", {}, Head(7, 1_000)),
        Change("Ledger/later", {"entry/00000001": b"x"}, Head(1, 2**50)),
    )

    async def there_and_back() -> list[str]:
        async with place(restate) as there:
            await into(tmp_path / "old", there)
            async with there.gateway() as gateway:
                ledger = gateway.namespace("Ledger", Ledger).get("due")
                while not (texts := await ledger.call(Ledger.texts)):  # noqa: ASYNC110 - as until
                    await asyncio.sleep(0.01)
            await out_of(there, tmp_path / "new")
            return texts

    assert run(there_and_back()) == ["alarm ran"]
    assert stored(tmp_path / "new") == {
        "Ledger/due": (Head(8), {"entry/00000008": b"alarm ran"}),
        "Ledger/later": (Head(1, 2**50), {"entry/00000001": b"x"}),
    }


def test_p7_a_call_repeated_after_the_move_gets_its_first_answer(tmp_path: Path, restate: Node) -> None:
    async def call(runtime: Any, key: str) -> int:
        stub = runtime.namespace("Ledger", Ledger).get("a").options(idempotency_key=key)
        return int((await stub.call(Ledger.append, "x")).seq)

    async def there_and_back() -> None:
        async with EmbeddedRuntime(tmp_path / "old") as runtime:
            assert await call(runtime, "once") == 1
        async with place(restate) as there:
            await into(tmp_path / "old", there)
            async with there.gateway() as gateway:
                assert [await call(gateway, "once"), await call(gateway, "twice")] == [1, 2]
            await out_of(there, tmp_path / "new")
        async with EmbeddedRuntime(tmp_path / "new") as runtime:
            assert [await call(runtime, key) for key in ("once", "twice", "new")] == [1, 2, 3]

    run(there_and_back())


def test_p1_objects_that_change_while_they_are_read_are_not_moved(restate: Node) -> None:
    async def scenario(between: str) -> None:
        async with place(restate) as there, there.gateway() as gateway:
            boxes = gateway.namespace("Box", Box)
            await boxes.get("a").call(Box.put, "k", b"v")
            await boxes.get("b").call(Box.put, "k", b"v")
            async with there.source() as source:
                found = await source.objects()
                if between == "before":
                    await boxes.get("a").call(Box.put, "k", b"w")
                pieces = [piece for object_id in found async for piece in source.pieces(object_id)]
                assert len(pieces) == 2
                if between == "after":
                    await boxes.get("b").call(Box.put, "k", b"w")
                if between == "new":
                    await boxes.get("c").call(Box.put, "k", b"w")
                await source.check()

    for between, rule in (("before", "Box/a changed"), ("after", "Box/b changed"), ("new", "objects came")):
        with pytest.raises(SourceChanged, match=rf"{rule} while .* read; stop the gateways, then try again"):
            run(scenario(between))
    run(scenario("never"))


def test_p1_objects_with_calls_under_way_are_not_moved(restate: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "SETTLE_SECONDS", 0.0)

    async def scenario() -> None:
        async with place(restate) as there, there.target() as target, there.source() as source:
            await target.begin(DATA_VERSION, bytes(32))
            await target.write(Piece("Box/a", Head(1), [("\x01sent/Box/b", b"1001")]))
            await target.finish()
            await source.objects()

    with pytest.raises(Unsettled, match="Box/b has not taken the calls of Box/a for 0 seconds"):
        run(scenario())
