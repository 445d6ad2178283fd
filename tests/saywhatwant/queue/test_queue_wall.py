"""The wall and its order: paging (P5), retention and backlog (P6), order of work, and the state after a wake (P1, P9)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, json
from queue_wall import Wall

from durable_objects import ObjectFailed
from durable_objects.disk import Change, Head
from durable_objects.limits import MAX_LIST_PAGE
from saywhatwant.limits import MAX_PRUNED_AT_ONCE, MAX_STATS_ENTITIES
from saywhatwant.message import decode_list
from saywhatwant.queue import MessageQueue
from saywhatwant.queue.config import QueueConfig
from saywhatwant.schemas import Reply


def finish(wall: Wall, count: int) -> list[str]:
    return [wall.answer(None, f"thought {n}").id for n in range(count)]


def everything(wall: Wall) -> dict[str, Any]:
    return {
        "newest first": wall.call(MessageQueue.read).body,
        "oldest first": wall.call(MessageQueue.read, newest_first=False).body,
        "page": wall.call(MessageQueue.read, wall.messages()[-2].timestamp, 10, newest_first=False).body,
        "pending": wall.call(MessageQueue.pending, 10_000),
        "to joy": wall.call(MessageQueue.pending, 10_000, "joy"),
        "held": wall.call(MessageQueue.listing, "held", 10_000),
        "waiting": wall.call(MessageQueue.listing, "waiting", 10_000),
        "failed": wall.call(MessageQueue.listing, "failed", 10_000),
        "stats": wall.call(MessageQueue.stats),
    }


def busy_wall(messages: int, seed: int) -> Wall:
    """A wall with messages in every state, of which some have changed often."""
    wall = Wall(seed=seed, retention=10_000, max_attempts=2)
    asked = [wall.ask(f"question {n}", entity=("fear", "joy", None)[n % 3], priority=n % 7) for n in range(messages)]
    for n, message in enumerate(wall.claim_next(limit=min(messages // 2, 100))):
        match (n + seed) % 6:
            case 0:
                wall.call(MessageQueue.fail, message.id, "bot", 1, "later")
            case 1:
                wall.call(MessageQueue.fail, message.id, "bot", 1, "never", retry=False)
            case 2:
                wall.call(MessageQueue.complete, message.id, "bot", 1, Reply("Because."))
            case 3:
                wall.answer(message.id)
            case 4:
                wall.call(MessageQueue.fail, message.id, "bot", 1, "never", retry=False)
                wall.call(MessageQueue.retry, message.id)
            case _:
                pass
    assert len(asked) == messages
    return wall


@pytest.mark.parametrize(("messages", "seed"), [(12, 0), (30, 1), (30, 2), (2 * MAX_LIST_PAGE + 500, 3)])
def test_p1_an_object_rebuilt_from_storage_answers_every_read_as_before(messages: int, seed: int) -> None:
    wall = busy_wall(messages, seed)
    before, alarm = everything(wall), wall.runtime.disk.head("Queue/wall")
    wall.runtime.crash()
    assert everything(wall) == before
    assert wall.runtime.disk.head("Queue/wall") == alarm, "and waking writes nothing"


def test_p1_a_rebuilt_object_names_the_same_entities_in_its_figures() -> None:
    """The same calls, clock and seed give the same answers, though there are more entities than the figures name."""
    wall = Wall()
    first = wall.ask(entity="entity-00")
    for n in range(1, 60):
        wall.ask(entity=f"entity-{n:02d}")
    wall.claim(first)
    before = wall.call(MessageQueue.stats)
    wall.runtime.crash()
    assert wall.call(MessageQueue.stats) == before


def test_the_figures_name_the_entities_that_answer_now_first() -> None:
    """They come with the call, for the entities file may have changed since the start."""
    wall = Wall(entities=("entity-00",))
    for n in range(MAX_STATS_ENTITIES + 10):
        wall.ask(entity=f"entity-{n:02d}")
    named = wall.call(MessageQueue.stats, ("entity-59", "entity-58")).entities
    assert list(named)[:3] == ["entity-59", "entity-58", "entity-00"]
    assert len(named) == MAX_STATS_ENTITIES


def test_p2_what_a_call_returned_does_not_change_afterwards() -> None:
    wall = busy_wall(30, 0)
    results = everything(wall)
    assert all(type(value).__struct_config__.frozen for value in results.values() if isinstance(value, Struct))
    texts = {name: json.encode(value) for name, value in results.items()}
    wall.runtime.advance(60)
    wall.claim_next(limit=30)
    finish(wall, 30)
    assert {name: json.encode(value) for name, value in results.items()} == texts


@given(
    steps=st.lists(st.sampled_from([-3_600_000, -1, 0, 0, 0, 1, 1_000]), min_size=1, max_size=30),
    limit=st.integers(1, 7),
    crash_at=st.integers(0, 30),
)
def test_p5_paging_skips_nothing_though_the_clock_stands_still_or_steps_back(
    steps: list[int], limit: int, crash_at: int
) -> None:
    wall = Wall()
    posted: list[str] = []
    seen: list[str] = []
    since = 0
    for n, step in enumerate(steps):
        wall.runtime.now_ms += step
        posted.append(wall.ask(f"question {n}"))
        if n == crash_at:
            wall.runtime.crash()
        if n % 3 == 0:
            page = decode_list(wall.call(MessageQueue.read, since, limit, newest_first=False).body)
            seen += [message.id for message in page]
            since = page[-1].timestamp
    while len(seen) < len(posted):
        page = decode_list(wall.call(MessageQueue.read, since, limit, newest_first=False).body)
        assert 1 <= len(page) <= limit
        seen += [message.id for message in page]
        since = page[-1].timestamp
    assert seen == posted
    stamps = [message.timestamp for message in wall.messages()]
    assert stamps == sorted(set(stamps))
    newest = decode_list(wall.call(MessageQueue.read, 0, limit).body)
    assert [message.id for message in newest] == posted[::-1][:limit]


def test_p5_every_commit_of_the_object_has_a_number_one_more_than_the_last() -> None:
    wall = Wall()
    seqs = [wall.call(MessageQueue.read).seq]
    for change in (wall.ask, wall.claim_next, lambda: wall.answer(None), lambda: wall.runtime.advance(60)):
        change()
        page = wall.call(MessageQueue.read)
        seqs.append(page.seq)
        assert max(message.seq for message in decode_list(page.body)) == page.seq
    wall.runtime.crash()
    assert [*seqs, wall.call(MessageQueue.read).seq] == [0, 1, 2, 3, 4, 4]


def test_p6_retention_keeps_the_last_finished_messages_and_all_unfinished_ones() -> None:
    wall = Wall(retention=3)
    old = [wall.ask(f"old {n}") for n in range(5)]
    wall.claim(old[0])
    thoughts = finish(wall, 10)
    assert [message.id for message in wall.messages()] == old + thoughts[-3:]
    wall.call(MessageQueue.complete, old[0])
    assert [message.id for message in wall.messages()] == old + thoughts[-2:]
    assert len(wall.runtime.disk.list("Queue/wall", "message/", "", 100)) == 7


def test_p4_what_fails_late_is_kept_with_its_reason_and_can_be_retried() -> None:
    wall = Wall(retention=3)
    slow = wall.ask("slow")
    attempt = wall.claim(slow).bot_params.attempt
    thoughts = finish(wall, 5)
    wall.call(MessageQueue.fail, slow, "bot", attempt, "the model is down", retry=False)
    assert wall.params(slow).error == "the model is down"
    assert [message.id for message in wall.messages()] == [slow, *thoughts[-2:]]
    wall.call(MessageQueue.retry, slow)
    assert wall.params(slow).status == "pending"


def test_p5_timestamps_continue_from_the_newest_message_even_if_it_finished_first() -> None:
    wall = Wall(retention=2)
    old = [wall.ask(f"old {n}") for n in range(4)]
    newest = wall.answer(None).timestamp
    for question in old:
        wall.claim(question)
        wall.call(MessageQueue.complete, question)
    wall.runtime.crash()
    wall.runtime.now_ms -= 60_000
    assert wall.answer(None).timestamp == newest + 1


def test_what_is_stored_and_is_no_message_is_named() -> None:
    wall = Wall()
    wall.ask()
    ((key, _),) = wall.runtime.disk.list("Queue/wall", "message/", "", 10)
    wall.runtime.crash()
    wall.runtime.disk.apply([Change("Queue/wall", {key: b"{}"}, Head(1))])
    with pytest.raises(ObjectFailed, match=f"the entry {key} is not a message"):
        wall.messages()


def test_p6_a_lowered_retention_is_reached_step_by_step() -> None:
    wall = Wall(retention=100)
    thoughts = finish(wall, 100)
    wall.runtime.crash(configs={"Queue": QueueConfig(retention=5)})
    assert len(wall.messages()) == 100, "waking removes nothing"
    for _ in range(100):
        messages = wall.messages()
        thoughts += finish(wall, 1)
        left = wall.messages()
        assert len(messages) + 1 - len(left) <= MAX_PRUNED_AT_ONCE
        assert [message.id for message in left] == thoughts[-len(left) :]
    assert len(wall.messages()) == 5


@pytest.mark.parametrize("alarm", ["comes", "is lost"])
def test_p6_a_lowered_retention_leaves_every_call_within_the_bounds_of_one_commit(alarm: str) -> None:
    """A hundred last leases end in one call and a hundred begin; what that removes together is bounded (MAX_CALL_WRITES)."""
    wall = Wall(retention=10_000)
    finish(wall, 1_500)
    for n in range(200):
        wall.ask(f"question {n}")
    assert len(wall.claim_next(100)) == 100
    wall.runtime.crash(configs={"Queue": QueueConfig(retention=5, max_attempts=1)})
    if alarm == "is lost":
        wall.forget_alarms()
    wall.runtime.advance(60)
    assert len(wall.claim_next(100)) == 100
    assert wall.call(MessageQueue.stats).depth.failed == 100


def test_p4_a_bot_gets_messages_to_its_entities_or_to_no_entity() -> None:
    wall = Wall()
    to = {entity: wall.ask(f"to {entity}", entity=entity) for entity in ("fear", "joy", "rage", None)}
    assert [message.id for message in wall.claim_next(10, ("joy", "unheard-of"))] == [to["joy"], to[None]]
    assert wall.claim_next(10, ("joy",)) == []
    assert [message.id for message in wall.claim_next(10)] == [to["fear"], to["rage"]]
