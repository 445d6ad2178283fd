"""One process per data directory (section 4: one live instance per id)."""

import os
import re
from pathlib import Path

import pytest
from ledger import Entry, Ledger
from processes import next_line, process

from durable_objects import DataLocked
from durable_objects.embedded import EmbeddedRuntime
from durable_objects.embedded.lock import DirectoryLock
from scenario import run


async def enter(directory: Path) -> None:
    async with EmbeddedRuntime(directory) as runtime:
        ledger = runtime.namespace("Ledger", Ledger).get("a")
        assert await ledger.call(Ledger.append, "first") == Entry(1, "first")


def test_a_second_process_is_refused_and_the_error_names_the_first(tmp_path: Path) -> None:
    with process("hold", tmp_path) as holder:
        assert next_line(holder) == "holding"
        message = f"{re.escape(str(tmp_path))} is in use by process {holder.pid} "
        for _ in range(2):  # a refused attempt takes nothing from the holder
            with pytest.raises(DataLocked, match=message):
                run(enter(tmp_path))


def test_a_second_process_is_refused_though_somebody_removed_the_lock_file(tmp_path: Path) -> None:
    with process("hold", tmp_path) as holder:
        assert next_line(holder) == "holding"
        (tmp_path / "lock").unlink()
        with pytest.raises(DataLocked, match="in use by another process"):
            run(enter(tmp_path))


def test_a_second_runtime_in_the_same_process_is_refused_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path):
            with pytest.raises(DataLocked, match=f"process {os.getpid()} "):
                await enter(tmp_path)
        await enter(tmp_path)

    run(scenario())


def test_p9_sigkill_frees_the_lock(tmp_path: Path) -> None:
    with process("hold", tmp_path) as holder:
        assert next_line(holder) == "holding"
        holder.kill()
        holder.wait()
        run(enter(tmp_path))


def test_a_lock_releases_only_what_it_holds_and_can_be_taken_again(tmp_path: Path) -> None:
    first, second = DirectoryLock(tmp_path), DirectoryLock(tmp_path)
    first.acquire()
    second.release()
    with pytest.raises(DataLocked):
        second.acquire()
    first.release()
    first.release()
    second.acquire()
    second.release()
