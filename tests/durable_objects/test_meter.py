"""The billable units: each runtime counts the same for the same calls."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_restate import FakeRestate
from faked_scribes import batch, call, new_cluster
from ledger import Ledger, key_of

from durable_objects import Meter, Namespace
from durable_objects.embedded import EmbeddedRuntime
from durable_objects.local import LocalRuntime
from durable_objects.simulated import SimulatedRuntime
from durable_objects.wire import WireRuntime
from scenario import run, until

HOUR_MS = 3_600_000


def billed(meter: Meter) -> dict[str, int]:
    """What storage and alarms cost."""
    names = ("rows_read", "rows_written", "alarms_set", "alarm_calls")
    return {name: getattr(meter, name) for name in names}


async def use(runtime: LocalRuntime, ledgers: Namespace[Ledger], now_ms: int) -> None:
    """Two commits of two rows each with one alarm, a read of what is in memory, and one of what is not."""
    ledger = ledgers.get("a")
    before = billed(runtime.meter)
    await ledger.call(Ledger.set_alarm, now_ms + HOUR_MS)
    await ledger.call(Ledger.set_alarm, now_ms + HOUR_MS)
    await ledger.call(Ledger.texts)
    assert since(before, runtime.meter) == {"rows_read": 0, "rows_written": 4, "alarms_set": 1, "alarm_calls": 0}
    runtime.drop("Ledger/a")
    await ledger.call(Ledger.texts)
    assert since(before, runtime.meter)["rows_read"] == 3, "the head and both entries"
    await ledger.call(Ledger.value, key_of(1))
    await ledger.call(Ledger.value, "nothing")
    assert since(before, runtime.meter)["rows_read"] == 4, "what is not there is no row"


def since(before: dict[str, int], meter: Meter) -> dict[str, int]:
    return {name: count - before[name] for name, count in billed(meter).items()}


def test_the_embedded_and_the_simulated_runtime_count_the_same_rows_and_alarms(tmp_path: Path) -> None:
    async def scenario() -> None:
        simulated = SimulatedRuntime(now_ms=time.time_ns() // 1_000_000)
        await use(simulated, simulated.namespace("Ledger", Ledger), simulated.now_ms)
        async with EmbeddedRuntime(tmp_path) as embedded:
            await use(embedded, embedded.namespace("Ledger", Ledger), time.time_ns() // 1_000_000)

    run(scenario())


def test_over_a_network_the_objects_count() -> None:
    host = SimulatedRuntime()
    runtime = WireRuntime(host)
    ledger = runtime.namespace("Ledger", Ledger).get("a")
    host.run(ledger.call(Ledger.append, "first"))
    assert runtime.meter is host.meter
    assert host.meter.rows_written == 2


def test_an_alarm_that_comes_is_a_call_and_one_that_is_set_again_is_set_again(tmp_path: Path) -> None:
    simulated = SimulatedRuntime()
    ledger = simulated.namespace("Ledger", Ledger).get("a")
    for n in range(3):
        simulated.run(ledger.call(Ledger.set_alarm, simulated.now_ms + 1_000))
        simulated.advance(1)
        assert (simulated.meter.alarms_set, simulated.meter.alarm_calls) == (n + 1, n + 1)
    simulated.run(ledger.call(Ledger.set_alarm, simulated.now_ms + 1_000))
    simulated.run(ledger.call(Ledger.set_alarm, None))
    simulated.advance(1)
    assert (simulated.meter.alarms_set, simulated.meter.alarm_calls) == (4, 3), "to clear it sets nothing"

    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path) as embedded:
            await embedded.namespace("Ledger", Ledger).get("a").call(Ledger.set_alarm, time.time_ns() // 1_000_000)
            await until(lambda: embedded.meter.alarm_calls == 1)
            assert embedded.meter.alarms_set == 1

    run(scenario())


def test_a_commit_that_the_disk_does_not_take_writes_no_rows() -> None:
    runtime = SimulatedRuntime()
    ledger = runtime.namespace("Ledger", Ledger).get("a")
    runtime.disk.error = OSError("no room")
    with pytest.raises(Exception, match="no room"):
        runtime.run(ledger.call(Ledger.append, "lost"))
    assert runtime.meter.rows_written == 0


def test_on_restate_the_objects_process_counts() -> None:
    cluster: FakeRestate = new_cluster()
    batch(cluster, call("append", text="1"), call("wake_at", at=cluster.now_ms + 1_000))
    meter = cluster.processes[0].meter
    assert (meter.rows_written, meter.alarms_set, meter.alarm_calls) == (3 + 1, 1, 0)


def test_time_is_active_while_anything_is_under_way_and_counts_once() -> None:
    times: Iterator[float] = iter([10.0, 11.0, 12.0, 12.5, 20.0, 21.0])
    meter = Meter(clock=lambda: next(times))
    assert (meter.begin(), meter.begin(), meter.end()) == (10.0, 11.0, 12.0)
    assert meter.active_ms == 0, "it is still under way"
    assert meter.end() == 12.5
    assert meter.active_ms == 2_500
    meter.begin()
    meter.end()
    assert meter.active_ms == 3_500
