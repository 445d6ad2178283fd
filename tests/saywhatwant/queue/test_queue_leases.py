"""Leases, backoffs and attempts: one holder (P3), and no message held or retried forever (P4)."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from queue_wall import Wall, answer_to

from durable_objects.disk import Head
from profiles import examples
from saywhatwant.errors import NotTheHolder, UnknownMessage, WrongState
from saywhatwant.limits import MAX_DUE_PER_CALL
from saywhatwant.queue import MessageQueue
from saywhatwant.schemas import Reply

SECOND = 1_000


def test_p3_a_stale_attempt_is_refused_however_late_it_comes() -> None:
    wall = Wall(lease_ms=10 * SECOND, max_attempts=5)
    question = wall.ask()
    stale = wall.claim(question).bot_params.attempt
    for later in (10, 10, 80_000):
        wall.runtime.advance(later)
        holder = wall.claim(question).bot_params
        before = wall.message(question)
        with pytest.raises(NotTheHolder):
            wall.call(MessageQueue.complete, question, "bot", stale)
        with pytest.raises(NotTheHolder):
            wall.call(MessageQueue.fail, question, "bot", stale, "no")
        with pytest.raises(NotTheHolder):
            wall.call(MessageQueue.extend, question, "bot", stale)
        with pytest.raises(NotTheHolder):
            wall.call(MessageQueue.post, answer_to(question, worker_id="bot", attempt=stale))
        assert wall.message(question) == before, "a refusal changes nothing"
        stale = holder.attempt
    wall.call(MessageQueue.complete, question, "bot", stale)
    with pytest.raises(NotTheHolder):
        wall.call(MessageQueue.complete, question, "bot", stale - 1)


def test_p3_a_worker_of_another_name_is_refused_even_without_an_attempt() -> None:
    wall = Wall()
    question = wall.ask()
    wall.claim(question, "bot")
    with pytest.raises(NotTheHolder):
        wall.call(MessageQueue.complete, question, "another")
    with pytest.raises(NotTheHolder):
        wall.answer(question, worker_id="another")
    wall.call(MessageQueue.complete, question)
    assert wall.params(question).status == "complete"


def test_p3_a_call_without_an_attempt_is_refused_once_there_was_a_second_one() -> None:
    """A name is no fence: a bot that was started again has the name of the one that hangs (and with no name, anybody)."""
    wall = Wall()
    question = wall.ask()
    wall.claim(question, "bot")
    wall.runtime.advance(60)
    wall.claim(question, "bot")
    before = wall.message(question)
    for worker in ("bot", None):
        with pytest.raises(NotTheHolder, match=r"attempt 2.*the field attempt") as refusal:
            wall.call(MessageQueue.complete, question, worker, None, Reply("Late."))
        assert refusal.value.fields.get("field") == "attempt"
        with pytest.raises(NotTheHolder, match="the field attempt"):
            wall.answer(question, worker_id=worker)
    assert wall.message(question) == before
    wall.call(MessageQueue.complete, question, "bot", 2)
    with pytest.raises(NotTheHolder, match="the field attempt"):
        wall.answer(question, worker_id="bot")


def test_p3_a_held_message_is_claimed_by_nobody_else() -> None:
    wall = Wall()
    question = wall.ask()
    wall.claim(question)
    with pytest.raises(WrongState):
        wall.claim(question, "another")
    assert wall.claim_next(worker="another") == []
    with pytest.raises(UnknownMessage):
        wall.claim("0000000000")


def test_p4_a_lease_that_runs_out_gives_the_message_back_at_its_time() -> None:
    wall = Wall(lease_ms=10 * SECOND)
    question = wall.ask()
    end = wall.claim(question).bot_params.lease_expires_at
    wall.runtime.advance(9.999)
    assert wall.params(question).status == "processing"
    wall.runtime.advance(0.001)
    params = wall.params(question)
    assert end == wall.runtime.now_ms
    assert (params.status, params.claimed_by, params.claimed_at, params.lease_expires_at) == ("pending", None, None, None)
    assert params.error == "the lease of 'bot' ran out"


@pytest.mark.parametrize("waking", [False, True])
def test_p4_a_lost_alarm_is_only_a_lost_hint(*, waking: bool) -> None:
    """Leases and backoffs that are due end in ``claim_next`` too."""
    wall = Wall(lease_ms=10 * SECOND)
    held, failing = wall.ask("held"), wall.ask("failing")
    wall.claim(held)
    attempt = wall.claim(failing).bot_params.attempt
    wall.call(MessageQueue.fail, failing, "bot", attempt, "no")
    if waking:
        wall.runtime.crash()
    wall.forget_alarms()
    wall.runtime.advance(60)
    assert wall.params(held).status == "processing"
    assert [message.id for message in wall.claim_next(limit=2, worker="next")] == [held, failing]


def test_leases_that_run_out_are_counted_in_the_commit_that_ends_them() -> None:
    wall = Wall(lease_ms=10 * SECOND, max_attempts=9)

    def expiries() -> int:
        return wall.call(MessageQueue.stats).lease_expiries

    question = wall.ask()
    wall.claim(question)
    wall.runtime.advance(10)
    assert expiries() == 1, "at its time"
    for claim in (lambda: wall.claim(question), lambda: wall.claim(question), wall.claim_next):
        claim()
        wall.forget_alarms()
        wall.runtime.advance(10)
    assert expiries() == 3, "by the next claim"
    assert wall.claim_next() != []
    wall.call(MessageQueue.fail, question, "bot", wall.params(question).attempt, "no")
    wall.runtime.advance(60)
    assert expiries() == 4, "a pause that ends is no lease"
    wall.claim(question)
    wall.runtime.autocommit = False
    wall.runtime.advance(10)
    wall.runtime.fail()
    assert expiries() == 4, "an expiry that is not durable has not been"
    wall.runtime.autocommit = True
    wall.runtime.crash()
    wall.runtime.advance(0)
    assert expiries() == 5


def test_p4_a_message_whose_lease_ended_is_claimable_by_id_though_no_alarm_came() -> None:
    wall = Wall(lease_ms=10 * SECOND, max_attempts=2)
    question = wall.ask()
    for attempt in (1, 2):
        assert wall.claim(question).bot_params.attempt == attempt
        wall.forget_alarms()
        wall.runtime.advance(10)
    with pytest.raises(WrongState, match="about to be finished"):
        wall.claim(question)
    assert wall.claim_next() == []
    assert wall.params(question).status == "failed"


def test_p4_a_message_whose_pause_has_passed_is_claimable_by_id_though_no_alarm_came() -> None:
    wall = Wall()
    question = wall.ask()
    wall.call(MessageQueue.fail, question, "bot", wall.claim(question).bot_params.attempt, "no")
    wall.forget_alarms()
    wall.runtime.advance(60)
    assert wall.claim(question).bot_params.retry_at is None


def test_p4_a_waking_object_sets_its_alarm_again() -> None:
    wall = Wall(lease_ms=10 * SECOND)
    question = wall.ask()
    wall.claim(question)
    head = wall.runtime.disk.head("Queue/wall")
    wall.runtime.disk._heads["Queue/wall"] = Head(head.seq, None)
    wall.runtime.crash()
    wall.messages()
    assert wall.runtime.disk.head("Queue/wall").alarm_at == head.alarm_at
    wall.runtime.advance(10)
    assert wall.params(question).status == "pending"


def test_p4_an_object_sleeps_without_an_alarm_when_nothing_is_due() -> None:
    wall = Wall()
    question = wall.ask()
    wall.claim(question)
    assert wall.runtime.disk.head("Queue/wall").alarm_at is not None
    wall.call(MessageQueue.complete, question)
    assert wall.runtime.disk.head("Queue/wall").alarm_at is None


def test_p4_more_leases_than_one_call_ends_all_end() -> None:
    wall = Wall(lease_ms=10 * SECOND)
    count = 2 * MAX_DUE_PER_CALL + 50
    questions = [wall.ask() for _ in range(count)]
    assert sum(len(wall.claim_next(limit=100)) for _ in range(3)) == count
    wall.runtime.advance(10)
    assert wall.call(MessageQueue.stats).depth.pending == len(questions)


@given(steps=st.lists(st.integers(0, 20 * SECOND), max_size=8))
def test_p3_a_lease_ends_after_the_last_heartbeat_or_at_the_longest_hold(steps: list[int]) -> None:
    wall = Wall(lease_ms=10 * SECOND, max_hold_ms=35 * SECOND)
    question = wall.ask()
    claimed = wall.claim(question).bot_params
    end, longest = wall.runtime.now_ms + 10 * SECOND, wall.runtime.now_ms + 35 * SECOND
    for step in steps:
        wall.runtime.now_ms += step
        if wall.runtime.now_ms >= end:
            with pytest.raises(NotTheHolder):
                wall.call(MessageQueue.extend, question, "bot", claimed.attempt)
            break
        end = min(wall.runtime.now_ms + 10 * SECOND, longest)
        assert wall.call(MessageQueue.extend, question, "bot", claimed.attempt).lease_expires_at == end
        assert wall.params(question).lease_expires_at == end == wall.runtime.disk.head("Queue/wall").alarm_at


@settings(max_examples=examples(30))
@given(seed=st.integers(0, 10**6), base=st.integers(2, 5_000), cap=st.integers(2, 100_000))
def test_p4_the_pause_after_a_failure_doubles_up_to_its_cap_with_jitter_below(seed: int, base: int, cap: int) -> None:
    wall = Wall(seed=seed, backoff_ms=base, max_backoff_ms=cap, max_attempts=12)
    question = wall.ask()
    for failures in range(11):
        attempt = wall.claim(question).bot_params.attempt
        retry_at = wall.call(MessageQueue.fail, question, "bot", attempt, "no").retry_at
        assert retry_at is not None
        full = min(base * 2**failures, cap)
        assert full // 2 <= retry_at - wall.runtime.now_ms <= full
        wall.runtime.now_ms = retry_at - 1
        with pytest.raises(WrongState, match="backs off"):
            wall.claim(question)
        assert wall.call(MessageQueue.pending, 1) == []
        wall.runtime.advance(0.001)
        assert len(wall.call(MessageQueue.pending, 1)) == 1


def test_p4_what_failed_together_does_not_come_back_together() -> None:
    wall = Wall(backoff_ms=60 * SECOND)
    retries = set()
    for _ in range(50):
        question = wall.ask()
        attempt = wall.claim(question).bot_params.attempt
        retries.add(wall.call(MessageQueue.fail, question, "bot", attempt, "no").retry_at)
    assert len(retries) > 40


@pytest.mark.parametrize("late", [0, 1])
def test_p4_a_pause_is_over_at_its_very_end(late: int) -> None:
    wall = Wall()
    question = wall.ask()
    retry_at = wall.call(MessageQueue.fail, question, "bot", wall.claim(question).bot_params.attempt, "no").retry_at
    assert retry_at is not None
    wall.forget_alarms()
    wall.runtime.now_ms = retry_at - 1
    with pytest.raises(WrongState, match="backs off"):
        wall.claim(question)
    wall.runtime.now_ms = retry_at + late
    assert wall.claim(question).bot_params.attempt == 2


def test_p4_a_failure_without_retry_is_final_and_keeps_its_reason() -> None:
    wall = Wall()
    question = wall.ask()
    attempt = wall.claim(question).bot_params.attempt
    assert wall.call(MessageQueue.fail, question, "bot", attempt, " " + "x" * 5_000, retry=False).status == "failed"
    assert wall.params(question).error == "x" * 1_000
    other = wall.ask()
    wall.claim(other)
    wall.call(MessageQueue.fail, other, "bot", 1, "  ", retry=False)
    assert wall.params(other).error == "no reason given"


def test_p4_a_message_that_always_fails_starves_nobody() -> None:
    """However urgent it is, it costs ``max_attempts`` claims and ends as failed, with the reason."""
    wall = Wall(max_attempts=3, lease_ms=10 * SECOND)
    poison, crashing = wall.ask("poison", priority=0), wall.ask("crashing", priority=0)
    others = [wall.ask(f"other {n}", priority=99) for n in range(5)]
    claims = Counter[str]()
    for _ in range(5 + 2 * 3):
        for message in wall.claim_next():
            claims[message.id] += 1
            attempt = message.bot_params.attempt
            if message.id == poison:
                wall.call(MessageQueue.fail, poison, "bot", attempt, "cannot be answered")
            elif message.id != crashing:
                wall.call(MessageQueue.complete, message.id, "bot", attempt)
        wall.runtime.advance(10)
    assert claims == {poison: 3, crashing: 3} | dict.fromkeys(others, 1)
    assert wall.params(poison).error == "cannot be answered"
    assert {wall.params(poison).status, wall.params(crashing).status} == {"failed"}


def test_p4_an_operator_gives_a_failed_message_all_its_attempts_again() -> None:
    wall = Wall(max_attempts=2)
    question = wall.ask()
    for attempt in (1, 2, 3, 4):
        if attempt == 3:
            wall.call(MessageQueue.retry, question)
            assert wall.params(question).error is None
        assert wall.claim(question).bot_params.attempt == attempt
        wall.runtime.advance(60)
    assert wall.params(question).status == "failed"


def test_p3_a_pending_message_names_no_holder_after_an_operators_retry() -> None:
    """Section 2: ``claimedBy``, ``claimedAt`` and ``completedAt`` are null while a message is pending."""
    wall = Wall()
    question = wall.ask()
    wall.call(MessageQueue.fail, question, "bot", wall.claim(question).bot_params.attempt, "no", retry=False)
    wall.call(MessageQueue.retry, question)
    params = wall.params(question)
    assert (params.claimed_by, params.claimed_at, params.completed_at) == (None, None, None)


def test_p4_only_a_failed_message_is_retried() -> None:
    wall = Wall()
    question = wall.ask()
    with pytest.raises(WrongState):
        wall.call(MessageQueue.retry, question)
    with pytest.raises(UnknownMessage):
        wall.call(MessageQueue.retry, "0000000000")
