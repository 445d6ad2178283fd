"""The disk on Cloudflare is what a dict is, whatever happens; and a commit writes one row."""

import asyncio
from collections.abc import Iterable, Iterator
from random import Random

import msgspec
import pytest
from fake_storage import FakeStorage, StorageFails
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from durable_objects import DataUnreadable, Meter
from durable_objects.cloudflare import disk as disk_module
from durable_objects.cloudflare import log as log_module
from durable_objects.cloudflare import pages as pages_module
from durable_objects.cloudflare.disk import LogDisk
from durable_objects.disk import Change, Head, Writes
from durable_objects.limits import MAX_CALL_WRITES, MAX_VALUE_BYTES
from durable_objects.storage import OUTBOX
from profiles import examples

OBJECTS = ("a/1", "b/2")
LARGEST = "\U0010ffff"

objects = st.sampled_from(OBJECTS)
keys = st.sampled_from([*"abcdefgh", "\x00", LARGEST, "é", f"{OUTBOX}x", f"{OUTBOX}y", "k/1", "k/2"])
values = st.none() | st.binary(max_size=40) | st.just(bytes(200))
heads = st.builds(Head, st.integers(0, 2**53), st.none() | st.integers(0, 2**53 - 1))
changes = st.builds(Change, objects, st.dictionaries(keys, values, max_size=6), heads)


def commit(disk: LogDisk, some: Iterable[Change]) -> None:
    asyncio.run(disk.commit([*some]))


def stored(storage: FakeStorage) -> Iterator[tuple[str, str, bytes]]:
    """All values in the rows of both tables, also those that do not count any more, with their objects and keys."""
    for (data,) in storage.exec("SELECT data FROM log").rows:
        row = msgspec.msgpack.decode(data, type=log_module.Row)
        for name, records in row.objects.items():
            yield from ((name, key, value) for key, value in records.items() if value is not None)
    for place, data in storage.exec("SELECT place, data FROM pages").rows:
        name, _ = msgspec.msgpack.decode(place, type=tuple[str, str])
        for key, value in msgspec.msgpack.decode(data, type=list[tuple[str, bytes]]):
            yield name, key, value


class SmallLog:
    """The bounds of the log, so small that every path is gone in a few commits."""

    BOUNDS = (
        (log_module, "MAX_ROW_BYTES", 300),
        (log_module, "SLOT_BYTES", 100),
        (log_module, "MIN_SLOTS", 2),
        (log_module, "COPY_BYTES", 400),
        (log_module, "MAX_DEAD_SLOTS", 1),
        (log_module, "MAX_DEAD_BYTES", 300),
        (log_module, "MAX_REMOVED", 2),
        (disk_module, "LOG_BYTES", 350),
        (disk_module, "FOLD_BYTES", 150),
        (disk_module, "MAX_FOLDED_PAGES", 2),
        (pages_module, "PAGE_BYTES", 120),
        (pages_module, "_CACHED", 2),
    )

    def __init__(self) -> None:
        self._patch = pytest.MonkeyPatch()
        for module, name, value in self.BOUNDS:
            self._patch.setattr(module, name, value)

    def undo(self) -> None:
        self._patch.undo()


class Reference:
    """What a dict has of some objects."""

    def __init__(self) -> None:
        self.entries: dict[str, dict[str, bytes]] = {name: {} for name in OBJECTS}
        self.heads: dict[str, Head] = {}

    def commit(self, some: Iterable[Change]) -> None:
        for change in some:
            entries = self.entries[change.object_id]
            for key, value in change.writes.items():
                if value is None:
                    entries.pop(key, None)
                else:
                    entries[key] = value
            self.heads[change.object_id] = change.head

    def check(self, disk: LogDisk) -> None:
        for name in OBJECTS:
            assert disk.list(name, "", "", 1_000) == sorted(self.entries[name].items())
            assert disk.head(name) == self.heads.get(name, Head())
        alarms = {name: head.alarm_at for name, head in self.heads.items() if head.alarm_at is not None}
        assert dict(disk.alarms()) == alarms
        sent = {name: sum(key.startswith(OUTBOX) for key in entries) for name, entries in self.entries.items()}
        assert dict(disk.senders()) == {name: number for name, number in sent.items() if number}
        assert set(disk.objects()) == set(self.heads)


class DiskMachine(RuleBasedStateMachine):
    """A disk, and what a dict would have of it."""

    def __init__(self) -> None:
        super().__init__()
        self.small = SmallLog()
        self.storage = FakeStorage()
        self.disk = LogDisk(self.storage, Meter())
        self.reference = Reference()

    @rule(commits=st.lists(st.lists(changes, max_size=3), min_size=1, max_size=12))
    def commit(self, commits: list[list[Change]]) -> None:
        for some in commits:
            commit(self.disk, some)
            self.reference.commit(some)

    @rule()
    def wake(self) -> None:
        self.disk = LogDisk(self.storage, Meter())

    @rule(some=st.lists(changes, min_size=1, max_size=3), after=st.integers(0, 4), wakes=st.booleans())
    def fail(self, some: list[Change], after: int, *, wakes: bool) -> None:
        """A statement of the commit fails, if it has so many; the object may live on, or not."""
        self.storage.fails_after = after
        try:
            commit(self.disk, some)
        except StorageFails:
            pass
        else:
            self.reference.commit(some)
        self.storage.fails_after = None
        if wakes:
            self.wake()

    @rule(after=st.none() | st.integers(0, 4))
    def scrub(self, after: int | None) -> None:
        """Nothing is stored that the disk does not have; if a statement fails, nothing has changed."""
        self.storage.fails_after = after
        try:
            asyncio.run(self.disk.scrub())
        except StorageFails:
            self.storage.fails_after = None
            return
        self.storage.fails_after = None
        for name, key, value in stored(self.storage):
            assert not key or self.disk.get(name, key) == value, "a trace of what was deleted or overwritten"

    @rule(name=objects, prefix=keys | st.just(""), after=keys | st.just(""), limit=st.integers(1, 8))
    def list(self, name: str, prefix: str, after: str, limit: int) -> None:
        stored = self.reference.entries[name].items()
        entries = sorted((key, value) for key, value in stored if key > after and key.startswith(prefix))
        assert self.disk.list(name, prefix, after, limit) == entries[:limit]

    @rule(name=objects, key=keys)
    def get(self, name: str, key: str) -> None:
        assert self.disk.get(name, key) == self.reference.entries[name].get(key)

    @invariant()
    def it_is_what_a_dict_is(self) -> None:
        self.reference.check(self.disk)

    def teardown(self) -> None:
        self.wake()
        self.it_is_what_a_dict_is()
        self.storage.close()
        self.small.undo()


phases = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
DiskMachine.TestCase.settings = settings(max_examples=examples(200), stateful_step_count=30, phases=phases)
test_the_disk_is_what_a_dict_is_whatever_happens = DiskMachine.TestCase


@pytest.fixture
def storage() -> Iterator[FakeStorage]:
    storage = FakeStorage()
    yield storage
    storage.close()


@pytest.fixture
def small() -> Iterator[None]:
    bounds = SmallLog()
    yield
    bounds.undo()


def counted(storage: FakeStorage, commits: Iterable[Writes]) -> tuple[dict[str, bytes], list[int]]:
    """Commit to one object; what it has then, and the rows that each commit wrote."""
    expected: dict[str, bytes] = {}
    rows: list[int] = []

    async def commit_all() -> None:
        disk = LogDisk(storage, Meter())
        disk.objects()
        for n, writes in enumerate(commits):
            before = storage.rows_written
            await disk.commit([Change("Wall/one", writes, Head(n, 2**53 - n))])
            rows.append(storage.rows_written - before)
            for key, value in writes.items():
                if value is None:
                    expected.pop(key, None)
                else:
                    expected[key] = value

    asyncio.run(commit_all())
    return expected, rows


def entries_of(disk: LogDisk) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    while page := disk.list("Wall/one", "", max(found, default=""), 1_000):
        found.update(page)
    return found


def talk(messages: int, kept: int) -> Iterator[Writes]:
    """What a wall writes: a post, a claim, an answer; the oldest ones go."""
    for n in range(messages):
        yield {f"message/{n:06}": bytes(500), f"key/{n * 7_919 % 100_003:06}": bytes(60), "state": b"%d" % n}
        yield {f"message/{n:06}": bytes(520)}
        writes: Writes = {f"message/{n:06}": bytes(530), f"reply/{n:06}": bytes(700)}
        if n >= kept:
            old = n - kept
            writes |= dict.fromkeys((f"message/{old:06}", f"reply/{old:06}", f"key/{old * 7_919 % 100_003:06}"))
        yield writes


@pytest.mark.parametrize("seed", range(12))
def test_few_keys_over_many_commits_wakes_and_failures_are_what_a_dict_has(
    storage: FakeStorage, small: None, seed: int
) -> None:
    """So few that a key has several records, of which the newest may be the one that says that it is deleted."""
    del small
    random = Random(seed)
    reference = Reference()

    def a_change(n: int) -> Change:
        some = random.sample("abcdefghij", random.randint(0, 3))
        writes: Writes = {key: random.choice((None, b"%d" % n, bytes(random.choice((1, 30))))) for key in some}
        return Change(random.choice(OBJECTS), writes, Head(n, random.choice((None, n))))

    async def commits() -> None:
        disk = LogDisk(storage, Meter())
        for n in range(300):
            some = [a_change(n) for _ in range(random.choice((1, 1, 2)))]
            storage.fails_after = random.randint(0, 3) if random.random() < 0.2 else None
            try:
                await disk.commit(some)
            except StorageFails:
                pass
            else:
                reference.commit(some)
            storage.fails_after = None
            if random.random() < 0.3:
                disk = LogDisk(storage, Meter())
            reference.check(disk)

    asyncio.run(commits())


def test_a_commit_writes_one_row_however_long_it_goes_on(storage: FakeStorage) -> None:
    expected, rows = counted(storage, talk(700, kept=150))
    assert set(rows) == {1}
    meter = Meter()
    disk = LogDisk(storage, meter)
    assert entries_of(disk) == expected
    assert meter.rows_read <= log_module.MIN_SLOTS + log_module.MAX_DEAD_SLOTS
    assert meter.rows_written == 0


def test_what_does_not_fit_into_the_log_costs_a_tenth_more_at_most(
    storage: FakeStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_module, "LOG_BYTES", 256 * 1024)
    monkeypatch.setattr(disk_module, "FOLD_BYTES", 128 * 1024)
    expected, rows = counted(storage, talk(2_000, kept=1_000))
    assert 1 < sum(rows) / len(rows) < 1.1
    meter = Meter()
    assert entries_of(LogDisk(storage, meter)) == expected
    assert meter.rows_written == 0


def test_entries_of_any_allowed_size_fit_into_rows(storage: FakeStorage) -> None:
    """``FakeStorage`` refuses a value of 2 MB, as Cloudflare does."""
    large: Writes = {f"key/{n:04}": bytes([n % 256]) * MAX_VALUE_BYTES for n in range(50)}
    many: Writes = {f"{'k' * 2_000}{n:04}": bytes([n % 256]) * 300 for n in range(MAX_CALL_WRITES)}
    wide: Writes = {f"{LARGEST * 511}{n:04}": b"" for n in range(MAX_CALL_WRITES)}  # four bytes a character
    expected, rows = counted(storage, [large, many, wide, {**large, "a": b"last"}, dict.fromkeys(large)])
    disk = LogDisk(storage, Meter())
    assert entries_of(disk) == expected
    assert max(rows) < 200


def test_what_is_deleted_leaves_few_rows_behind(storage: FakeStorage) -> None:
    """A row that is read at each wake costs little, but takes time."""
    fill: list[Writes] = [{f"key/{n:05}": bytes(4_000)} for n in range(900)]
    empty: list[Writes] = [{f"key/{n:05}": None} for n in range(900)]
    last: list[Writes] = [{"state": b"x"}] * 20
    expected, rows = counted(storage, [*fill, *empty, *last])
    meter = Meter()
    assert entries_of(LogDisk(storage, meter)) == expected == {"state": b"x"}
    assert meter.rows_read <= 2 * log_module.MAX_DEAD_SLOTS
    assert sum(rows) / len(rows) < 2


def test_keys_that_come_and_go_leave_nothing_in_the_log(storage: FakeStorage) -> None:
    """As those of sent calls do; a wake reads all of the log."""
    puts: list[Writes] = [{f"sent/{n:064}": bytes(100), f"sent/{n - 1:064}": None} for n in range(2_000)]
    _, rows = counted(storage, puts)
    [[size]] = storage.exec("SELECT sum(length(data)) FROM log").rows
    assert (set(rows), size < 128 * 1024) == ({1}, True)


def test_an_empty_commit_shows_whether_the_storage_takes_writes(storage: FakeStorage) -> None:
    disk = LogDisk(storage, Meter())
    storage.fails_after = 5  # the tables are made and read, and one commit
    commit(disk, [])
    with pytest.raises(StorageFails):
        commit(disk, [])
    storage.fails_after = None
    commit(disk, [])
    assert disk.objects() == []


@pytest.mark.parametrize("data", [b"\xc1", msgspec.msgpack.encode([log_module.VERSION + 1, 1, 0, {}])])
def test_data_of_another_program_is_refused(storage: FakeStorage, data: bytes) -> None:
    commit(LogDisk(storage, Meter()), [Change("Wall/one", {}, Head(1))])
    storage.exec("INSERT OR REPLACE INTO log VALUES (?, ?)", 1, data)
    with pytest.raises(DataUnreadable, match="row 1 of the log"):
        LogDisk(storage, Meter()).head("Wall/one")


def stored_bytes(storage: FakeStorage) -> int:
    """What a wake reads."""
    [[size]] = storage.exec("SELECT sum(length(data)) FROM log").rows
    return int(size)


def test_large_values_that_come_and_go_leave_little_for_a_wake_to_read(storage: FakeStorage) -> None:
    """As posts with a long context: the message stays, its context goes when it is answered. An object has 128 MB of memory."""
    context = bytes(120_000)

    def posts(number: int) -> Iterator[Writes]:
        for n in range(number):
            messages = {f"message/{n:05}/{m}": bytes(1_000) for m in range(8)}
            yield {**messages, **{f"context/{n:05}/{m}": context for m in range(8)}}
            yield {f"context/{n:05}/{m}": None for m in range(8)}

    expected, rows = counted(storage, posts(200))
    assert entries_of(LogDisk(storage, Meter())) == expected
    assert stored_bytes(storage) < 2 * log_module.MAX_DEAD_BYTES + disk_module.LOG_BYTES
    assert sum(rows) / len(rows) < 1.2
    _, rows = counted(storage, [{"state": b"%d" % n} for n in range(100)])
    assert sum(rows) == 100
