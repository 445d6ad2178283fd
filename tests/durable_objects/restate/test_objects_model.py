"""Any order of calls, attempts that are broken off, lost memory and late code: each call is applied once, and whole."""

from typing import Any

import msgspec
import pytest
from fake_restate import FakeRestate, Invocation
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec import Raw
from scribe import Scribe

from durable_objects.restate import replica, service
from durable_objects.restate.encoding import ANSWERS, BATCH, HEAD, HEAD_KEY, Answer, Answers, Batch, Call
from durable_objects.restate.object_host import ObjectHost
from profiles import examples

NAMES = ("a", "b")
names = st.sampled_from(NAMES)
methods = st.sampled_from(
    ["append", "append", "append_and_fail", "append_and_refuse", "texts", "text", "drop_first", "tell", "wake_at"]
)
processes = st.sampled_from([0, 1])


class Model:
    """What an object must be: the calls applied one after the other."""

    def __init__(self) -> None:
        self.entries: dict[int, str] = {}
        self.count = 0
        self.seq = 0

    def append(self, text: str) -> int:
        self.count += 1
        self.seq += 1
        self.entries[self.count] = text
        return self.count

    def expect(self, method: str, arguments: dict[str, Any]) -> object:
        """What the call answers, or the code of its error."""
        match method:
            case "append":
                answer: object = self.append(arguments["text"])
            case "append_and_fail":
                answer = "failed"
            case "append_and_refuse":
                answer = "full"
            case "texts":
                answer = list(self.entries.values())
            case "text":
                answer = self.entries.get(arguments["number"])
            case "drop_first":
                answer = self.entries.pop(min(self.entries)) if self.entries else None
                self.seq += answer is not None
            case _:
                # An alarm that is set again to the same time changes nothing.
                self.seq += method == "tell"
                answer = None
        return answer


class ObjectsMachine(RuleBasedStateMachine):
    """Two objects, and two processes that run them."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(service, "LOADED_AT_ONCE", 2)
        self.patch.setattr(replica, "_FIRST_AHEAD", 1)
        self.cluster = FakeRestate(self.new_host)
        self.models = {name: Model() for name in NAMES}
        self.texts = 0
        self.told: dict[tuple[str, str], list[str]] = {(a, b): [] for a in NAMES for b in NAMES}
        self.noted: dict[str, list[str]] = {name: [] for name in NAMES}
        self.alarms = dict.fromkeys(NAMES, 0)
        self.cluster.on_end = self.check

    def new_host(self) -> ObjectHost:
        host = ObjectHost(clock=lambda: self.cluster.now_ms, new_seed=lambda: 7)
        host.declare("Scribe", Scribe, None)
        return host

    def new_text(self) -> str:
        self.texts += 1
        return f"text {self.texts}"

    def arguments(self, method: str, other: str) -> dict[str, Any]:
        match method:
            case "append" | "append_and_fail" | "append_and_refuse":
                return {"text": self.new_text()}
            case "text":
                return {"number": self.texts % 5}
            case "tell":
                return {"name": other, "texts": [self.new_text(), self.new_text()]}
            case "wake_at":
                return {"at": self.cluster.now_ms + 1_000 + self.texts}
        return {}

    @rule(name=names, other=names, calls=st.lists(methods, min_size=1, max_size=5))
    def call(self, name: str, other: str, calls: list[str]) -> None:
        batch = Batch([Call(method, Raw(msgspec.json.encode(self.arguments(method, other)))) for method in calls])
        self.cluster.invoke("Scribe", name, "batch", BATCH.encode(batch))

    @rule(index=st.integers(0, 9), process=processes, steps=st.integers(0, 25), has_run=st.booleans(), restart=st.booleans())
    def break_off(self, index: int, process: int, steps: int, *, has_run: bool, restart: bool) -> None:
        """Go on with an invocation for some steps; then perhaps the memory of its process is gone."""
        if busy := self.cluster.busy:
            self.cluster.attempt(busy[index % len(busy)], process, steps, has_run=has_run)
            if restart:
                self.cluster.restart(process)

    @rule(index=st.integers(0, 9), process=processes)
    def end_one(self, index: int, process: int) -> None:
        if busy := self.cluster.busy:
            self.cluster.attempt(busy[index % len(busy)], process)

    @rule(process=processes)
    def end_all(self, process: int) -> None:
        self.cluster.finish(process)

    @rule()
    def raise_dead(self) -> None:
        self.cluster.raise_dead()

    @rule(process=processes)
    def evict(self, process: int) -> None:
        self.cluster.processes[process].evict_idle()

    @rule(failures=st.integers(0, 2))
    def be_unwilling(self, failures: int) -> None:
        Scribe.unwilling = failures

    @rule(seconds=st.sampled_from([0.5, 3.0, 60.0]))
    def wait(self, seconds: float) -> None:
        self.cluster.advance(seconds)

    @rule(name=names, process=processes)
    def read(self, name: str, process: int) -> None:
        """A read finds what is stored, or nothing: never less, never what may still get lost."""
        encoded = self.cluster.shared("Scribe", name, "read", BATCH.encode(Batch([Call("seq", Raw(b"{}"))])), process)
        answers: Answers = ANSWERS.decode(encoded)
        if answers.here:
            assert answers.answers == [Answer(Raw(b"%d" % self.seq_of(name)))]

    def is_at_rest(self, name: str) -> bool:
        return all(key != name or not queue or not queue[0].journal for (_, key), queue in self.cluster.queues.items())

    def seq_of(self, name: str) -> int:
        head = self.cluster.state["objects.Scribe", name].get(HEAD_KEY)
        return 0 if head is None else int(HEAD.decode(head).seq)

    @invariant()
    def what_is_stored_is_what_the_calls_have_made(self) -> None:
        for name in NAMES:
            if self.is_at_rest(name):
                assert self.stored(name) == self.models[name].entries
                assert self.seq_of(name) >= self.models[name].seq

    def check(self, invocation: Invocation) -> None:
        """Each call is answered as if it ran alone."""
        assert invocation.error is None
        assert invocation.answer is not None
        name, model = invocation.key, self.models[invocation.key]
        if invocation.handler != "batch":
            self.take_over(name)
            return
        calls = BATCH.decode(invocation.argument).calls
        answers = ANSWERS.decode(invocation.answer).answers
        assert len(answers) == len(calls)
        for call, answer in zip(calls, answers, strict=True):
            arguments = msgspec.json.decode(call.arguments)
            expected = model.expect(call.method, arguments)
            assert (msgspec.json.decode(answer.result) if answer.error is None else answer.error.code) == expected
            if call.method == "tell":
                self.told[name, arguments["name"]] += arguments["texts"]

    def take_over(self, name: str) -> None:
        """What the object has appended without a call from outside: what others have told it, and alarms."""
        model = self.models[name]
        for number, text in sorted(self.stored(name).items()):
            if number > model.count:
                model.append(text)
                self.noted[name].append(text)

    def stored(self, name: str) -> dict[int, str]:
        state = self.cluster.state["objects.Scribe", name]
        begin = "row/entry/"
        return {int(key.removeprefix(begin)): value.decode() for key, value in sorted(state.items()) if key.startswith(begin)}

    def teardown(self) -> None:
        """Left alone, everything comes to its end: what was sent is taken once and in order, and no alarm is left."""
        try:
            Scribe.unwilling = 0
            for _ in range(4):
                self.cluster.finish()
                self.cluster.advance(600)
            self.cluster.raise_dead()
            self.what_is_stored_is_what_the_calls_have_made()
            assert self.cluster.delayed == []
            for name in NAMES:
                state = self.cluster.state["objects.Scribe", name]
                assert HEAD_KEY not in state or HEAD.decode(state[HEAD_KEY]).alarm_at is None
                assert not [key for key in state if "late" in key]
            for (sender, receiver), texts in self.told.items():
                sent = set(texts)
                assert [text for text in self.noted[receiver] if text in sent] == texts, (sender, receiver)
        finally:
            self.patch.undo()


# The phase left out explains a failure, for minutes.
phases = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
ObjectsMachine.TestCase.settings = settings(max_examples=examples(200), stateful_step_count=40, phases=phases)
test_each_call_is_applied_once_and_whole_wherever_attempts_are_broken_off = ObjectsMachine.TestCase
