"""The transitions of a message as plain functions: no runtime, no storage (P3, P4)."""

from collections.abc import Callable
from random import Random
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from saywhatwant.errors import AttemptRequired, NotTheHolder, WrongState
from saywhatwant.message import BotParams, Message, Status
from saywhatwant.queue import lease
from saywhatwant.queue.config import QueueConfig

CONFIG = QueueConfig(lease_ms=100, max_hold_ms=300, max_attempts=2, backoff_ms=40, max_backoff_ms=80, max_wait_ms=1_000)
NOW = 1_000_000
PENDING = BotParams(status="pending", expires_at=NOW + 1_000)


def message(params: BotParams = PENDING) -> Message:
    return Message(
        id="24spd5q8ti",
        timestamp=NOW,
        text="Why?",
        username="Human",
        color="169080199",
        message_type="human",
        reply_to=None,
        bot_params=params,
    )


def held(tries: int = 1) -> Message:
    claimed = lease.hold(message(), "bot", NOW, CONFIG)
    return replace(claimed, bot_params=replace(claimed.bot_params, tries=tries))


def answered() -> Message:
    return lease.answer(held(), "answer0000", NOW + 1)


def test_p3_each_claim_is_a_new_attempt_with_a_lease() -> None:
    params = held().bot_params
    assert (params.status, params.claimed_by, params.claimed_at) == ("processing", "bot", NOW)
    assert (params.attempt, params.tries, params.lease_expires_at, params.expires_at) == (1, 1, NOW + 100, NOW + 1_000)


@pytest.mark.parametrize(("later", "end"), [(0, 100), (50, 150), (250, 300), (299, 300)])
def test_p3_an_extended_lease_ends_with_the_longest_hold(later: int, end: int) -> None:
    assert lease.extend(held(), NOW + later, CONFIG).bot_params.lease_expires_at == NOW + end


@pytest.mark.parametrize(
    ("attempt", "named", "refusal"),
    [(0, None, None), (1, None, None), (1, 1, None), (2, 2, None), (2, None, AttemptRequired), (2, 1, NotTheHolder)],
)
def test_p3_the_fence_is_the_attempt(attempt: int, named: int | None, refusal: type[Exception] | None) -> None:
    claimed = message(replace(held().bot_params, attempt=attempt))
    if refusal is None:
        lease.check_attempt(claimed, named)
    else:
        with pytest.raises(refusal):
            lease.check_attempt(claimed, named)


@pytest.mark.parametrize(("named", "state"), [(1, "is over"), (3, "has not begun")])
def test_p3_the_fence_tells_an_attempt_that_is_over_from_one_that_has_not_begun(named: int, state: str) -> None:
    claimed = message(replace(PENDING, attempt=2))
    with pytest.raises(NotTheHolder, match=f"attempt {named} {state}: the message is at attempt 2"):
        lease.check_attempt(claimed, named)


@pytest.mark.parametrize(
    ("state", "worker", "later", "refusal"),
    [
        (held, "bot", 99, None),
        (held, None, 99, None),
        (held, "bot", 100, NotTheHolder),
        (held, "another", 0, NotTheHolder),
        (message, "bot", 0, WrongState),
        (lambda: lease.complete(held(), NOW), "bot", 0, WrongState),
    ],
)
def test_p3_only_the_holder_holds_and_only_while_its_lease_runs(
    state: Callable[[], Message], worker: str | None, later: int, refusal: type[Exception] | None
) -> None:
    if refusal is None:
        lease.check_holder(state(), worker, NOW + later)
    else:
        with pytest.raises(refusal):
            lease.check_holder(state(), worker, NOW + later)


@pytest.mark.parametrize(
    ("params", "later", "claimable"),
    [
        (PENDING, 0, True),
        (PENDING, 5_000, True),
        (replace(PENDING, retry_at=NOW + 10), 9, False),
        (replace(PENDING, retry_at=NOW + 10), 10, True),
        (held().bot_params, 99, False),
        (held().bot_params, 100, True),
        (held(tries=2).bot_params, 100, False),
        (answered().bot_params, 100, False),
        (lease.complete(held(), NOW).bot_params, 0, False),
        (BotParams(status="failed"), 0, False),
    ],
)
def test_p3_what_is_claimable(params: BotParams, later: int, *, claimable: bool) -> None:
    if claimable:
        lease.check_claimable(message(params), NOW + later, CONFIG)
    else:
        with pytest.raises(WrongState):
            lease.check_claimable(message(params), NOW + later, CONFIG)


@pytest.mark.parametrize(
    ("before", "retry", "status"),
    [(held(), True, "pending"), (held(), False, "failed"), (held(tries=2), True, "failed"), (answered(), False, "complete")],
)
def test_p4_a_failed_attempt_goes_where_no_answer_is_lost_and_none_is_endless(
    before: Message, status: Status, *, retry: bool
) -> None:
    params = lease.fail(before, "no words", NOW, CONFIG, retry=retry, retry_at=NOW + 40).bot_params
    assert params.status == status
    assert params.error == (None if status == "complete" else "no words")
    assert params.lease_expires_at is None
    if status == "pending":
        assert (params.claimed_by, params.claimed_at, params.retry_at, params.expires_at) == (None, None, NOW + 40, NOW + 1_040)
    else:
        assert (params.claimed_by, params.completed_at, params.retry_at, params.expires_at) == ("bot", NOW, None, None)


def test_p4_an_operators_retry_gives_all_attempts_and_a_new_wait_but_no_new_fence() -> None:
    params = lease.retry(lease.fail(held(tries=2), "no", NOW, CONFIG), NOW + 7, CONFIG).bot_params
    assert params == replace(PENDING, attempt=1, expires_at=NOW + 1_007)


def test_p4_a_stop_is_not_an_attempt_but_the_fence_stays() -> None:
    params = lease.release(held(tries=2), NOW + 7, CONFIG).bot_params
    assert params == replace(PENDING, attempt=1, tries=1)
    assert lease.release(answered(), NOW + 7, CONFIG).bot_params.status == "complete"


def test_p3_only_a_claim_is_unfenced() -> None:
    unfenced = lease.hold(message(), "original", NOW, CONFIG, unfenced=True)
    assert unfenced.bot_params.unfenced is True
    failed = lease.fail(unfenced, "no words", NOW, CONFIG, retry=False)
    pending = (
        lease.fail(unfenced, "no words", NOW, CONFIG),
        lease.release(unfenced, NOW, CONFIG),
        lease.retry(failed, NOW, CONFIG),
    )
    assert [given_back.bot_params.unfenced for given_back in pending] == [UNSET] * 3


@given(pauses=st.lists(st.integers(0, 300), max_size=20))
def test_p4_however_often_its_bots_are_stopped_a_message_neither_loses_attempts_nor_waits_for_ever(pauses: list[int]) -> None:
    waiting, now = message(), NOW
    for number, pause in enumerate(pauses, 1):
        now += pause
        waiting = lease.release(lease.hold(waiting, "bot", now - pause, CONFIG), now, CONFIG)
        params = waiting.bot_params
        assert (params.status, params.attempt, params.tries, params.expires_at) == ("pending", number, 0, NOW + 1_000)
        assert (params.claimed_by, params.claimed_at, params.lease_expires_at, params.retry_at) == (None, None, None, None)
    ended = lease.expire(waiting, max(now, NOW + 1_000), CONFIG).bot_params
    assert (ended.status, ended.error) == ("failed", "nobody answered within 1 second")


STATES = st.builds(
    BotParams,
    status=st.sampled_from(get_args(Status)),
    claimed_by=st.just("bot"),
    claimed_at=st.integers(NOW - 500, NOW + 500),
    lease_expires_at=st.integers(NOW - 500, NOW + 5_000),
    retry_at=st.none() | st.integers(NOW - 500, NOW + 5_000),
    expires_at=st.none() | st.integers(NOW - 500, NOW + 20_000),
)


@given(params=STATES, step=st.integers(-(10**9), 10_000))
def test_p4_a_clamped_deadline_is_within_its_bound_and_stays(params: BotParams, step: int) -> None:
    now, latest = NOW + step, NOW + step + lease.TOLERATED_STEP_MS
    clamped = lease.clamped(message(params), now, CONFIG)
    after = clamped.bot_params
    assert (after.status, after.attempt, after.error) == (params.status, params.attempt, params.error)
    match after.status:
        case "processing":
            assert after.lease_expires_at is not None
            assert after.lease_expires_at <= latest + CONFIG.lease_ms
            assert (after.claimed_at or 0) <= latest
        case "pending":
            assert (after.retry_at or 0) <= latest + CONFIG.max_backoff_ms
            assert after.expires_at is not None
            assert after.expires_at <= latest + CONFIG.max_backoff_ms + CONFIG.max_wait_ms
        case _:
            assert after == params
    assert lease.clamped(clamped, now, CONFIG) is clamped


@given(seed=st.integers(0, 10**6), tries=st.integers(1, 200))
def test_p4_a_backoff_doubles_up_to_its_bound_with_jitter_below(seed: int, tries: int) -> None:
    full = min(CONFIG.backoff_ms * 2 ** (tries - 1), CONFIG.max_backoff_ms)
    assert full // 2 <= lease.backoff_ms(tries, CONFIG, Random(seed)) <= full
