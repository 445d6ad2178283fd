"""A clock that steps: its effect on leases, backoffs, waits, keys, circuits and timestamps (P4, P5, P7)."""

import pytest
from queue_wall import Wall, again, answer_to

from saywhatwant.errors import NotTheHolder, WrongState
from saywhatwant.limits import MAX_DUE_PER_CALL
from saywhatwant.queue import MessageQueue
from saywhatwant.queue.lease import TOLERATED_STEP_MS
from saywhatwant.schemas import CircuitReport

YEAR_MS = 365 * 24 * 60 * 60 * 1_000
HOUR = 60 * 60
DAY = 24 * HOUR


class Ahead:
    """While in it, the clock is a year ahead, as when its time server is wrong for a moment."""

    def __init__(self, wall: Wall) -> None:
        self.wall = wall

    def __enter__(self) -> None:
        self.wall.runtime.now_ms += YEAR_MS

    def __exit__(self, *_: object) -> None:
        self.wall.runtime.now_ms -= YEAR_MS


@pytest.mark.parametrize("after", ["a call", "a crash", "an eviction"])
def test_p4_a_lease_taken_in_a_moment_a_year_ahead_ends_in_its_time(after: str) -> None:
    wall = Wall()
    asked = wall.ask()
    with Ahead(wall):
        wall.claim(asked, "dies")
    match after:
        case "a call":
            assert wall.claim_next() == []
        case "a crash":
            wall.runtime.crash()
            wall.messages()
        case _:
            wall.runtime.evict_idle()
            wall.runtime.evict_idle()
            wall.messages()
    wall.runtime.advance(1)
    assert wall.params(asked).status == "processing", "it has its lease, from now on"
    wall.runtime.advance(61)
    params = wall.params(asked)
    assert (params.status, params.error) == ("pending", "the lease of 'dies' ran out")


def test_p3_a_holder_keeps_its_lease_when_the_clock_steps_back() -> None:
    wall = Wall()
    asked = wall.ask()
    with Ahead(wall):
        attempt = wall.claim(asked).bot_params.attempt
    end = wall.call(MessageQueue.extend, asked, "bot", attempt).lease_expires_at
    assert end == wall.runtime.now_ms + 60_000
    wall.runtime.advance(1)
    wall.call(MessageQueue.complete, asked, "bot", attempt)


def test_p4_no_hold_is_longer_than_the_longest_after_a_step_back() -> None:
    wall = Wall(max_hold_ms=100_000)
    asked = wall.ask()
    with Ahead(wall):
        attempt = wall.claim(asked).bot_params.attempt
    for _ in range(10):
        try:
            wall.call(MessageQueue.extend, asked, "bot", attempt)
        except (NotTheHolder, WrongState):
            break
        wall.runtime.advance(30)
    else:
        pytest.fail("the hold has no end")


def test_p4_a_backoff_begun_in_a_moment_a_year_ahead_ends_in_its_time() -> None:
    wall = Wall(max_backoff_ms=10_000)
    asked = wall.ask()
    attempt = wall.claim(asked).bot_params.attempt
    with Ahead(wall):
        wall.runtime.now_ms -= YEAR_MS
        wall.runtime.now_ms += 50_000
        wall.call(MessageQueue.fail, asked, "bot", attempt, "no words")
        wall.runtime.now_ms += YEAR_MS - 50_000
    wall.runtime.now_ms -= 50_000
    wall.claim_next()
    wall.runtime.advance(11)
    assert wall.params(asked).retry_at is None
    assert [message.id for message in wall.claim_next()] == [asked]


def test_p4_a_message_posted_in_a_moment_a_year_ahead_fails_in_its_time() -> None:
    wall = Wall()
    with Ahead(wall):
        asked = wall.ask()
    wall.ask()
    wall.runtime.advance(DAY + 1)
    assert wall.params(asked).status == "failed"


def test_p4_more_deadlines_than_one_call_moves_are_all_moved() -> None:
    wall = Wall(lease_ms=10_000)
    count = 2 * MAX_DUE_PER_CALL + 50
    for number in range(count):
        wall.ask(f"question {number}")
    with Ahead(wall):
        for _ in range(3):
            wall.claim_next(limit=100)
    assert wall.call(MessageQueue.stats).depth.processing == count
    wall.claim_next()
    wall.runtime.advance(11)
    assert wall.call(MessageQueue.stats).depth.pending == count


def test_p4_a_small_step_back_moves_no_deadline() -> None:
    """Clocks are adjusted by parts of a second all the time: that must not rewrite every message that waits."""
    wall = Wall()
    asked = wall.ask()
    wall.claim(asked)
    before = wall.messages()
    wall.runtime.now_ms -= TOLERATED_STEP_MS
    wall.claim_next()
    wall.runtime.advance(0.1)
    assert wall.messages() == before


def test_p4_a_clock_a_day_ahead_ends_leases_and_waits_but_loses_nothing() -> None:
    wall = Wall(lease_ms=10_000)
    held, waiting = wall.ask("held"), wall.ask("waiting")
    wall.claim(held)
    wall.runtime.advance(DAY)
    assert (wall.params(held).status, wall.params(waiting).status) == ("pending", "failed")
    wall.call(MessageQueue.retry, waiting)
    assert wall.params(waiting).status == "pending"


def test_p4_a_moment_a_year_ahead_fails_nothing_that_waits() -> None:
    wall = Wall()
    asked = [wall.ask(f"question {number}", entity="zen") for number in range(2 * MAX_DUE_PER_CALL)]
    with Ahead(wall):
        wall.claim_next(entities=("nobody",))
        wall.runtime.advance(1)
        wall.runtime.now_ms -= 1_000
    wall.claim_next(entities=("nobody",))
    wall.runtime.advance(DAY - 10)
    assert {wall.params(message_id).status for message_id in asked} == {"pending"}
    wall.runtime.advance(20)
    assert wall.call(MessageQueue.stats).depth.pending == 0


def test_p4_bots_have_a_minute_after_a_long_stop_before_waits_end() -> None:
    wall = Wall()
    wall.ask()
    wall.runtime.now_ms += 3 * DAY * 1_000
    wall.runtime.crash()
    wall.runtime.advance(59)
    (message,) = wall.messages()
    assert message.bot_params.status == "pending"
    wall.runtime.advance(1)
    (message,) = wall.messages()
    assert message.bot_params.status == "failed"


def test_p5_after_a_moment_a_year_ahead_timestamps_continue_from_there() -> None:
    """They must strictly increase; so they stay ahead until the clock has caught up, one millisecond a message."""
    wall = Wall()
    first = wall.answer(None).timestamp
    with Ahead(wall):
        ahead = wall.answer(None).timestamp
    assert ahead == first + YEAR_MS
    assert [wall.answer(None).timestamp for _ in range(3)] == [ahead + 1, ahead + 2, ahead + 3]
    wall.runtime.now_ms += 2 * YEAR_MS
    assert wall.answer(None).timestamp == wall.runtime.now_ms


def test_p4_a_wait_is_measured_by_the_clock_though_timestamps_are_ahead() -> None:
    wall = Wall()
    with Ahead(wall):
        wall.answer(None)
    asked = wall.ask()
    wall.runtime.advance(DAY - 1)
    assert wall.params(asked).status == "pending"
    wall.runtime.advance(1)
    assert wall.params(asked).status == "failed"


def test_p7_a_key_used_before_a_moment_a_year_ahead_is_still_known() -> None:
    wall = Wall()
    new = answer_to(None)
    first = wall.post(new, "key")
    with Ahead(wall):
        wall.post(new, "another")
    assert wall.post(new, "key") == again(first)


def test_a_circuit_reported_in_a_moment_a_year_ahead_is_not_shown_for_a_year() -> None:
    wall = Wall()
    report = CircuitReport(worker_id="bot", provider="http://127.0.0.1:1/v1", entities=["zen"], seconds=60, reason="no")
    with Ahead(wall):
        wall.call(MessageQueue.report_circuit, report)
        assert wall.call(MessageQueue.stats).circuits
    assert wall.call(MessageQueue.stats).circuits == []
    wall.call(MessageQueue.report_circuit, report)
    assert wall.call(MessageQueue.stats).circuits
