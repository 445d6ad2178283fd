"""What callers get when a commit fails or does not end, and when alarms meanwhile run; by a virtual clock."""

import logging
from typing import Any

import pytest
from ledger import Closed, Entry, Ledger

from durable_objects import CommitFailed, Context, DurableObject, ObjectFailed, OutcomeUnknown, Overloaded
from durable_objects.limits import MAX_COMMIT_WAIT_SECONDS
from durable_objects.simulated import SimulatedRuntime
from listening import listen


def test_p2_a_call_that_waits_too_long_for_its_commit_gets_outcome_unknown() -> None:
    """Reads too: what they saw is not durable. A call that came later waits no longer than the others."""
    runtime = SimulatedRuntime(autocommit=False)
    ledger = runtime.namespace("Ledger", Ledger).get("a")
    write, read = runtime.start(ledger.call(Ledger.append, "first")), runtime.start(ledger.call(Ledger.last))
    runtime.begin_commit()
    runtime.advance(1)
    behind = runtime.start(ledger.call(Ledger.append, "second"))
    runtime.advance(MAX_COMMIT_WAIT_SECONDS - 1.001)
    assert not write.done
    runtime.advance(0.001)
    assert not behind.done
    for task in (write, read):
        with pytest.raises(OutcomeUnknown, match="no answer from the disk for 30 seconds: whether the call's changes"):
            task.result()
    runtime.advance(1)
    with pytest.raises(OutcomeUnknown):
        behind.result()


def test_p1_changes_with_an_unknown_outcome_are_kept_if_the_disk_answers() -> None:
    runtime = SimulatedRuntime(autocommit=False)
    ledger = runtime.namespace("Ledger", Ledger).get("a")
    events = listen(ledger)
    write = runtime.start(ledger.call(Ledger.append, "first"))
    runtime.begin_commit()
    runtime.advance(MAX_COMMIT_WAIT_SECONDS)
    assert write.done
    assert events.heard() == []
    runtime.commit()
    assert events.heard() == [b"1 first"]
    assert runtime.run(ledger.call(Ledger.append, "second")) == Entry(2, "second")
    assert runtime.run(ledger.call(Ledger.texts)) == ["first", "second"]


def test_while_the_disk_hangs_only_calls_that_would_wait_are_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Else each would wait in vain, and leave changes behind without a bound."""
    runtime = SimulatedRuntime(autocommit=False)
    ledgers = runtime.namespace("Ledger", Ledger)
    runtime.start(ledgers.get("a").call(Ledger.append, "first"))
    runtime.begin_commit()
    runtime.advance(MAX_COMMIT_WAIT_SECONDS)
    assert runtime.commits.stalled
    assert str(runtime.commits.error) == "no answer from the disk for 30 seconds"
    for method in (Ledger.last, Ledger.texts):
        with pytest.raises(Overloaded, match="Ledger/a has changes that are not durable yet: no answer from the disk"):
            runtime.run(ledgers.get("a").call(method))
    assert runtime.start(ledgers.get("b").call(Ledger.last)).result() == Entry(0, "")
    assert runtime.start(ledgers.get("b").call(Ledger.last)).result() == Entry(0, "")
    runtime.commit()
    assert runtime.run(ledgers.get("a").call(Ledger.last)) == Entry(1, "first")
    assert runtime.commits.error is None
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]


def test_a_disk_that_hangs_again_is_noticed_again() -> None:
    runtime = SimulatedRuntime(autocommit=False)
    ledger = runtime.namespace("Ledger", Ledger).get("a")
    for number in range(1, 3):
        write = runtime.start(ledger.call(Ledger.append, "written"))
        runtime.begin_commit()
        runtime.advance(MAX_COMMIT_WAIT_SECONDS)
        with pytest.raises(OutcomeUnknown):
            write.result()
        with pytest.raises(Overloaded, match="no answer from the disk"):
            runtime.run(ledger.call(Ledger.last))
        runtime.commit()
        assert not runtime.commits.stalled
        assert runtime.run(ledger.call(Ledger.last)) == Entry(number, "written")


def test_p6_calls_that_timed_out_count_as_waiting_until_the_commit_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("commits", "local"):
        monkeypatch.setattr(f"durable_objects.{module}.MAX_WAITING_CALLS", 3)
    runtime = SimulatedRuntime(autocommit=False)
    ledgers = runtime.namespace("Ledger", Ledger)
    for name in "abc":
        runtime.start(ledgers.get(name).call(Ledger.append, "first"))
    runtime.begin_commit()
    runtime.advance(MAX_COMMIT_WAIT_SECONDS)
    with pytest.raises(Overloaded, match="3 calls already wait for the disk"):
        runtime.run(ledgers.get("d").call(Ledger.append, "too many"))
    runtime.commit()
    assert runtime.commits.waiting_calls == 0
    assert runtime.run(ledgers.get("d").call(Ledger.append, "first")) == Entry(1, "first")


def test_p9_a_failed_disk_is_probed_every_second_without_writes(caplog: pytest.LogCaptureFixture) -> None:
    runtime = SimulatedRuntime()
    ledger = runtime.namespace("Ledger", Ledger).get("a")
    runtime.disk.error = OSError("no room")
    for _ in range(50):
        with pytest.raises(CommitFailed, match="the data could not be written: no room"):
            runtime.run(ledger.call(Ledger.append, "lost"))
    assert runtime.meter.commit_failures == 50
    runtime.advance(10)
    assert runtime.meter.commit_failures == 60
    runtime.disk.error = None
    runtime.advance(0.999)
    assert str(runtime.commits.error) == "no room"
    runtime.advance(0.001)
    assert runtime.commits.error is None
    runtime.advance(10)
    assert runtime.meter.commits == 1, "and it is tried no more"
    assert runtime.run(ledger.call(Ledger.append, "after")) == Entry(1, "after")
    assert [record.getMessage() for record in caplog.records] == [
        "the data cannot be written to the simulated disk; trying again every second: no room",
        "the data can be written to the simulated disk again",
    ]


class Writer(DurableObject):
    """Its constructor writes."""

    def __init__(self, ctx: object) -> None:
        super().__init__(ctx)  # type: ignore[arg-type]
        self.ctx.storage.put("made", b"once")

    def made(self) -> bytes | None:
        return self.ctx.storage.get("made")

    def refuse(self) -> None:
        raise Closed


def test_p2_what_a_constructor_writes_is_committed_before_its_first_answer() -> None:
    runtime = SimulatedRuntime(autocommit=False)
    writer = runtime.namespace("Writer", Writer).get("a")
    made = runtime.start(writer.call(Writer.made))
    assert not made.done
    runtime.commit()
    assert made.result() == b"once"
    assert runtime.disk.get("Writer/a", "made") == b"once"


def test_the_writes_of_a_constructor_are_a_separate_commit() -> None:
    """A refusal of the first call takes nothing of it back."""
    runtime = SimulatedRuntime()
    with pytest.raises(Closed):
        runtime.run(runtime.namespace("Writer", Writer).get("a").call(Writer.refuse))
    assert runtime.meter.failures == 0
    assert runtime.disk.head("Writer/a").seq == 1
    assert runtime.disk.get("Writer/a", "made") == b"once"


class Fragile(DurableObject):
    """Cannot be made from what it writes."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        if ctx.storage.get("broken"):
            raise ZeroDivisionError

    def write_and_go(self) -> None:
        self.ctx.storage.put("broken", b"yes")

    def fail(self) -> None:
        raise ArithmeticError


@pytest.mark.parametrize("key", [None, "key"])
@pytest.mark.parametrize("lost", [True, False])
def test_p2_an_object_that_cannot_be_made_reveals_nothing_that_is_not_durable(key: str | None, *, lost: bool) -> None:
    runtime = SimulatedRuntime(autocommit=False)
    fragile = runtime.namespace("Fragile", Fragile).get("a")
    runtime.start(fragile.call(Fragile.write_and_go))
    runtime.start(fragile.call(Fragile.fail))
    stub = fragile if key is None else fragile.options(idempotency_key=key)
    waking = runtime.start(stub.call(Fragile.write_and_go))
    assert not waking.done
    runtime.fail() if lost else runtime.commit()
    with pytest.raises(CommitFailed if lost else ObjectFailed):
        waking.result()


def test_p2_an_event_without_a_change_waits_only_for_earlier_changes() -> None:
    runtime = SimulatedRuntime(autocommit=False)
    ledger = runtime.namespace("Ledger", Ledger).get("a")
    events = listen(ledger)
    runtime.run(ledger.call(Ledger.announce, "hello"))
    assert events.heard() == [b"hello"]
    runtime.start(ledger.call(Ledger.append, "first"))
    runtime.start(ledger.call(Ledger.announce, "one"))
    assert events.heard() == [b"hello"]
    runtime.commit()
    assert events.heard() == [b"hello", b"1 first", b"one"]


def test_p2_events_of_other_objects_survive_a_failed_commit() -> None:
    runtime = SimulatedRuntime(autocommit=False)
    ledgers = runtime.namespace("Ledger", Ledger)
    one, another = ledgers.get("a"), ledgers.get("b")
    events = listen(one, another)
    runtime.start(one.call(Ledger.append, "lost"))
    runtime.begin_commit()
    runtime.start(one.call(Ledger.append, "lost too"))
    runtime.start(another.call(Ledger.append, "kept"))
    runtime.fail()
    assert runtime.meter.commit_failures == 1
    runtime.commit()
    assert events.heard() == [b"1 kept"]
    assert (runtime.meter.commits, runtime.meter.commit_calls) == (1, 1), "only what was kept is counted"


class Loose(DurableObject):
    """Publishes what is no bytes."""

    def publish(self, *, signal: bool) -> None:
        event: Any = ["text"]
        (self.ctx.signal if signal else self.ctx.publish)(event)


@pytest.mark.parametrize("signal", [True, False])
def test_an_event_that_is_not_bytes_fails_its_call_and_stops_no_commit(*, signal: bool) -> None:
    runtime = SimulatedRuntime()
    loose = runtime.namespace("Loose", Loose).get("a")
    events = listen(loose)
    with pytest.raises(ObjectFailed, match="an event is list, not bytes"):
        runtime.run(loose.call(Loose.publish, signal=signal))
    ledger = runtime.namespace("Ledger", Ledger).get("a")
    assert runtime.run(ledger.call(Ledger.append, "first")) == Entry(1, "first")
    assert events.heard() == []
