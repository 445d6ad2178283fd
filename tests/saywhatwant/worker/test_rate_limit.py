"""How often a client may post: the worker's count of the last minute."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from profiles import examples
from saywhatwant.errors import TooManyPosts
from saywhatwant.worker.rate_limit import PostRateLimiter


def request(client: str) -> Request:
    return Request({"type": "http", "method": "POST", "headers": [], "client": (client, 1)})


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def limited(rate: PostRateLimiter, client: str = "192.0.2.1") -> int | None:
    """Post once; how long the client is to wait when that is one too many."""
    try:
        rate.check(request(client))
    except TooManyPosts as refusal:
        return refusal.retry_after_seconds
    return None


def test_p8_posts_beyond_the_rate_are_refused_with_the_time_after_which_one_fits() -> None:
    clock = Clock()
    rate = PostRateLimiter(3, clock)
    for clock.now in (59.0, 61.0, 62.0):
        assert limited(rate) is None
    for _ in range(10):
        wait = limited(rate)
        assert wait is not None
        clock.now += wait - 1.5
        assert limited(rate) is not None, "refused posts count for nothing, and the time is not too long"
        clock.now += 1.5
        assert limited(rate) is None


@settings(max_examples=examples(200))
@given(pauses=st.lists(st.floats(0, 40), max_size=60), per_minute=st.integers(1, 6))
def test_p8_no_client_posts_more_than_the_rate_in_any_minute_nor_waits_twice(pauses: list[float], per_minute: int) -> None:
    clock = Clock()
    rate = PostRateLimiter(per_minute, clock)
    posted: list[float] = []
    for pause in pauses:
        clock.now += pause
        wait = limited(rate)
        if wait is not None:
            assert 1 <= wait <= 61
            clock.now += wait
            assert limited(rate) is None
        posted.append(clock.now)
        assert sum(at > clock.now - 59.999 for at in posted) <= per_minute


def test_p8_a_client_is_remembered_for_a_minute_and_no_longer() -> None:
    clock = Clock()
    rate = PostRateLimiter(3, clock)
    for _ in range(100):
        clock.now += 25
        assert limited(rate) is None
    (posts,) = rate._times.values()
    assert len(posts) <= 3


def test_p8_the_rate_counts_each_address_by_itself_and_ipv6_by_its_network() -> None:
    rate = PostRateLimiter(1, Clock())
    assert limited(rate, "192.0.2.1") is None
    assert limited(rate, "192.0.2.2") is None
    assert limited(rate, "2001:db8::1") is None
    assert limited(rate, "2001:db8::ffff:1") is not None
    assert limited(rate, "2001:db8:0:1::1") is None
    assert limited(rate, "::ffff:192.0.2.1") is not None


def test_p8_the_addresses_that_are_counted_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saywhatwant.worker.rate_limit.MAX_RATE_ADDRESSES", 2)
    rate = PostRateLimiter(1, Clock())
    assert [limited(rate, f"192.0.2.{host}") for host in (1, 2)] == [None, None]
    assert limited(rate, "192.0.2.1") is not None
    assert limited(rate, "192.0.2.3") is None
    assert limited(rate, "192.0.2.1") is None, "it posted longest ago"
    assert limited(rate, "192.0.2.3") is not None


def test_p8_a_rate_of_zero_is_no_limit() -> None:
    rate = PostRateLimiter(0)
    assert [limited(rate) for _ in range(1_000)] == [None] * 1_000
