"""An import into a cluster: all or nothing, whatever was there before and whenever it is broken off."""

import asyncio
from pathlib import Path

import pytest
from ledger import Ledger
from moves import BOXES, Place, into, out_of, place, store, stored

from durable_objects import DataExists, DataUnreadable
from durable_objects.disk import DATA_VERSION, Change, Head
from durable_objects.restate import transfer
from durable_objects.restate.node import Node
from durable_objects.restate.transfer import RestateTarget
from durable_objects.transfer import Piece
from scenario import run


def test_p1_an_import_that_was_broken_off_starts_nothing_and_goes_on(
    tmp_path: Path, restate: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each of its requests. The first object is the one that gateways call first, and refuses until all is there."""
    store(tmp_path / "old", *BOXES[:2], Change("A/z", {}, Head(5, 1_000)))
    send = RestateTarget._send

    async def scenario(number: int) -> bool:
        left = number

        async def fails(self: RestateTarget, object_id: str, handler: str, body: bytes, key: str | None = None) -> bytes:
            nonlocal left
            left -= handler in {"restore", "arrive"}
            if left < 0:
                raise ConnectionError
            return await send(self, object_id, handler, body, key)

        async with place(restate) as there:
            with monkeypatch.context() as patch:
                patch.setattr(RestateTarget, "_send", fails)
                try:
                    await into(tmp_path / "old", there)
                except ConnectionError:
                    ended = False
                else:
                    ended = True
            async with there.gateway() as gateway:
                ledger = gateway.namespace("A", Ledger).get("z")
                if not ended and "A/z" in await there.objects():
                    with pytest.raises(DataUnreadable, match="A/z is part of an import that has not ended; run it again"):
                        await ledger.call(Ledger.append, "too early")
                    with pytest.raises(DataUnreadable, match="is part of an import that has not ended"):
                        await out_of(there, tmp_path / f"never {number}")
                if not ended:
                    await into(tmp_path / "old", there)
                with pytest.raises(DataExists, match="the cluster has objects already, such as"):
                    await into(tmp_path / "old", there)
                while not (texts := await ledger.call(Ledger.texts)):  # noqa: ASYNC110 - as until
                    await asyncio.sleep(0.01)
                assert texts == ["alarm ran"]
            await out_of(there, tmp_path / f"new {number}")
        return ended

    number, ended = -1, False
    while not ended:
        number += 1
        ended = run(scenario(number))
        before, after = stored(tmp_path / "old"), stored(tmp_path / f"new {number}")
        assert after == before | {"A/z": (Head(6), {"entry/00000006": b"alarm ran"})}
    assert number == 6, "three pieces, and three objects that begin"


def test_p1_what_another_import_has_left_is_removed(tmp_path: Path, restate: Node) -> None:
    store(tmp_path / "old", *BOXES[:2])

    async def scenario() -> None:
        async with place(restate) as there:
            async with there.target() as target:
                await target.begin(DATA_VERSION, b"1" * 32)
                await target.write(Piece("Box/empty", Head(1), [("left", b"")]))
                await target.write(Piece("Box/left", Head(1), []))
                await target.write(Piece("Box/left", None, [("k", b"v")]))
            await into(tmp_path / "old", there, b"2" * 32)
            await out_of(there, tmp_path / "new")

    run(scenario())
    assert stored(tmp_path / "new") == stored(tmp_path / "old")


@pytest.mark.parametrize("repeated", ["discard", "restore"])
def test_p1_a_request_that_comes_again_late_removes_nothing(
    tmp_path: Path, restate: Node, monkeypatch: pytest.MonkeyPatch, repeated: str
) -> None:
    send = RestateTarget._send

    async def scenario() -> None:
        sent: list[tuple[str, str, bytes, str | None]] = []

        async def kept(self: RestateTarget, object_id: str, handler: str, body: bytes, key: str | None = None) -> bytes:
            if handler == repeated:
                sent.append((object_id, handler, body, key))
            return await send(self, object_id, handler, body, key)

        async with place(restate) as there:
            async with there.target() as target:
                await target.begin(DATA_VERSION, b"1" * 32)
                await target.write(Piece("Box/a", Head(1), [("old", b"")]))
                await target._written()
            monkeypatch.setattr(RestateTarget, "_send", kept)
            async with there.target() as target:
                await target.begin(DATA_VERSION, b"2" * 32)
                await target.write(Piece("Box/a", Head(1), [("1", b"")]))
                await target.write(Piece("Box/a", None, [("2", b"")]))
                await target._written()
                await send(target, *sent[0])
                await target.finish()
            await out_of(there, tmp_path / "new")

    run(scenario())
    assert stored(tmp_path / "new") == {"Box/a": (Head(1), {"1": b"", "2": b""})}


def test_p1_an_object_begins_again_with_its_head(tmp_path: Path, restate: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that was not listed when the import began."""

    async def nothing(*_: object) -> list[str]:
        return []

    async def scenario() -> None:
        async with place(restate) as there:
            with monkeypatch.context() as patch:
                patch.setattr(transfer, "objects_of", nothing)
                for import_id, key in ((b"1" * 32, "left"), (b"2" * 32, "right")):
                    async with there.target() as target:
                        await target.begin(DATA_VERSION, import_id)
                        await target.write(Piece("Box/a", Head(1), [(key, b"")]))
                        await target.write(Piece("Box/b", None, []))
                        with pytest.raises(DataUnreadable, match="rows of Box/b come without its head"):
                            await target._written()
                async with there.target() as target:
                    await target.begin(DATA_VERSION, b"2" * 32)
                    await target.write(Piece("Box/a", Head(1), [("right", b"")]))
                    await target.finish()
            await out_of(there, tmp_path / "new")

    run(scenario())
    assert stored(tmp_path / "new") == {"Box/a": (Head(1), {"right": b""})}


@pytest.mark.parametrize(
    ("version", "way"),
    [
        (1, "import it into a data directory, which converts it, and export it from there"),
        (DATA_VERSION + 1, "use the program that wrote it"),
    ],
)
def test_data_of_another_version_is_refused_with_a_way_out(restate: Node, version: int, way: str) -> None:
    async def scenario() -> None:
        async with Place(restate, "none").target() as target:
            await target.begin(version, bytes(32))

    with pytest.raises(DataUnreadable) as refused:
        run(scenario())
    assert str(refused.value) == f"the data has version {version}; this program writes version {DATA_VERSION} here: {way}"
