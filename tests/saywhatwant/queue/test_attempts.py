"""Attempts that ended without an answer: operators see why, also after the message has its answer."""

from msgspec import json
from queue_wall import Wall

from saywhatwant.limits import MAX_ENDED_ATTEMPTS
from saywhatwant.overview import DecodedStory, EndedAttempt
from saywhatwant.queue import MessageQueue
from saywhatwant.schemas import BatchRequest, Reply


def story(wall: Wall, message_id: str) -> DecodedStory:
    return json.decode(json.encode(wall.call(MessageQueue.story, message_id)), type=DecodedStory)


def told(attempts: list[EndedAttempt]) -> list[tuple[int, str | None, str | None]]:
    return [(one.attempt, one.worker_id, one.reason) for one in attempts]


def attempt(wall: Wall, asked: str, worker: str) -> int:
    wall.runtime.advance(300)
    return wall.claim(asked, worker=worker).bot_params.attempt


def test_p4_a_message_tells_each_attempt_with_its_bot_its_times_and_its_reason() -> None:
    wall = Wall(lease_ms=1_000, max_attempts=3)
    asked = wall.ask(entity="fear")
    wall.call(MessageQueue.fail, asked, "one", attempt(wall, asked, "one"), "no words")
    attempt(wall, asked, "two")
    wall.runtime.advance(300)  # its lease runs out
    wall.call(MessageQueue.release, asked, "three", attempt(wall, asked, "three"))
    number = attempt(wall, asked, "four")
    wall.call(MessageQueue.complete, asked, "four", number, Reply(text="So."))
    for _ in range(2):
        found = story(wall, asked)
        assert told(found.attempts) == [(1, "one", "no words"), (2, "two", "the lease of 'two' ran out"), (3, "three", None)]
        assert all(one.entity == "fear" and one.claimed_at is not None for one in found.attempts)
        assert [one.ended_at >= (one.claimed_at or 0) for one in found.attempts] == [True] * 3
        assert (found.message.bot_params.attempt, found.message.bot_params.claimed_by) == (4, "four")
        assert found.answer is not None
        assert found.answer.text == "So."
        wall.runtime.crash()


def test_p4_what_an_operator_ends_is_told_too() -> None:
    wall = Wall()
    asked = wall.ask()
    attempt(wall, asked, "one")
    wall.call(MessageQueue.batch, BatchRequest(action="fail", message_ids=[asked], reason="enough"))
    wall.call(MessageQueue.retry, asked)
    attempt(wall, asked, "two")
    assert told(story(wall, asked).attempts) == [(1, "one", "enough")]


def test_an_attempt_that_ends_with_an_answer_and_a_heartbeat_write_nothing_more() -> None:
    wall = Wall()
    asked = wall.ask()
    number = wall.claim(asked).bot_params.attempt
    wall.call(MessageQueue.extend, asked, "bot", number)
    wall.call(MessageQueue.complete, asked, "bot", number, Reply(text="So."))
    wall.runtime.advance(1)
    assert wall.runtime.disk.list("Queue/wall", "attempt", "", 1_000) == []


def test_p6_the_attempts_that_are_remembered_are_bounded_and_all_are_counted() -> None:
    wall = Wall(max_attempts=1, retention=1_000)
    asked = [wall.ask(f"question {number}") for number in range(MAX_ENDED_ATTEMPTS + 5)]
    for message_id in asked:
        wall.call(MessageQueue.fail, message_id, "bot", wall.claim(message_id).bot_params.attempt, "no words")
    wall.runtime.crash()
    seen = wall.call(MessageQueue.overview)
    assert seen.ended == len(asked)
    assert [one.message_id for one in seen.latest] == asked[: -len(seen.latest) - 1 : -1]
    assert (story(wall, asked[4]).attempts, len(story(wall, asked[5]).attempts)) == ([], 1)


def test_an_overview_has_the_oldest_unfinished_message_of_each_entity() -> None:
    wall = Wall()
    first = wall.ask("one", entity="fear")
    wall.runtime.advance(1)
    wall.ask("two", entity="fear")
    second = wall.ask("three", entity=None)
    times = {message.id: message.timestamp for message in wall.messages()}
    assert wall.call(MessageQueue.overview).oldest == {"fear": times[first], "": times[second]}
    wall.call(MessageQueue.complete, first, "bot", wall.claim(first).bot_params.attempt)
    assert wall.call(MessageQueue.overview).oldest["fear"] > times[first]
