"""An object that keeps few messages in memory does what one does that keeps all of them, whenever it is rebuilt."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from queue_wall import Wall, answer_to, empty_storage
from small_archive import small_archive

from durable_objects import Refusal
from profiles import examples
from saywhatwant.message import Message, NewMessage, decode, decode_list
from saywhatwant.queue import MessageQueue
from saywhatwant.queue.stored import entries_at, key_at, split
from saywhatwant.schemas import BatchRequest, ListState, Reply

ENTITIES = ("fear", "joy", "zen")
PEOPLE = ("Ann", "Bob", "Cid")
ACTIONS: tuple[Literal["retry", "fail", "discard"], ...] = ("retry", "fail", "discard")
LISTS: tuple[ListState, ...] = ("pending", "waiting", "held", "failed")


class Both:
    """Two walls that get the same calls, crashes and clock: one archives nothing, the other nearly everything."""

    def __init__(self, recent: int, together: int, **config: Any) -> None:
        self.whole, self.small = Wall(**config), Wall(**config)
        self._bounds: Callable[[], AbstractContextManager[None]] = partial(small_archive, recent, together)
        self.texts = 0

    def call(self, *call: Any, **kwargs: Any) -> Any:
        """The answer of both."""
        expected = _outcome(self.whole, nullcontext(), *call, **kwargs)
        assert _outcome(self.small, self._bounds(), *call, **kwargs) == expected, call
        return expected

    def pass_time(self, milliseconds: int) -> None:
        self.whole.runtime.advance(milliseconds / 1_000)
        with self._bounds():
            self.small.runtime.advance(milliseconds / 1_000)

    def rebuild(self) -> None:
        for wall in (self.whole, self.small):
            wall.runtime.crash()

    def step_clock(self, milliseconds: int) -> None:
        for wall in (self.whole, self.small):
            wall.runtime.now_ms += milliseconds

    def stored(self) -> list[Message]:
        """The messages in storage, which are the same in both."""
        stored = [_stored(wall) for wall in (self.whole, self.small)]
        assert stored[0] == stored[1]
        return [decode(encoded) for _, encoded in stored[0]]

    def text(self) -> str:
        self.texts += 1
        return f"text {self.texts}"


def _outcome(wall: Wall, bounds: AbstractContextManager[None], *call: Any, **kwargs: Any) -> Any:
    with bounds:
        try:
            return wall.call(*call, **kwargs)
        except Refusal as refusal:
            return type(refusal), str(refusal)


def _stored(wall: Wall) -> list[tuple[str, bytes]]:
    return [(key, split(value)[0]) for key, value in wall.runtime.disk.list("Queue/wall", "message/", "", 1_000)]


def step(both: Both, operation: str, pick: int) -> None:
    """One call of some kind; ``pick`` chooses what it is about."""
    match operation:
        case "time":
            both.pass_time((1, 600, 4_000, 30_000)[pick % 4])
        case "clock":
            both.step_clock(-3_000 * (pick % 2))
        case "crash":
            both.rebuild()
        case "post" | "say" | "own id":
            post(both, operation, pick)
        case _ if messages := both.stored():
            of_message(both, operation, messages[pick % len(messages)], pick)


def post(both: Both, operation: str, pick: int) -> None:
    new = NewMessage(text=both.text(), username=PEOPLE[pick % 3], color="169080199", entity=(*ENTITIES, None)[pick % 4])
    if operation != "post":
        new = replace(new, answer=False)
    if operation == "own id":
        new = replace(new, id=f"own{pick % 7}id", text="mine" if pick % 2 else new.text)
    both.call(MessageQueue.post, new)


def of_message(both: Both, operation: str, some: Message, pick: int) -> None:
    """A call of bots or operators, or a read."""
    attempt = max(some.bot_params.attempt, 1)
    calls: dict[str, Callable[[], Any]] = {
        "round trip": lambda: round_trip(both, pick),
        "claim": lambda: both.call(MessageQueue.claim_next, "bot", None, 1 + pick % 3, context=pick % 5),
        "claim one": lambda: both.call(MessageQueue.claim, some.id, "bot", entities=ENTITIES, context=pick),
        "answer": lambda: both.call(MessageQueue.post, answer_to(some.id)),
        "complete": lambda: both.call(
            MessageQueue.complete, some.id, "bot", attempt, Reply("An answer.") if pick % 2 else None
        ),
        "fail": lambda: both.call(
            MessageQueue.fail, some.id, "bot", attempt, "no words", retry=pick % 3 == 0, detail="says the model"
        ),
        "retry": lambda: both.call(MessageQueue.retry, some.id),
        "batch": lambda: both.call(
            MessageQueue.batch, BatchRequest(action=ACTIONS[pick % 3], entity=(*ENTITIES, None)[pick % 4])
        ),
        "page": lambda: look_at_pages(both, some, pick),
        "changes": lambda: look_at_changes(both, pick),
        "lists": lambda: both.call(MessageQueue.listing, LISTS[pick % 4], 1 + pick // 4),
        "stats": lambda: both.call(MessageQueue.stats, ("zen",)),
    }
    calls[operation]()


def round_trip(both: Both, pick: int) -> None:
    claimed = both.call(MessageQueue.claim_next, "bot", ENTITIES, 1, also=("eve",), context=1 + pick)
    for message in map(decode, claimed.messages):
        both.call(MessageQueue.complete, message.id, "bot", message.bot_params.attempt, Reply(both.text()))


def look_at_changes(both: Both, pick: int) -> None:
    seq = both.whole.runtime.disk.head("Queue/wall").seq
    both.call(MessageQueue.changes, min(pick * 3, seq), 1 + pick % 4)
    both.call(MessageQueue.replay, seq // 2)


def look_at_pages(both: Both, some: Message, pick: int) -> None:
    limit = None if pick % 5 == 0 else 1 + pick % 4
    before = some.timestamp if pick % 3 else None
    conversation = some.conversation or None if pick % 2 else None
    since = 0 if pick % 4 else some.timestamp - 1
    for newest_first in (True, False):
        both.call(MessageQueue.read, since, limit, newest_first=newest_first, before=before, conversation=conversation)


CHANGES = ["post", "post", "say", "round trip", "round trip", "round trip", "answer", "complete", "fail", "fail", "retry"]
OTHERS = ["own id", "claim", "claim one", "time", "clock", "batch", "batch"]
READS = ["page", "page", "changes", "lists", "stats"]
STEPS = st.tuples(st.sampled_from([*CHANGES, *OTHERS, *READS, "crash", "crash"]), st.integers(0, 23))


@settings(max_examples=examples(400))
@given(
    steps=st.lists(STEPS, min_size=20, max_size=120),
    recent=st.integers(1, 4),
    together=st.integers(1, 3),
    retention=st.integers(1, 9),
    talk_retention=st.integers(0, 4),
    max_kept=st.integers(1, 16),
)
def test_p1_p6_an_object_that_archives_does_the_same_as_one_that_keeps_all_in_memory(
    steps: list[tuple[str, int]], recent: int, together: int, retention: int, talk_retention: int, max_kept: int
) -> None:
    """Every answer, page, list, figure and removal, with the object dropped and rebuilt at any moment."""
    both = Both(
        recent, together, lease_ms=2_000, backoff_ms=500, max_attempts=2, max_wait_ms=20_000, retention=retention,
        talk_retention=talk_retention, talk_ms=8_000, max_kept=max_kept, backlog_limit=14, entities=("fear",),
    )  # fmt: skip
    for operation, pick in steps:
        step(both, operation, pick)
    both.stored()
    for operation, pick in [(name, pick) for name in READS for pick in (0, 3, 12, 15)]:
        step(both, operation, pick)


def test_p9_a_wake_reads_no_more_rows_as_more_messages_are_kept() -> None:
    assert rows_read_by_wakes(400) <= rows_read_by_wakes(40) + 10 < 40


def rows_read_by_wakes(messages: int) -> int:
    """The rows that a rebuilt object reads for a page of the newest messages, its figures, and the changes since a while."""
    wall = Wall(retention=1_000)
    with small_archive(10, 10):
        for n in range(messages):
            wall.ask(f"thought {n}", answer=False)
        asked = wall.ask("Why?")
        wall.runtime.crash()
        before = wall.runtime.meter.reads
        assert len(decode_list(wall.call(MessageQueue.read, 0, 10).body)) == 10
        assert wall.call(MessageQueue.stats).messages == messages + 1
        assert len(wall.call(MessageQueue.changes, messages - 2).messages) == 3
        assert [message.id for message in wall.claim_next()] == [asked]
        return wall.runtime.meter.reads - before


def test_p1_messages_from_before_there_was_an_archive_are_archived_step_by_step() -> None:
    """The data of a version without archive: entries of messages, and nothing else."""
    wall = Wall(retention=60)
    for n in range(50):
        wall.ask(f"thought {n}", answer=False)
    before = wall.messages()
    wall.runtime.crash()
    rows = []
    with small_archive(10, 10):
        for n in range(15):
            assert wall.messages()[: 50 - max(0, n - 10)] == before[max(0, n - 10) :]
            wall.ask(f"later {n}", answer=False)
            wall.runtime.crash()
            reads = wall.runtime.meter.reads
            wall.call(MessageQueue.stats)
            rows.append(wall.runtime.meter.reads - reads)
    assert rows[0] > 40
    assert rows[-1] < 30, "three at a time, as the bounds here have it"


def test_p6_what_is_archived_costs_few_rows_more() -> None:
    wall = Wall(retention=2_000)
    for n in range(1_000):
        wall.ask(f"thought {n}", answer=False)
    assert wall.runtime.meter.writes <= 1.02 * 1_000
    assert wall.runtime.meter.deletes == 0
    for n in range(2_000):
        wall.ask(f"thought {n}", answer=False)
    meter = wall.runtime.meter
    assert meter.writes + meter.deletes <= 1.02 * (3_000 + 1_000)


def test_p1_what_a_discarded_message_said_of_others_is_not_lost() -> None:
    """The note of what was removed is beside the message that failed, until that one is removed too."""
    wall = Wall(retention=6)
    with small_archive(2, 2):
        for n in range(6):
            wall.ask(f"thought {n}", answer=False)
        asked = wall.ask("Why?")
        (message,) = wall.claim_next()
        wall.call(MessageQueue.fail, asked, "bot", message.bot_params.attempt, "no words", retry=False)
        wall.call(MessageQueue.batch, BatchRequest(action="discard", message_ids=[asked]))
        before = wall.call(MessageQueue.changes, 0), wall.call(MessageQueue.stats)
        wall.runtime.crash()
        assert (wall.call(MessageQueue.changes, 0), wall.call(MessageQueue.stats)) == before
        assert before[1].messages == 5


@given(stored=st.sets(st.integers(1, 60)), wanted=st.sets(st.integers(1, 60)))
def test_entries_are_read_where_they_are_wanted(stored: set[int], wanted: set[int]) -> None:
    storage = empty_storage()
    for timestamp in stored:
        storage.put(key_at(timestamp), b"%d" % timestamp)
    found = list(entries_at(storage, sorted(wanted)))
    assert found == [(timestamp, b"%d" % timestamp) for timestamp in sorted(stored & wanted)]


@pytest.mark.parametrize("recent", [1, 3])
def test_p5_a_reader_far_behind_gets_every_page_from_storage(recent: int) -> None:
    both = Both(recent, 1, retention=1_000)
    for pick in range(40):
        step(both, "say", pick)
    both.rebuild()
    got, since = [], 0
    while page := both.call(MessageQueue.changes, since, 3).messages:
        got += [decode(encoded).timestamp for encoded in page]
        since = decode(page[-1]).seq
    assert got == [message.timestamp for message in both.stored()]
