"""P1 when the power fails: every write that was not synced is dropped, and nothing that was acknowledged is missing."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path

from ledger import key_of
from power import CALLS, Disk, in_order, printed
from processes import SHOWN, process

from durable_objects.embedded.store import Store
from strace import command, parse


def texts(directory: Path, ledger: str) -> dict[int, str]:
    with closing(sqlite3.connect(Store(directory).path)) as file:
        file.execute("PRAGMA synchronous = OFF")
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (seq,) = file.execute("SELECT max(seq) FROM heads WHERE object = ?", (f"Ledger/{ledger}",)).fetchone()
        entries = file.execute("SELECT key, value FROM entries WHERE object = ? ORDER BY key", (f"Ledger/{ledger}",)).fetchall()
    assert [key for key, _ in entries] == [key_of(n) for n in range(1, (seq or 0) + 1)]
    return {seq: value.decode()[:SHOWN] for seq, (_, value) in enumerate(entries, 1)}


def test_p1_what_was_acknowledged_survives_a_loss_of_power_at_any_answer(tmp_path: Path) -> None:
    """Nine callers at once; their process's system calls are replayed, and the power fails at each line that it prints.

    Then all that was not synced is gone, or some of it is there, in pieces: both times everything that was acknowledged so far
    is there, and every commit is there as a whole or not at all.
    """
    trace, data = tmp_path / "trace", tmp_path / "data"
    data.mkdir()
    with process("write some", data, through=command(trace, *CALLS, characters=100_000, hexadecimal=True)) as writer:
        lines, _ = writer.communicate()
        assert writer.returncode == 0
    disk, survivors = Disk(data), random.Random(7)
    acknowledged: dict[str, dict[int, str]] = {}
    before = 0
    for number, call in enumerate(in_order(parse(trace.read_text()))):
        if (line := printed(call)) is None:
            disk.take(call)
            continue
        before = before or disk.syncs["objects.sqlite3"]
        ledger, seq, text = line.split()
        acknowledged.setdefault(ledger, {})[int(seq)] = text
        for kind, some in (("none", None), ("some", survivors)):
            left = tmp_path / f"{number}-{kind}"
            disk.leave(left, some)
            there = texts(left, ledger)
            assert {seq: there.get(seq) for seq in acknowledged[ledger]} == acknowledged[ledger], f"lost at {line}"
    assert sum(map(len, acknowledged.values())) == len(lines.splitlines()) == 90
    assert disk.syncs["objects.sqlite3"] > before, "and the log was moved into the file meanwhile"
