"""Any order of calls, commits, failures, crashes and evictions: what anybody heard is on the disk, and stays there.

The objects are ledgers, whose entry n is written by commit n, so the disk itself tells whether something was heard too early,
taken back, or numbered with a gap.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from ledger import Closed, Entry, Ledger, key_of

from durable_objects import CommitFailed, ObjectFailed
from durable_objects.simulated import Crashed, SimulatedRuntime, Task
from profiles import examples

NAMES = ("a", "b")
names = st.sampled_from(NAMES)
methods = st.sampled_from(["read", "refuse", "append", "append", "set alarm", "append and refuse", "append and break"])
delays = st.none() | st.integers(-1_000, 5_000)


class Started(NamedTuple):
    """A call under way; ``text`` is what it appends, if it does."""

    name: str
    task: Task[Any]
    text: str = ""
    keeps: bool = True


class World(RuleBasedStateMachine):
    """One simulated process and its disk, and everything that anybody outside has heard."""

    def __init__(self) -> None:
        super().__init__()
        self.runtime = SimulatedRuntime(autocommit=False)
        self.ledgers = self.runtime.namespace("Ledger", Ledger)
        self.under_way: list[Started] = []
        self.heard: dict[str, dict[int, str]] = {name: {} for name in NAMES}
        self.acknowledged: dict[str, list[int]] = {name: [] for name in NAMES}
        self.dropped: set[str] = set()
        self.texts = 0
        self.listen()

    def listen(self) -> None:
        """Subscribe to every ledger, as clients do again after a crash."""
        self.events: dict[str, list[Entry]] = {name: [Entry(self.seq(name), "")] for name in NAMES}
        for name in NAMES:
            self.ledgers.get(name).subscribe(self.listener(name))

    def listener(self, name: str) -> Callable[[bytes], None]:
        def hear(event: bytes) -> None:
            seq, text = event.decode().split(" ", 1)
            self.events[name].append(Entry(int(seq), text))

        return hear

    def seq(self, name: str) -> int:
        return self.runtime.disk.head(f"Ledger/{name}").seq

    @rule(calls=st.lists(st.tuples(names, methods, delays, st.booleans()), min_size=1, max_size=6))
    def call(self, calls: list[tuple[str, str, int | None, bool]]) -> None:
        """Some calls; behind some of them, what has gathered is sent off to the disk."""
        for name, method, delay, sent_off in calls:
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
            self.under_way.append(started)
            if sent_off:
                self.runtime.begin_commit()

    def at_stake(self) -> bool:
        return not self.runtime.commits.idle

    @precondition(at_stake)
    @rule()
    def land(self) -> None:
        self.runtime.commit()

    @precondition(at_stake)
    @rule()
    def fail(self) -> None:
        self.runtime.fail()

    @precondition(at_stake)
    @rule(landed=st.booleans())
    def crash(self, *, landed: bool) -> None:
        """Perhaps right after the commit in flight became durable, before anybody heard of it."""
        self.runtime.crash(landed=landed)
        self.hear_answers()
        self.listen()

    @rule(seconds=st.sampled_from([-1.0, 0.0, 0.5, 3.0]))
    def let_time_pass(self, seconds: float) -> None:
        self.runtime.advance(seconds)
        self.runtime.evict_idle()

    def hear_answers(self) -> None:
        for call in self.under_way:
            if call.task.done:
                self.hear(call)
        self.under_way = [call for call in self.under_way if not call.task.done]

    def hear(self, call: Started) -> None:
        try:
            answer = call.task.result()
        except Closed as refusal:
            [answer] = refusal.args
        except (CommitFailed, ObjectFailed):
            self.dropped.add(call.text)
            return
        except Crashed:
            return
        if not call.keeps:
            self.dropped.add(call.text)
        elif isinstance(answer, Entry):
            self.heard[call.name][answer.seq] = answer.text
            if call.text:
                self.acknowledged[call.name].append(answer.seq)

    @invariant()
    def p1_p2_whatever_was_heard_is_on_the_disk_and_nothing_that_was_dropped_is(self) -> None:
        self.hear_answers()
        for name in NAMES:
            entries = self.runtime.disk._entries.get(f"Ledger/{name}", {})
            texts = {int(key.removeprefix("entry/")): value.decode() for key, value in entries.items()}
            texts[0] = ""
            for seq, text in [*self.heard[name].items(), *self.events[name][1:]]:
                assert texts.get(seq) == text
            assert self.dropped.isdisjoint(set(texts.values()) - {""})

    @invariant()
    def p5_commits_are_numbered_without_a_gap_and_answered_in_their_order(self) -> None:
        for name in NAMES:
            keys = sorted(self.runtime.disk._entries.get(f"Ledger/{name}", {}))
            assert keys == [key_of(seq + 1) for seq in range(self.seq(name))]
            assert self.acknowledged[name] == sorted(set(self.acknowledged[name]))
            first = self.events[name][0].seq
            assert [seq for seq, _ in self.events[name]] == list(range(first, first + len(self.events[name])))

    @invariant()
    def nobody_waits_when_everything_is_durable(self) -> None:
        self.hear_answers()
        assert not (self.runtime.commits.idle and self.under_way)

    def teardown(self) -> None:
        """Left alone, the world comes to rest: every call is answered, and every alarm has rung."""
        for _ in range(3):
            while not self.runtime.commits.idle:
                self.runtime.commit()
            self.runtime.advance(60)
        assert self.runtime.commits.idle
        assert self.runtime.disk.alarms() == []
        self.p1_p2_whatever_was_heard_is_on_the_disk_and_nothing_that_was_dropped_is()
        self.p5_commits_are_numbered_without_a_gap_and_answered_in_their_order()
        assert self.under_way == []


# The phase left out explains a failure, for minutes.
phases = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
World.TestCase.settings = settings(max_examples=examples(120), stateful_step_count=40, phases=phases)
test_the_world_of_simulated_objects_keeps_p1_p2_and_p5 = World.TestCase
