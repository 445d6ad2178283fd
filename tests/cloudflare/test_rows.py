"""What is played is billed as workerd bills it: the same statements cost the same rows."""

import asyncio
import json
from pathlib import Path

import pytest
from bundle import bundle
from project import read
from workerd import Workerd

from durable_objects import Meter
from durable_objects.cloudflare.disk import LogDisk
from durable_objects.cloudflare.platform import Result, Value
from durable_objects.disk import Change, Head
from saywhatwant.cost.storage import SqliteStorage

PROBE = Path(__file__).with_name("probe")


class Recorded(SqliteStorage):
    """A storage that keeps what ran."""

    def __init__(self) -> None:
        super().__init__(lambda _: None)
        self.ran: list[tuple[str, list[int], list[int]]] = []

    def exec(self, statement: str, *bindings: Value) -> Result:
        result = super().exec(statement, *bindings)
        sizes = [-1 - value if isinstance(value, int) else len(value) for value in bindings]
        self.ran.append((statement, sizes, [result.rows_read, result.rows_written]))
        return result


async def use(storage: Recorded) -> None:
    """Write more than the log takes, read it after a wake, and remove it again."""
    disk, seq = LogDisk(storage, Meter()), 0
    for value in (b"x" * 10_000, None):
        for n in range(30):
            seq += 1
            await disk.commit([Change("Wall/wall", {f"message/{n:06}": value, "state": b"%d" % n}, Head(seq))])
        disk = LogDisk(storage, Meter())
        disk.list("Wall/wall", "", "", 1_000)


def test_the_rows_of_the_disk_are_those_that_workerd_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for bound, value in (
        ("disk.LOG_BYTES", 100_000),
        ("disk.FOLD_BYTES", 25_000),
        ("log.MIN_SLOTS", 4),
        ("log.MAX_DEAD_SLOTS", 4),
    ):
        monkeypatch.setattr(f"durable_objects.cloudflare.{bound}", value)
    storage = Recorded()
    asyncio.run(use(storage))
    kinds = {statement.partition(" IN ")[0] for statement, _, _ in storage.ran}
    first = [next(n for n, ran in enumerate(storage.ran) if ran[0].startswith(kind)) for kind in kinds]
    assert len(kinds) >= 6
    with Workerd(read(PROBE).config(bundle(), tmp_path), tmp_path) as served:
        for number, (statement, sizes, (rows_read, rows_written)) in enumerate(storage.ran[: max(first) + 1]):
            status, answer = served.request("POST", "/", json.dumps(["billed", statement, sizes]).encode())
            assert status == 200, answer
            found_read, found_written = json.loads(answer)
            assert found_written == rows_written, (number, statement)
            assert abs(found_read - rows_read) <= 1, (number, statement)  # an empty table is one row
