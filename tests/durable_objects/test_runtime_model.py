"""Any order of calls, commits, failures, crashes, evictions and hours: what was answered is on the disk, and stays there.

The objects are ledgers, whose entry n is written by commit n, so that the disk itself shows whether an answer or an event came
too early, was taken back, or left a gap.
"""

from typing import Any, NamedTuple

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from ledger import Closed, Entry, Ledger, key_of

from durable_objects import CommitFailed, ObjectFailed, OutcomeUnknown, Overloaded
from durable_objects.limits import MAX_COMMIT_WAIT_SECONDS
from durable_objects.simulated import Crashed, SimulatedRuntime, Task
from listening import listen
from profiles import examples

NAMES = ("a", "b")
names = st.sampled_from(NAMES)
methods = st.sampled_from(["read", "refuse", "append", "append", "set alarm", "append and refuse", "append and break"])
delays = st.none() | st.integers(-1_000, 5_000)
seconds = st.sampled_from([-1.0, 0.0, 0.5, 3.0, float(MAX_COMMIT_WAIT_SECONDS)])


class Started(NamedTuple):
    """A call that waits for its answer; ``text`` is what it appends, if it does, and ``keeps`` whether that is to stay."""

    name: str
    task: Task[Any]
    text: str = ""
    keeps: bool = True


class RuntimeMachine(RuleBasedStateMachine):
    """One simulated process and its disk, and every answer and event that has left it."""

    def __init__(self) -> None:
        super().__init__()
        self.runtime = SimulatedRuntime(autocommit=False)
        self.ledgers = self.runtime.namespace("Ledger", Ledger)
        self.waiting: list[Started] = []
        self.answered: dict[str, dict[int, str]] = {name: {} for name in NAMES}
        self.acknowledged: dict[str, list[int]] = {name: [] for name in NAMES}
        self.dropped: set[str] = set()
        self.texts = 0
        self.subscribe()

    def subscribe(self) -> None:
        """Listen to every ledger, as clients do again after a crash."""
        self.events: dict[str, list[Entry]] = {name: [Entry(self.seq(name), "")] for name in NAMES}
        self.listeners = {name: listen(self.ledgers.get(name)) for name in NAMES}

    def take_events(self) -> None:
        for name in NAMES:
            for event in self.listeners[name].take():
                seq, text = event.decode().split(" ", 1)
                self.events[name].append(Entry(int(seq), text))

    def seq(self, name: str) -> int:
        return self.runtime.disk.head(f"Ledger/{name}").seq

    @rule(calls=st.lists(st.tuples(names, methods, delays, st.booleans()), min_size=1, max_size=6))
    def call(self, calls: list[tuple[str, str, int | None, bool]]) -> None:
        """Start calls; after some of them, begin to commit what has gathered."""
        for name, method, delay, begin in calls:
            ledger = self.ledgers.get(name)
            self.texts += 1
            text = f"text {self.texts}"
            match method:
                case "read":
                    started = Started(name, self.runtime.start(ledger.call(Ledger.last)))
                case "refuse":
                    started = Started(name, self.runtime.start(ledger.call(Ledger.refuse)))
                case "append":
                    started = Started(name, self.runtime.start(ledger.call(Ledger.append, text)), text)
                case "set alarm":
                    at = None if delay is None else self.runtime.now_ms + delay
                    started = Started(name, self.runtime.start(ledger.call(Ledger.set_alarm, at, text)), text)
                case "append and refuse":
                    task = self.runtime.start(ledger.call(Ledger.append_and_refuse, text))
                    started = Started(name, task, text, keeps=False)
                case "append and break":
                    task = self.runtime.start(ledger.call(Ledger.append_and_break, text))
                    started = Started(name, task, text, keeps=False)
            self.waiting.append(started)
            if begin:
                self.runtime.begin_commit()

    def something_is_uncommitted(self) -> bool:
        return not self.runtime.commits.idle

    @precondition(something_is_uncommitted)
    @rule()
    def commit(self) -> None:
        self.runtime.commit()

    @precondition(something_is_uncommitted)
    @rule()
    def fail(self) -> None:
        self.runtime.fail()

    @precondition(something_is_uncommitted)
    @rule(after_commit=st.booleans())
    def crash(self, *, after_commit: bool) -> None:
        """Perhaps when the commit in flight is on the disk, and no caller has its answer yet."""
        self.runtime.crash(after_commit=after_commit)
        self.take_answers()
        self.subscribe()

    @rule(seconds=seconds)
    def wait(self, seconds: float) -> None:
        self.runtime.advance(seconds)
        self.runtime.evict_idle()

    def take_answers(self) -> None:
        for started in self.waiting:
            if started.task.done:
                self.take_answer(started)
        self.waiting = [started for started in self.waiting if not started.task.done]

    def take_answer(self, started: Started) -> None:
        try:
            answer = started.task.result()
        except Closed as refusal:
            [answer] = refusal.args
        except (CommitFailed, ObjectFailed, Overloaded):
            self.dropped.add(started.text)
            return
        except (Crashed, OutcomeUnknown):
            return
        if not started.keeps:
            self.dropped.add(started.text)
        elif isinstance(answer, Entry):
            self.answered[started.name][answer.seq] = answer.text
            if started.text:
                self.acknowledged[started.name].append(answer.seq)

    @invariant()
    def p1_p2_what_was_answered_is_on_the_disk_and_what_was_dropped_is_not(self) -> None:
        self.take_answers()
        self.take_events()
        for name in NAMES:
            entries = self.runtime.disk.list(f"Ledger/{name}", "entry/", "", 1_000_000)
            texts = {int(key.removeprefix("entry/")): value.decode() for key, value in entries}
            texts[0] = ""
            for seq, text in [*self.answered[name].items(), *self.events[name][1:]]:
                assert texts.get(seq) == text
            assert self.dropped.isdisjoint(set(texts.values()) - {""})

    @invariant()
    def p5_commits_are_numbered_without_a_gap_and_answered_in_order(self) -> None:
        self.take_events()
        for name in NAMES:
            keys = [key for key, _ in self.runtime.disk.list(f"Ledger/{name}", "entry/", "", 1_000_000)]
            assert keys == [key_of(seq + 1) for seq in range(self.seq(name))]
            assert self.acknowledged[name] == sorted(set(self.acknowledged[name]))
            first = self.events[name][0].seq
            assert [seq for seq, _ in self.events[name]] == list(range(first, first + len(self.events[name])))

    @invariant()
    def no_call_waits_when_everything_is_durable(self) -> None:
        self.take_answers()
        assert not (self.runtime.commits.idle and self.waiting)

    def teardown(self) -> None:
        """Left alone, the runtime comes to rest: every call is answered, and every alarm has run."""
        for _ in range(3):
            while not self.runtime.commits.idle:
                self.runtime.commit()
            self.runtime.advance(600)
        assert self.runtime.commits.idle
        assert self.runtime.disk.alarms() == []
        self.p1_p2_what_was_answered_is_on_the_disk_and_what_was_dropped_is_not()
        self.p5_commits_are_numbered_without_a_gap_and_answered_in_order()
        assert self.waiting == []


# The phase left out explains a failure, for minutes.
phases = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
RuntimeMachine.TestCase.settings = settings(max_examples=examples(120), stateful_step_count=40, phases=phases)
test_a_runtime_keeps_p1_p2_and_p5_whatever_happens = RuntimeMachine.TestCase
