"""A merged feed under any order of posts, claims, pages, commits, failures, crashes, restarts and steps of the clock (P5).

Every reader sees every message once, however its pages fall between the commits of the objects.
"""

from typing import Any, NamedTuple

from feed_readers import Backward, ByChange, Forward, Reader
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from walls import a_post

from durable_objects import CommitFailed, OutcomeUnknown, Refusal
from durable_objects.simulated import SimulatedRuntime, Task
from profiles import examples
from saywhatwant.message import Message, decode_list
from saywhatwant.queue import MessageQueue
from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.directory import Directory
from saywhatwant.queue.shard import QueueShard
from saywhatwant.topology import open_wall

CONFIG = QueueConfig(entities=("zen", "joy", "sea"), retention=1_000, max_hold_ms=10**12, lease_ms=10**12, max_wait_ms=10**12)
EXPECTED = (CommitFailed, OutcomeUnknown, Refusal)
ENTITIES = st.sampled_from(["zen", "joy", "sea", None])
GATEWAYS = st.integers(0, 1)
READERS = st.integers(0, 6)


class Reading(NamedTuple):
    reader: Reader
    task: Task[Any]


class MergedFeedMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runtime = SimulatedRuntime(autocommit=False)
        self.gateways = [self.a_gateway(), self.a_gateway()]
        self.readers: list[Reader] = [kind(limit) for kind in (Forward, Backward, ByChange) for limit in (1, 3)]
        self.readers.append(Forward(None))
        self.reading: list[Reading] = []
        self.writing: list[Task[Any]] = []
        self.posted: set[str] = set()
        self.texts = 0

    def a_gateway(self) -> Any:
        return open_wall(self.runtime, CONFIG, "per-entity")

    @initialize(entities=st.sets(ENTITIES))
    def begin(self, entities: set[str | None]) -> None:
        """Some objects are there from the beginning; the others come up."""
        for entity in entities:
            self.post(entity, 0, 1)
            self.settle()

    # -- What happens

    @rule(entity=ENTITIES, gateway=GATEWAYS, count=st.sampled_from([1, 1, 1, 4]))
    def post(self, entity: str | None, gateway: int, count: int) -> None:
        """Start posts of one millisecond: their timestamps run ahead of the clock."""
        for _ in range(count):
            self.texts += 1
            self.writing.append(self.runtime.start(self.gateways[gateway].post(a_post(f"{self.texts}", entity=entity))))

    @rule(entity=ENTITIES, gateway=GATEWAYS)
    def claim(self, entity: str | None, gateway: int) -> None:
        entities = None if entity is None else (entity,)
        self.writing.append(self.runtime.start(self.gateways[gateway].claim_next("bot", entities)))

    @rule(number=READERS, gateway=GATEWAYS)
    def read(self, number: int, gateway: int) -> None:
        reader = self.readers[number]
        if all(one.reader is not reader for one in self.reading):
            self.reading.append(Reading(reader, self.runtime.start(reader.next_page(self.gateways[gateway]))))
        self.look()

    @rule(entity=ENTITIES, milliseconds=st.sampled_from([0, 0, 1, 2, -3]))
    def post_through(self, entity: str | None, milliseconds: int) -> None:
        self.pass_time(milliseconds / 1_000)
        self.post(entity, 0, 1)
        self.settle()

    @rule(number=READERS, gateway=GATEWAYS)
    def read_through(self, number: int, gateway: int) -> None:
        self.read(number, gateway)
        self.settle()

    @rule()
    def commit(self) -> None:
        self.runtime.commit()
        self.look()

    @rule()
    def begin_commit(self) -> None:
        self.runtime.begin_commit()

    @rule()
    def fail(self) -> None:
        self.runtime.fail()
        self.look()

    @rule(after_commit=st.booleans())
    def crash(self, *, after_commit: bool) -> None:
        self.runtime.crash(after_commit=after_commit)
        self.gateways = [self.a_gateway(), self.a_gateway()]
        self.look()

    @rule(gateway=GATEWAYS)
    def restart(self, gateway: int) -> None:
        self.gateways[gateway] = self.a_gateway()

    @rule(seconds=st.sampled_from([0.001, 0.001, 0.002, 5.0, -0.002, -5.0]))
    def pass_time(self, seconds: float) -> None:
        self.runtime.advance(seconds)

    # -- What is seen

    def look(self) -> None:
        """Take the answers that have come."""
        done = [one for one in self.reading if one.task.done]
        self.reading = [one for one in self.reading if not one.task.done]
        for reader, task in done:
            try:
                page = task.result()
            except EXPECTED:
                continue
            reader.take(page)
        for task in [task for task in self.writing if task.done]:
            self.writing.remove(task)
            try:
                answer = task.result()
            except EXPECTED:
                continue
            if hasattr(answer, "timestamp"):
                self.posted.add(answer.id)

    def teardown(self) -> None:
        """At the end every reader reads on until there is nothing more."""
        self.settle()
        for reader in self.readers:
            reader.is_done = False
            while not reader.is_done:
                reader.take(self.runtime.run(reader.next_page(self.gateways[0])))
        messages = self.stored()
        assert self.posted <= messages.keys()
        for reader in self.readers:
            reader.assert_seen(messages)

    def settle(self) -> None:
        for _ in range(1_000):
            self.look()
            if not (self.reading or self.writing):
                return
            self.runtime.commit()
        raise AssertionError("some calls have no answer")

    def stored(self) -> dict[str, Message]:
        """All messages, from the objects themselves."""
        directory = self.runtime.namespace("Directory", Directory).get("directory")
        queues = self.runtime.namespace("MessageQueue", QueueShard, CONFIG)
        bodies = [
            self.runtime.run(queues.get(place.name).call(MessageQueue.read)).body
            for place in self.runtime.run(directory.call(Directory.places))
        ]
        return {message.id: message for body in bodies for message in decode_list(body)}


MergedFeedMachine.TestCase.settings = settings(max_examples=examples(200), stateful_step_count=50)
test_p5_every_reader_of_a_merged_feed_sees_every_message_once = MergedFeedMachine.TestCase
