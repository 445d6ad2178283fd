"""Objects in memory: the recently called ones, never more than the bound."""

import pytest
from ledger import Entry, Ledger

from durable_objects import Overloaded
from durable_objects.simulated import SimulatedRuntime


@pytest.fixture(autouse=True)
def _room_for_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable_objects.local.MAX_LIVE_OBJECTS", 3)


def which(runtime: SimulatedRuntime, name: str) -> int:
    return runtime.run(runtime.namespace("Ledger", Ledger).get(name).call(Ledger.which))


def test_no_more_objects_are_in_memory_than_the_bound_and_all_can_be_called() -> None:
    runtime = SimulatedRuntime()
    ledgers = runtime.namespace("Ledger", Ledger)
    for round_ in range(1, 4):
        for name in "abcdefgh":
            assert runtime.run(ledgers.get(name).call(Ledger.append, "x")) == Entry(round_, "x")
            assert runtime.live_objects <= 3
    assert runtime.meter.evictions == 3 * 8 - 3


def test_those_called_lately_stay() -> None:
    runtime = SimulatedRuntime()
    often = which(runtime, "often")
    for n in range(20):
        which(runtime, f"{n}")
        assert which(runtime, "often") == often


def test_p2_an_object_with_uncommitted_changes_is_never_evicted_for_another() -> None:
    runtime = SimulatedRuntime(autocommit=False)
    ledgers = runtime.namespace("Ledger", Ledger)
    writes = [runtime.start(ledgers.get(name).call(Ledger.append, "first")) for name in "abc"]
    with pytest.raises(Overloaded, match="3 objects in memory wait for the disk"):
        runtime.run(ledgers.get("d").call(Ledger.last))
    runtime.commit()
    assert [write.result() for write in writes] == [Entry(1, "first")] * 3
    assert runtime.run(ledgers.get("d").call(Ledger.append, "first")) == Entry(1, "first")


def test_an_object_that_was_just_rebuilt_counts_as_called() -> None:
    runtime = SimulatedRuntime()
    ledger = runtime.namespace("Ledger", Ledger).get("a")
    runtime.run(ledger.call(Ledger.append, "first"))
    with pytest.raises(Exception, match="ZeroDivisionError"):
        runtime.run(ledger.call(Ledger.break_down))
    runtime.evict_idle()
    rebuilt = which(runtime, "a")
    assert runtime.evict_idle() == 0
    assert which(runtime, "a") == rebuilt


def test_an_object_that_reads_much_to_wake_stays_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable_objects.local.READS_PER_TURN", 2)
    runtime = SimulatedRuntime()
    ledger = runtime.namespace("Ledger", Ledger).get("a")
    for n in range(5):
        runtime.run(ledger.call(Ledger.append, f"{n}"))
    assert [runtime.evict_idle() for _ in range(2)] == [0, 1], "it has read nothing yet"
    for _ in range(2):
        which(runtime, "a")
        assert [runtime.evict_idle() for _ in range(3)] == [0, 0, 0]
    assert [runtime.evict_idle() for _ in range(2)] == [1, 0]


def test_the_meter_counts_what_clouds_bill() -> None:
    runtime = SimulatedRuntime()
    ledger = runtime.namespace("Ledger", Ledger).get("a")
    for text in ("first", "second"):
        runtime.run(ledger.call(Ledger.append, text))
    assert [runtime.evict_idle() for _ in range(3)] == [0, 1, 0]
    runtime.run(ledger.call(Ledger.value, "entry/00000001"))
    meter = runtime.meter
    assert (meter.calls, meter.wakes, meter.evictions, meter.failures) == (3, 2, 1, 0)
    assert (meter.reads, meter.writes, meter.deletes, meter.commits, meter.commit_calls) == (3, 2, 0, 2, 2)
