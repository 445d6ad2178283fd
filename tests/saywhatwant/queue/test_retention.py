"""Retention (P6): the newest of the wall, and the newest of each living talk, up to a bound of all."""

from functools import partial
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET
from queue_wall import Wall, empty_storage, work_of

from profiles import examples
from saywhatwant.limits import KEPT_BYTES
from saywhatwant.message import BotParams, Message, Status, encode
from saywhatwant.queue import QueueConfig, retention
from saywhatwant.queue.index import Index


class Naive(NamedTuple):
    """The rule of ``retention``, by looking at every message."""

    config: QueueConfig
    messages: dict[int, Message]

    def next_to_remove(self) -> Message | None:
        finished = sorted(
            (m for m in self.messages.values() if m.bot_params.status in {"complete", "failed"}),
            key=lambda m: (m.seq, m.timestamp),
        )
        newest = max(self.messages, default=0)
        beyond = finished[: max(0, len(finished) - self.config.retention)]
        conversations = {m.conversation for m in beyond if m.conversation is not UNSET}
        talks = {name: [m for m in self.messages.values() if m.conversation == name] for name in conversations}
        crowded = {name for name, talk in talks.items() if sum(m in finished for m in talk) > self.config.talk_retention}
        quiet = [name for name, talk in talks.items() if all(m in beyond for m in talk)]
        unkept = [m for m in beyond if m.conversation is UNSET]
        unkept += [next(m for m in beyond if m.conversation == name) for name in crowded]
        if removable := [m for m in unkept if m.timestamp != newest]:
            return min(removable, key=finished.index)
        counted = sum(1 + len(encode(m)) // KEPT_BYTES for m in finished)
        is_full = counted > max(self.config.max_kept, self.config.retention)
        if quiet:
            name = min(quiet, key=lambda name: max(finished.index(m) for m in talks[name]))
            if is_full or max(m.timestamp for m in talks[name]) + self.config.talk_ms <= newest:
                return next((m for m in finished if m in talks[name] and m.timestamp != newest), None)
        return next((m for m in beyond if m.timestamp != newest), None) if is_full else None


def removable(index: Index) -> Message | None:
    timestamp = index.kept.next_to_remove(index.last_timestamp)
    return None if timestamp is None else index.message_at(timestamp)


STATUSES: list[Status] = ["complete", "complete", "complete", "complete", "failed", "pending"]


@settings(max_examples=examples(400))
@given(
    config=st.builds(
        QueueConfig,
        retention=st.integers(1, 3),
        talk_retention=st.integers(0, 3),
        talk_ms=st.integers(1, 20),
        max_kept=st.integers(1, 9),  # the wall's retention may be more
    ),
    steps=st.lists(
        st.tuples(
            st.integers(1, 24),
            st.sampled_from([UNSET, "a", "b", "c", "d"]),
            st.sampled_from([*STATUSES, None]),
            st.sampled_from([1, 1, KEPT_BYTES, 2 * KEPT_BYTES]),
        ),
        min_size=12,
        max_size=50,
    ),
    calls=st.integers(1, 3),
    compacted=st.sampled_from([-8, retention.MIN_COMPACTED]),  # the places of quiet talks: each time, or never
)
def test_p6_the_message_to_remove_next_is_what_a_look_at_every_message_finds(
    config: QueueConfig, steps: list[tuple[int, Any, Status | None, int]], calls: int, compacted: int
) -> None:
    """Messages come, change, join talks, are retried and removed; ``None`` removes the next one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retention, "MIN_COMPACTED", compacted)
        check_removals(config, steps, calls)


def check_removals(config: QueueConfig, steps: list[tuple[int, Any, Status | None, int]], calls: int) -> None:
    index, naive = Index(config, empty_storage()), Naive(config, {})
    for number, (at, conversation, status, chars) in enumerate(steps):
        if status is None:
            message = removable(index)
            if message is not None:
                del naive.messages[message.timestamp]
                index.remove(message.timestamp)
        else:
            message = Message(
                id=f"message{at:03d}",
                timestamp=at,
                text="?" * chars,
                username="Human",
                color="169080199",
                message_type="human",
                reply_to=None,
                seq=number // calls,  # a call changes several messages in one commit
                conversation=conversation,
                bot_params=BotParams(status=status),
            )
            naive.messages[at] = message
            index.put(message, encode(message))
        assert removable(index) == naive.next_to_remove()
    rebuilt = Index(config, empty_storage())
    for message in sorted(naive.messages.values(), key=lambda m: (m.seq, m.timestamp)):
        rebuilt.put(message, encode(message))
    while (message := removable(index)) is not None:
        assert removable(rebuilt) == message, "a rebuilt object removes the same messages in the same order"
        index.remove(message.timestamp)
        rebuilt.remove(message.timestamp)
    assert removable(rebuilt) is None


def exchange(wall: Wall, person: str, text: str = "Why?", entity: str = "zen") -> None:
    wall.ask(text, username=person, entity=entity)
    wall.reply(wall.claim_next(entities=(entity,))[0], f"answer to {text}")


def texts(wall: Wall, person: str) -> list[str]:
    """What the entity remembers of its talk with this person."""
    wall.ask("What did we talk about?", username=person, entity="zen")
    ((message, talk),) = wall.recall(entities=("zen",))
    wall.reply(message, "That.")
    return talk


def test_p6_a_busy_wall_makes_no_entity_forget() -> None:
    """Failure 34: 50 messages were kept for all users together. The fact survives 170 turns and 1,800 other talks."""
    wall = Wall()
    exchange(wall, "Ann", "My name is Ann.")
    for n in range(1_800):
        exchange(wall, f"visitor {n}")
        if n % 21 == 0:
            exchange(wall, "Ann", f"question {n}")
    talk = texts(wall, "Ann")
    assert talk[:2] == ["My name is Ann.", "answer to My name is Ann."]
    assert len(talk) == 2 * 87
    assert len(wall.messages()) == 2 * (1_800 + 87) + 2


def most_work(talks: int) -> tuple[int, int]:
    """What a question and its answer cost at most, function calls and storage operations, with this many talks kept."""
    wall = Wall(retention=10, max_kept=2 * talks)
    for n in range(talks + 20):
        exchange(wall, f"visitor {n}")
    spent = [work_of(wall, partial(exchange, wall, f"visitor {10 * n}")) for n in range(talks // 20, talks // 20 + 20)]
    return max(functions for functions, _ in spent), max(operations for _, operations in spent)


def test_p6_no_call_costs_more_as_talks_are_kept() -> None:
    few, many = most_work(100), most_work(2_000)
    assert many[0] <= 1.5 * few[0], f"functions: {many[0]} with 2,000 talks, {few[0]} with 100"
    assert many[1] <= few[1] + 1, f"storage operations: {many[1]} with 2,000 talks, {few[1]} with 100"


def test_p6_a_talk_keeps_its_newest_messages() -> None:
    wall = Wall(retention=2, talk_retention=6)
    for n in range(10):
        exchange(wall, "Ann", f"question {n}")
    assert texts(wall, "Ann") == [f"{a}question {n}" for n in range(7, 10) for a in ("", "answer to ")]


def test_p6_a_talk_ends_some_time_after_its_last_message_unless_that_is_among_the_newest() -> None:
    wall = Wall(retention=4, talk_ms=10_000)
    exchange(wall, "Ann", "I am Ann.")
    exchange(wall, "Bob", "I am Bob.")
    wall.runtime.advance(9)
    exchange(wall, "Bob", "Still here.")
    wall.runtime.advance(9)
    for n in range(4):
        exchange(wall, f"visitor {n}")
    assert texts(wall, "Ann") == []
    assert texts(wall, "Bob")[0] == "I am Bob."


def test_p6_an_unfinished_message_keeps_its_talk() -> None:
    """A question that waits overnight is answered from memory in the morning."""
    wall = Wall(retention=1, talk_ms=10_000)
    exchange(wall, "Ann", "I am Ann.")
    wall.ask("Who am I?", username="Ann", entity="zen", priority=99)
    wall.runtime.advance(60)
    for n in range(9):
        exchange(wall, f"visitor {n}", entity="eliza")
    ((message, talk),) = wall.recall(entities=("zen",))
    assert (message.text, talk) == ("Who am I?", ["I am Ann.", "answer to I am Ann."])


def test_p6_beyond_the_bound_of_all_the_talk_that_is_quiet_longest_ends_first() -> None:
    wall = Wall(retention=2, max_kept=10)
    for person in ("Ann", "Bob", "Cid"):
        exchange(wall, person, f"I am {person}.")
    exchange(wall, "Ann", "Still here.")
    exchange(wall, "Dan", "I am Dan.")
    exchange(wall, "Eve", "I am Eve.")
    assert len(wall.messages()) == 10
    assert texts(wall, "Bob") == []
    assert texts(wall, "Ann")[0] == "I am Ann."


def test_p6_a_wall_that_keeps_more_than_the_bound_of_all_loses_nothing() -> None:
    """An operator set the retention before that bound existed."""
    wall = Wall(retention=12, max_kept=4)
    for n in range(5):
        exchange(wall, f"visitor {n}")
    wall.ask("thought", answer=False)
    assert len(wall.messages()) == 11


def test_p6_messages_of_no_talk_take_nothing_from_talks() -> None:
    wall = Wall(retention=5, max_kept=50)
    exchange(wall, "Ann", "I am Ann.")
    for n in range(100):
        wall.ask(f"thought {n}", answer=False)
    assert len(wall.messages()) == 7
    assert texts(wall, "Ann")[0] == "I am Ann."


def test_p6_a_clock_that_steps_forward_and_back_takes_no_talk_with_it_at_once() -> None:
    """Also with a restart in between. Until the wall's own time has gone on, nothing is old; then few go at a time."""
    wall = Wall(retention=2)
    for n in range(50):
        exchange(wall, f"visitor {n}")
    exchange(wall, "Ann", "I am Ann.")
    year = 365 * 86_400_000
    wall.runtime.now_ms += year
    wall.runtime.crash()
    assert len(wall.messages()) == 102, "waking removes nothing"
    assert texts(wall, "Ann")[0] == "I am Ann."
    wall.runtime.now_ms -= year
    wall.runtime.crash()
    assert texts(wall, "Ann")[0] == "I am Ann."
    assert len(wall.messages()) >= 102 + 4 - 4 * 3
