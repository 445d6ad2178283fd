"""Alarms by the real clock, across restarts and kills."""

import time
from pathlib import Path

from ledger import Ledger
from processes import ALARM_MS, next_line, process

from durable_objects.embedded import EmbeddedRuntime
from listening import listen
from scenario import run, until


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def test_an_alarm_runs_once_it_is_due_and_is_cleared_by_then(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path) as runtime:
            ledgers = runtime.namespace("Ledger", Ledger)
            due, later = ledgers.get("due"), ledgers.get("later")
            ran = listen(due)
            await later.call(Ledger.set_alarm, now_ms() + 3_600_000)
            await due.call(Ledger.set_alarm, now_ms() + 20)
            await until(lambda: len(ran.heard()) == 2)
            assert ran.heard() == [b"1 alarm set", b"2 alarm ran"]
            assert await due.call(Ledger.alarm_at) is None
            assert await later.call(Ledger.texts) == ["alarm set"]

    run(scenario())


def test_an_alarm_set_before_a_restart_runs_after_it_though_nobody_calls(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path, clock=lambda: 1_000) as runtime:
            await runtime.namespace("Ledger", Ledger).get("a").call(Ledger.set_alarm, 2_000)
        runtime = EmbeddedRuntime(tmp_path, clock=lambda: 2_000)
        ledger = runtime.namespace("Ledger", Ledger).get("a")
        ran = listen(ledger)
        async with runtime:
            await until(lambda: ran.heard() == [b"2 alarm ran"])
        async with EmbeddedRuntime(tmp_path) as again:
            assert await again.namespace("Ledger", Ledger).get("a").call(Ledger.alarm_at) is None

    run(scenario())


def test_an_alarm_runs_though_its_process_was_killed_after_it_was_set(tmp_path: Path) -> None:
    with process("alarm", tmp_path) as child:
        assert next_line(child) == "set"
        child.kill()
        child.wait()

    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path, clock=lambda: now_ms() + ALARM_MS) as runtime:
            ledger = runtime.namespace("Ledger", Ledger).get("a")
            ran = listen(ledger)
            await until(lambda: ran.heard() == [b"2 alarm ran"])

    run(scenario())


def test_an_alarm_that_raises_leaves_nothing_and_runs_again(tmp_path: Path) -> None:
    tries: list[int] = []

    class Stubborn(Ledger):
        def alarm(self) -> None:
            tries.append(self.ctx.now())
            self.append(f"try {len(tries)}")
            if len(tries) == 1:
                raise ZeroDivisionError

    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path) as runtime:
            stubborn = runtime.namespace("Stubborn", Stubborn).get("a")
            await stubborn.call(Stubborn.set_alarm, now_ms())
            await until(lambda: len(tries) == 2)
            assert await stubborn.call(Stubborn.texts) == ["alarm set", "try 2"]
            assert await stubborn.call(Stubborn.alarm_at) is None

    run(scenario())
