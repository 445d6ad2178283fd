"""The simulated runtime: a virtual clock, one seed, crashes, and the same history every time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger import Entry, Ledger

from durable_objects import CommitFailed, DurableObject
from durable_objects.simulated import Crashed, SimulatedRuntime
from listening import listen

STEPS = ("roll", "ask", "break", "begin_commit", "commit", "fail", "crash", "advance", "evict")


class Dice(DurableObject):
    """All that could differ from run to run goes into its answers."""

    def roll(self) -> str:
        rolled = f"{self.ctx.random.random()} at {self.ctx.now()} as {self.ctx.seq + 1}"
        self.ctx.storage.put("last", rolled.encode())
        self.ctx.publish(rolled.encode())
        self.ctx.set_alarm(self.ctx.now() + self.ctx.random.randrange(3_000))
        return rolled

    def ask(self) -> bytes | None:
        return self.ctx.storage.get("last")

    def cheat(self) -> None:
        self.roll()
        raise ZeroDivisionError(self.ctx.random.random())

    def alarm(self) -> None:
        self.roll()


def history(seed: int, steps: list[tuple[str, str]]) -> list[str]:
    """Everything that anybody could see of a run."""
    runtime = SimulatedRuntime(seed=seed, autocommit=False)
    dice = runtime.namespace("Dice", Dice)
    events: list[bytes] = []
    listeners = []
    tasks = []
    methods = {"roll": Dice.roll, "ask": Dice.ask, "break": Dice.cheat}
    for name, step in steps:
        if step in methods:
            listeners.append(listen(dice.get(name)))
            tasks.append(runtime.start(dice.get(name).call(methods[step])))
        elif step == "advance":
            runtime.advance(1)
        elif step == "evict":
            runtime.evict_idle()
        else:
            getattr(runtime, step)()
        events += [event for listener in listeners for event in listener.take()]
    answers = []
    for task in tasks:
        try:
            answers.append(repr(task.result() if task.done else "waits"))
        except Exception as error:  # noqa: BLE001 - part of the history
            answers.append(repr(error))
    return [*answers, *map(repr, events), repr(runtime.meter), repr(runtime.disk.alarms())]


@given(st.integers(), st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(STEPS)), max_size=30))
def test_the_same_seed_and_the_same_steps_give_the_same_history(seed: int, steps: list[tuple[str, str]]) -> None:
    """Given the same calls, clock and seed an object does the same thing (section 4)."""
    assert history(seed, steps) == history(seed, steps)


def test_another_seed_gives_another_history() -> None:
    steps = [("a", "roll"), ("a", "commit")]
    assert history(1, steps) != history(2, steps)


def test_p2_a_call_waits_for_its_commit_and_a_crash_before_that_drops_it_unanswered() -> None:
    runtime = SimulatedRuntime(autocommit=False)
    ledger = runtime.namespace("Ledger", Ledger).get("a")
    runtime.run(ledger.call(Ledger.append, "first"))
    write, read = runtime.start(ledger.call(Ledger.append, "second")), runtime.start(ledger.call(Ledger.last))
    runtime.begin_commit()
    assert not write.done
    assert not read.done
    runtime.crash()
    for call in (write, read):
        with pytest.raises(Crashed):
            call.result()
    assert runtime.run(ledger.call(Ledger.texts)) == ["first"]
    assert runtime.run(ledger.call(Ledger.append, "third")) == Entry(2, "third")


def test_p2_a_commit_that_fails_fails_the_calls_made_since_it_began() -> None:
    runtime = SimulatedRuntime(autocommit=False)
    ledgers = runtime.namespace("Ledger", Ledger)
    one, another = ledgers.get("a"), ledgers.get("b")
    failed = [runtime.start(one.call(Ledger.append, "first"))]
    runtime.begin_commit()
    failed += [runtime.start(one.call(Ledger.append, "second")), runtime.start(one.call(Ledger.last))]
    other = runtime.start(another.call(Ledger.append, "first"))
    runtime.fail()
    for call in failed:
        with pytest.raises(CommitFailed, match="the simulated disk is full"):
            call.result()
    assert not other.done
    runtime.commit()
    assert other.result() == Entry(1, "first")
    assert runtime.run(one.call(Ledger.texts)) == []


def test_with_autocommit_a_stub_needs_no_runtime_to_drive_it() -> None:
    runtime = SimulatedRuntime()
    ledger = runtime.namespace("Ledger", Ledger).get("a")
    with pytest.raises(StopIteration) as stop:
        ledger.call(Ledger.append, "first").send(None)
    assert stop.value.value == Entry(1, "first")


def test_the_clock_moves_only_by_advance_and_may_step_back() -> None:
    class Clock(DurableObject):
        def now(self) -> int:
            return self.ctx.now()

    runtime = SimulatedRuntime(now_ms=10_000)
    clock = runtime.namespace("Clock", Clock).get("clock")
    assert runtime.run(clock.call(Clock.now)) == 10_000
    runtime.advance(2.5)
    assert runtime.run(clock.call(Clock.now)) == 12_500
    runtime.advance(-5)
    assert runtime.run(clock.call(Clock.now)) == 7_500


def test_p7_a_crash_can_come_after_the_commit_and_before_its_answer() -> None:
    """The caller cannot know whether its call is durable; the disk shows it."""
    runtime = SimulatedRuntime(autocommit=False)
    one = runtime.namespace("Ledger", Ledger).get("a")
    lost = runtime.start(one.call(Ledger.append, "lost"))
    runtime.begin_commit()
    runtime.crash()
    unanswered = runtime.start(one.call(Ledger.append, "unanswered"))
    runtime.begin_commit()
    runtime.crash(after_commit=True)
    for task in (lost, unanswered):
        with pytest.raises(Crashed):
            task.result()
    assert runtime.run(one.call(Ledger.texts)) == ["unanswered"]


def test_with_autocommit_no_commit_can_fail() -> None:
    with pytest.raises(RuntimeError, match="autocommit=False"):
        SimulatedRuntime().fail()
