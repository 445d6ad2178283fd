"""Details of failures: operators see them, no reader does, and they go with the failure they belong to (P8)."""

from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import json
from queue_wall import Wall

from listening import listen
from saywhatwant.limits import MAX_DETAIL
from saywhatwant.queue import MessageQueue
from saywhatwant.schemas import ListedMessage, ListState, Reply

PRIVATE = "CUDA error: out of memory at gpu-7.internal"


def failed(wall: Wall, reason: str = "no words", detail: str = PRIVATE, *, retry: bool = True) -> str:
    """A message whose first attempt has failed; returns its id."""
    asked = wall.ask()
    attempt = wall.claim(asked).bot_params.attempt
    wall.call(MessageQueue.fail, asked, "bot", attempt, reason, retry=retry, detail=detail)
    return asked


def fail_again(wall: Wall, asked: str, reason: str, detail: str) -> None:
    wall.runtime.advance(300)
    wall.call(MessageQueue.fail, asked, "bot", wall.claim(asked).bot_params.attempt, reason, detail=detail)


def stored(wall: Wall) -> list[bytes]:
    return [value for _, value in wall.runtime.disk.list("Queue/wall", "detail/", "", 1_000)]


def shown(wall: Wall, asked: str) -> object:
    """The detail that operators see beside this message, in whatever list it is."""
    listed = [encoded for state in get_args(ListState) for encoded in wall.call(MessageQueue.listing, state, 100)]
    (found,) = [message for message in (json.decode(encoded, type=ListedMessage) for encoded in listed) if message.id == asked]
    return found.detail or None


def test_p8_an_operator_sees_the_detail_in_every_state_and_after_a_crash_and_no_reader_ever() -> None:
    wall = Wall()
    published = listen(wall.stub)
    asked = failed(wall)
    assert shown(wall, asked) == PRIVATE
    before = published.take()
    wall.runtime.crash()
    published = listen(wall.stub)
    assert shown(wall, asked) == PRIVATE
    wall.runtime.advance(300)
    assert (wall.params(asked).retry_at, shown(wall, asked)) == (None, PRIVATE)
    wall.claim(asked)
    assert shown(wall, asked) == PRIVATE
    wall.call(MessageQueue.fail, asked, "bot", 2, "no words", retry=False, detail=PRIVATE)
    assert (wall.params(asked).status, shown(wall, asked)) == ("failed", PRIVATE)
    public = [wall.call(MessageQueue.read).body, *wall.call(MessageQueue.changes, 0).messages, *before, *published.heard()]
    public += wall.call(MessageQueue.pending, 10)
    assert not any(b"gpu-7" in bytes(encoded) for encoded in public)


@pytest.mark.parametrize("detail", ["", "  "])
def test_p8_a_failure_without_a_detail_has_none_of_an_earlier_one(detail: str) -> None:
    wall = Wall()
    asked = failed(wall)
    fail_again(wall, asked, "no words", detail)
    assert (shown(wall, asked), stored(wall)) == (None, [])


def test_p8_a_detail_goes_with_its_failure() -> None:
    wall = Wall(max_attempts=9)
    asked = failed(wall)
    fail_again(wall, asked, "no power", "breaker 3 is out")
    assert shown(wall, asked) == "breaker 3 is out"
    wall.runtime.advance(300)
    wall.claim(asked)
    wall.runtime.advance(60)
    assert (wall.params(asked).error, shown(wall, asked)) == ("the lease of 'bot' ran out", None)
    answered = failed(wall)
    wall.runtime.advance(300)
    wall.call(MessageQueue.complete, answered, "bot", wall.claim(answered).bot_params.attempt, Reply("Because."))
    assert stored(wall) == []


def test_p6_a_detail_is_removed_with_its_message() -> None:
    wall = Wall(retention=1)
    removed, kept = failed(wall, retry=False), failed(wall, retry=False)
    assert removed not in {message.id for message in wall.messages()}
    assert (len(stored(wall)), shown(wall, kept)) == (1, PRIVATE)


def test_p8_an_operators_retry_drops_the_detail() -> None:
    wall = Wall()
    asked = failed(wall, retry=False)
    wall.call(MessageQueue.retry, asked)
    assert (shown(wall, asked), stored(wall)) == (None, [])


def test_p4_what_waited_too_long_after_a_failure_still_shows_why_that_failed() -> None:
    wall = Wall(max_wait_ms=60_000)
    asked = failed(wall)
    wall.runtime.advance(3_000)
    assert wall.params(asked).error == "nobody answered within 1 minute; before that: no words"
    assert shown(wall, asked) == PRIVATE


@given(detail=st.text())
@example(detail="x" * (MAX_DETAIL + 1))
def test_p8_any_detail_is_shown_up_to_its_bound(detail: str) -> None:
    wall = Wall()
    asked = failed(wall, detail=detail)
    assert shown(wall, asked) == (detail.strip()[:MAX_DETAIL] or None)
