"""The counts of answers, their times and failures: exact after any wake, though most answers store none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace
from queue_wall import Wall

from saywhatwant.answer_times import BOUNDS_SECONDS, bucket_of
from saywhatwant.queue import MessageQueue
from saywhatwant.queue.outcomes import MOST_FINISHED, OUTCOMES_KEY
from saywhatwant.schemas import BatchRequest, Reply
from saywhatwant.tally import Outcomes, Waiting

DISCARD = BatchRequest(action="discard", all=True)


def counted(wall: Wall) -> Outcomes:
    return wall.call(MessageQueue.tally).outcomes


def answered(wall: Wall, after_ms: int = 0) -> None:
    """A question whose answer comes so much later."""
    question = wall.ask()
    wall.claim(question)
    wall.runtime.now_ms += after_ms
    wall.call(MessageQueue.complete, question, "bot", 1, Reply("Because."))


def is_stored(wall: Wall) -> bool:
    return wall.runtime.disk.get("Queue/wall", OUTCOMES_KEY) is not None


def test_an_answer_counts_in_the_bucket_of_the_time_since_its_question() -> None:
    wall = Wall(lease_ms=100_000_000, max_hold_ms=100_000_000, max_wait_ms=100_000_000)
    answered(wall, 3_000)
    answered(wall, 90_000_000)
    counts = counted(wall).answer_times
    assert (counts[bucket_of(3_000)], counts[-1], sum(counts)) == (1, 1, 2)
    assert counted(wall).answer_ms == 90_003_000 - 1, "the second question's timestamp is one later than the clock"
    assert BOUNDS_SECONDS[bucket_of(3_000)] == 4.0


def test_an_answer_in_two_steps_counts_once() -> None:
    """Before or after the completion."""
    wall = Wall()
    for first in ("answer", "complete"):
        question = wall.ask()
        wall.claim(question)
        if first == "answer":
            wall.answer(question)
        wall.call(MessageQueue.complete, question, "bot", 1)
        wall.answer(question)
    assert counted(wall).answers == 2


def test_only_final_failures_count_and_one_that_is_retried_counts_again() -> None:
    wall = Wall(max_attempts=2)
    question = wall.ask()
    wall.claim(question)
    wall.call(MessageQueue.fail, question, "bot", 1, "not now")
    assert counted(wall).failures == 0
    wall.runtime.now_ms += 3_600_000
    wall.claim(question)
    wall.call(MessageQueue.fail, question, "bot", 2, "never")
    assert counted(wall).failures == 1
    wall.call(MessageQueue.retry, question)
    wall.claim(question)
    wall.call(MessageQueue.fail, question, "bot", 3, "never", retry=False)
    assert (counted(wall).failures, counted(wall).answers) == (2, 0)


def test_what_waits_is_told_beside() -> None:
    wall = Wall()
    asked = [wall.ask() for _ in range(3)]
    wall.claim(asked[0])
    assert wall.call(MessageQueue.tally).waiting == Waiting(pending=2, held=1, failed=0, backlog=3)
    stats = wall.call(MessageQueue.stats)
    assert (stats.answers, stats.circuits is not UNSET) == (0, True)
    assert stats.next_since == {"": wall.message(asked[1]).timestamp}


def test_most_answers_store_no_count() -> None:
    wall = Wall(retention=1_000)
    for _ in range(MOST_FINISHED // 2 - 1):
        answered(wall)
    assert not is_stored(wall)
    answered(wall)
    assert is_stored(wall)


@given(
    retention=st.integers(0, 12),
    talk_retention=st.integers(0, 3),
    steps=st.lists(st.sampled_from(["answer", "answer", "fail", "chat", "wake", "discard"]), max_size=60),
)
def test_p1_no_wake_loses_a_count_however_few_messages_are_kept(retention: int, talk_retention: int, steps: list[str]) -> None:
    wall = Wall(retention=retention, talk_retention=talk_retention, max_kept=1)
    answers = failures = 0
    for step in steps:
        wall.runtime.now_ms += 10
        match step:
            case "answer":
                answered(wall, 100)
                answers += 1
            case "fail":
                question = wall.ask()
                wall.claim(question)
                wall.call(MessageQueue.fail, question, "bot", 1, "never", retry=False)
                failures += 1
            case "chat":
                wall.ask(answer=False)
            case "discard":
                wall.call(MessageQueue.batch, DISCARD)
            case _:
                wall.runtime.crash()
    before = counted(wall)
    assert (before.answers, before.failures) == (answers, failures)
    wall.runtime.crash()
    assert counted(wall) == before


@pytest.mark.parametrize("name", ["answers", "failures"])
def test_what_a_call_returned_does_not_change_afterwards(name: str) -> None:
    wall = Wall()
    before = counted(wall)
    copy = replace(before, answer_times=list(before.answer_times))
    answered(wall)
    assert before == copy
    assert getattr(before, name) == 0
