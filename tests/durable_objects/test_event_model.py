"""Any order of calls, commits, failures, crashes and reads: a listener gets every event once, in order, and none too early.

Listeners begin anywhere, are cancelled while they wait, and come back from the last commit they got.
"""

from typing import Any

import msgspec
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from journal import Journal

from durable_objects import CommitFailed, Events, EventStream, Runtime
from durable_objects.simulated import Crashed, SimulatedRuntime, Task
from durable_objects.wire import WireRuntime
from profiles import examples

ID = "Journal/a"


class Follower:
    """One listener, and everything that it has got."""

    def __init__(self, runtime: SimulatedRuntime, stub: Any, since: int | None) -> None:
        self.runtime = runtime
        self.stub = stub
        self.position = runtime.disk.head(ID).seq if since is None else since
        self.start = self.position
        self.got: list[Events] = []
        self.task: Task[Events] | None = None
        self.stream: EventStream = stub.events(since)

    def read(self) -> None:
        """Ask for the next events, or look whether they have come."""
        if self.task is None:
            self.task = self.runtime.start(anext(self.stream))
        if not self.task.done:
            return
        task, self.task = self.task, None
        try:
            events = task.result()
        except CommitFailed:
            return  # of a commit that its replay had seen: it asks again
        except Crashed:
            self.stream = self.stub.events(self.position)
            return
        if events.seq is not None:
            self.got.append(events)
            self.position = events.seq

    def cancel(self) -> None:
        """Give up waiting, as with a time limit."""
        if self.task is not None and not self.task.done:
            self.task.abandon()
            self.task = None

    def read_all(self) -> None:
        """Read until the next events have yet to come."""
        before = None
        while before != (before := (len(self.got), self.stream)) or self.task is None:
            self.read()


class EventMachine(RuleBasedStateMachine):
    """One object, its listeners, and what is on the disk."""

    def __init__(self) -> None:
        super().__init__()
        self.runtime = SimulatedRuntime(autocommit=False)
        self.journal = self.gateway().namespace("Journal", Journal).get("a")
        self.followers: list[Follower] = []

    def gateway(self) -> Runtime:
        return self.runtime

    def published(self) -> list[Events]:
        """What each durable commit published."""
        stored = self.runtime.disk.list(ID, "", "", 1_000_000)
        return [Events(int(key), msgspec.json.decode(value, type=tuple[bytes, ...])) for key, value in stored]

    @rule(counts=st.lists(st.integers(0, 3), min_size=1, max_size=3), begin=st.booleans())
    def write(self, counts: list[int], *, begin: bool) -> None:
        for count in counts:
            self.runtime.start(self.journal.call(Journal.write, count=count))
        if begin:
            self.runtime.begin_commit()

    @rule()
    def announce(self) -> None:
        self.runtime.start(self.journal.call(Journal.announce, "signal"))

    @precondition(lambda self: len(self.followers) < 4)
    @rule(data=st.data(), live=st.booleans())
    def listen(self, data: st.DataObject, *, live: bool) -> None:
        since = None if live else data.draw(st.integers(0, self.runtime.disk.head(ID).seq))
        self.followers.append(Follower(self.runtime, self.journal, since))

    @precondition(lambda self: self.followers)
    @rule(data=st.data(), times=st.integers(1, 4), cancel=st.booleans())
    def read(self, data: st.DataObject, times: int, *, cancel: bool) -> None:
        follower = data.draw(st.sampled_from(self.followers))
        for _ in range(times):
            follower.read()
        if cancel:
            follower.cancel()

    def something_is_uncommitted(self) -> bool:
        return not self.runtime.commits.idle

    @precondition(something_is_uncommitted)
    @rule()
    def commit(self) -> None:
        self.runtime.commit()

    @precondition(something_is_uncommitted)
    @rule(counts=st.lists(st.integers(0, 3), max_size=2))
    def fail(self, counts: list[int]) -> None:
        """With it falls what was built on it meanwhile."""
        self.runtime.begin_commit()
        for count in counts:
            self.runtime.start(self.journal.call(Journal.write, count=count))
        self.runtime.fail()

    @rule(after_commit=st.booleans())
    def crash(self, *, after_commit: bool) -> None:
        self.runtime.crash(after_commit=after_commit)

    @rule()
    def evict(self) -> None:
        self.runtime.evict_idle()

    @invariant()
    def p2_p5_each_listener_has_the_next_events_and_no_others(self) -> None:
        published = self.published()
        for follower in self.followers:
            after = [events for events in published if events.seq is not None and events.seq > follower.start and events.data]
            assert follower.got == after[: len(follower.got)]

    def teardown(self) -> None:
        """Left alone, everybody gets everything."""
        for _ in range(2):
            while not self.runtime.commits.idle:
                self.runtime.commit()
            self.runtime.advance(1)
            for follower in self.followers:
                follower.read_all()
        published = self.published()
        for follower in self.followers:
            assert follower.got == [events for events in published if (events.seq or 0) > follower.start and events.data]


class WireEventMachine(EventMachine):
    """The same over a network that delays events and answers, each on its own way."""

    def gateway(self) -> Runtime:
        return WireRuntime(self.runtime, seed=1)


# The phase left out explains a failure, for minutes.
phases = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
EventMachine.TestCase.settings = settings(max_examples=examples(200), stateful_step_count=40, phases=phases)
WireEventMachine.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=30, phases=phases)
test_p5_a_listener_gets_every_event_once_whatever_happens = EventMachine.TestCase
test_p5_a_listener_across_a_network_gets_every_event_once_whatever_happens = WireEventMachine.TestCase
