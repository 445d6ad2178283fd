"""Every bound of ``limits`` holds, is named when it is passed, and leaves the state untouched (P8)."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ledger import Entry, Ledger

from durable_objects import DurableObject, DurableObjectError, LimitExceeded, ObjectFailed
from durable_objects.embedded import EmbeddedRuntime
from durable_objects.limits import MAX_CALL_WRITES, MAX_KEY_BYTES, MAX_LIST_PAGE, MAX_NAME_CHARS, MAX_VALUE_BYTES
from durable_objects.simulated import SimulatedRuntime
from scenario import run


class Shelf(DurableObject):
    def put(self, key: str, value: bytes = b"") -> None:
        self.ctx.storage.put("before", b"")
        self.ctx.storage.put(key, value)

    def delete(self, key: str) -> None:
        self.ctx.storage.put("before", b"")
        self.ctx.storage.delete(key)

    def get(self, key: str) -> None:
        self.ctx.storage.put("before", b"")
        self.ctx.storage.get(key)

    def put_many(self, count: int) -> None:
        for n in range(count):
            self.ctx.storage.put(f"{n}", b"")

    def put_all_it_can(self) -> None:
        for n in range(2 * MAX_CALL_WRITES):
            try:
                self.ctx.storage.put(f"{n:04}", b"")
            except LimitExceeded:
                continue

    def list(self, limit: int) -> int:
        return len(self.ctx.storage.list(limit=limit))

    def count(self) -> int:
        page = self.ctx.storage.list()
        count = len(page)
        while page:
            page = self.ctx.storage.list(after=page[-1][0])
            count += len(page)
        return count


BEYOND: dict[str, tuple[Callable[..., object], tuple[object, ...], str]] = {
    "an empty key": (Shelf.put, ("",), "a key has 0 bytes; 1 to 2048 are allowed"),
    "a long key": (Shelf.put, ("k" * (MAX_KEY_BYTES + 1),), "a key has 2049 bytes"),
    "a key long in bytes only": (Shelf.put, ("é" * (MAX_KEY_BYTES // 2 + 1),), "a key has 2050 bytes"),
    "a long key to delete": (Shelf.delete, ("k" * (MAX_KEY_BYTES + 1),), "a key has 2049 bytes"),
    "a large value": (Shelf.put, ("k", bytes(MAX_VALUE_BYTES + 1)), "the value of 'k' has 131073 bytes; at most 131072 are"),
    "a key of the runtime": (Shelf.put, ("\1key",), "begins with U+0001; those keys are the runtime's"),
    "a key of the runtime to delete": (Shelf.delete, ("\1key",), "begins with U+0001"),
    "a key of the runtime to read": (Shelf.get, ("\1key",), "begins with U+0001"),
    "too many writes": (Shelf.put_many, (MAX_CALL_WRITES + 1,), "one call writes more than 1000 keys"),
    "a page of none": (Shelf.list, (0,), "limit is 0; 1 to 1000 are allowed"),
    "a long page": (Shelf.list, (MAX_LIST_PAGE + 1,), "limit is 1001; 1 to 1000 are allowed"),
}


@pytest.mark.parametrize("case", BEYOND)
def test_p8_beyond_a_bound_a_call_fails_with_the_rule_and_writes_nothing(case: str) -> None:
    method, args, rule = BEYOND[case]
    runtime = SimulatedRuntime()
    shelf = runtime.namespace("Shelf", Shelf).get("shelf")
    with pytest.raises(ObjectFailed, match=re.escape(rule)) as failure:
        runtime.run(shelf.call(method, *args))
    assert isinstance(failure.value.__cause__, LimitExceeded)
    assert runtime.run(shelf.call(Shelf.count)) == 0


def test_up_to_its_bounds_a_call_may_go_and_all_of_it_is_durable(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path) as runtime:
            shelf = runtime.namespace("Shelf", Shelf).get("s" * MAX_NAME_CHARS)
            await shelf.call(Shelf.put, "k" * MAX_KEY_BYTES, bytes(MAX_VALUE_BYTES))
            await shelf.call(Shelf.put, "é" * (MAX_KEY_BYTES // 2))
            await shelf.call(Shelf.put_many, MAX_CALL_WRITES)
            assert await shelf.call(Shelf.list, MAX_LIST_PAGE) == MAX_LIST_PAGE
            assert await shelf.call(Shelf.count) == MAX_CALL_WRITES + 3

    run(scenario())


def test_an_object_that_ignores_the_error_writes_no_more_keys_than_allowed() -> None:
    runtime = SimulatedRuntime()
    shelf = runtime.namespace("Shelf", Shelf).get("shelf")
    runtime.run(shelf.call(Shelf.put_all_it_can))
    assert runtime.run(shelf.call(Shelf.count)) == MAX_CALL_WRITES


@pytest.mark.parametrize("name", ["", "n" * (MAX_NAME_CHARS + 1)])
def test_p8_a_name_is_bounded(name: str) -> None:
    runtime = SimulatedRuntime()
    shelves = runtime.namespace("Shelf", Shelf)
    rule = rf"has {len(name)} characters; 1 to 256 are allowed"
    with pytest.raises(LimitExceeded, match=f"the name of an object {rule}"):
        shelves.get(name)
    with pytest.raises(LimitExceeded, match=f"the name of a namespace {rule}"):
        runtime.namespace(name, Shelf)
    with pytest.raises(TypeError, match="the name of an object is int, not str"):
        shelves.get(7)  # type: ignore[arg-type]


def test_two_objects_of_different_namespaces_are_never_the_same() -> None:
    runtime = SimulatedRuntime()
    with pytest.raises(LimitExceeded, match="'a/b'; a slash is not allowed"):
        runtime.namespace("a/b", Shelf)
    inner, outer = runtime.namespace("b", Shelf).get("c/d"), runtime.namespace("c", Shelf).get("d")
    runtime.run(inner.call(Shelf.put, "k"))
    assert runtime.run(inner.call(Shelf.count)) == 2
    assert runtime.run(outer.call(Shelf.count)) == 0


def test_p8_text_that_utf8_cannot_carry_is_refused_as_a_name_and_as_a_key(tmp_path: Path) -> None:
    """Half a surrogate pair, which JSON can carry."""

    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path) as runtime:
            shelves = runtime.namespace("Shelf", Shelf)
            with pytest.raises(ObjectFailed):
                await shelves.get("shelf").call(Shelf.put, "\ud800")
            assert await shelves.get("shelf").call(Shelf.count) == 0
            with pytest.raises(DurableObjectError):
                await shelves.get("\ud800").call(Shelf.put, "k")

    run(scenario())


@pytest.mark.parametrize("at", [2**63, 1.5])
def test_an_alarm_that_not_every_disk_can_store_fails_alone(tmp_path: Path, at: Any) -> None:
    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path) as runtime:
            ledgers = runtime.namespace("Ledger", Ledger)
            strange, usual = await asyncio.gather(
                ledgers.get("strange").call(Ledger.set_alarm, at),
                ledgers.get("usual").call(Ledger.append, "first"),
                return_exceptions=True,
            )
            assert usual == Entry(1, "first")
            assert isinstance(strange, ObjectFailed)

    run(scenario())
