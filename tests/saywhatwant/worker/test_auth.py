"""Authorization: how the worker checks the token, the origin and the rate."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from profiles import examples
from saywhatwant.errors import CrossSite, NotAllowed, TooManyPosts
from saywhatwant.worker.auth import BotAuth, PostRateLimiter

OPEN = BotAuth(None, frozenset({"https://friend.example"}))
GUARDED = BotAuth("the-token", frozenset())


def request(client: str = "192.0.2.1", **headers: str) -> Request:
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": encoded, "client": (client, 1)})


def test_p8_the_token_lets_in_and_nothing_else_does() -> None:
    GUARDED.check(request(authorization="Bearer the-token"))
    GUARDED.check(request(authorization="Bearer the-token", origin="https://elsewhere.example"))
    for wrong in ("", "the-token", "Bearer the-toke", "Bearer the-token ", "Bearer THE-TOKEN", "Bearer \xfc"):
        with pytest.raises(NotAllowed, match="Bearer"):
            GUARDED.check(request(authorization=wrong))
    with pytest.raises(NotAllowed):
        GUARDED.check(request(origin="https://friend.example", host="friend.example"))


def test_p8_without_a_token_programs_own_pages_and_friends_are_let_in() -> None:
    OPEN.check(request())
    OPEN.check(request(host="127.0.0.1:8787", origin="http://127.0.0.1:8787"))
    OPEN.check(request(host="127.0.0.1:8787", origin="https://friend.example"))


@pytest.mark.parametrize(
    "origin",
    ["https://elsewhere.example", "null", "", "http://127.0.0.1", "http://127.0.0.1:8788", "https://friend.example.org"],
)
def test_p8_without_a_token_pages_of_other_sites_are_kept_out(origin: str) -> None:
    with pytest.raises(CrossSite):
        OPEN.check(request(host="127.0.0.1:8787", origin=origin))


@pytest.mark.parametrize(
    "host", ["evil.example:8787", "evil.example", "192.0.2.1", "localhost.evil.example", "[2001:db8::1]:80", ""]
)
def test_p8_without_a_token_a_foreign_host_name_does_not_open_the_queue(host: str) -> None:
    """DNS rebinding: the page's site and the host it asks for agree, and neither is this machine's."""
    with pytest.raises(CrossSite, match="this machine only"):
        OPEN.check(request(host=host, origin=f"http://{host}"))


@pytest.mark.parametrize("host", ["localhost:8787", "localhost", "127.0.0.1", "127.1.2.3:1", "[::1]:8787", "[::1]"])
def test_p8_without_a_token_every_name_of_this_machine_opens_the_queue(host: str) -> None:
    OPEN.check(request(host=host, origin=f"http://{host}"))


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
    (window,) = rate._windows.values()
    assert window.count() <= 3


def test_p8_the_rate_counts_each_address_by_itself_and_ipv6_by_its_network() -> None:
    rate = PostRateLimiter(1, Clock())
    assert limited(rate, "192.0.2.1") is None
    assert limited(rate, "192.0.2.2") is None
    assert limited(rate, "2001:db8::1") is None
    assert limited(rate, "2001:db8::ffff:1") is not None
    assert limited(rate, "2001:db8:0:1::1") is None
    assert limited(rate, "::ffff:192.0.2.1") is not None


def test_p8_the_addresses_that_are_counted_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saywhatwant.worker.auth.MAX_RATE_ADDRESSES", 2)
    rate = PostRateLimiter(1, Clock())
    assert [limited(rate, f"192.0.2.{host}") for host in (1, 2)] == [None, None]
    assert limited(rate, "192.0.2.1") is not None
    assert limited(rate, "192.0.2.3") is None
    assert limited(rate, "192.0.2.1") is None, "it posted longest ago"
    assert limited(rate, "192.0.2.3") is not None


def test_p8_a_rate_of_zero_is_no_limit() -> None:
    rate = PostRateLimiter(0)
    assert [limited(rate) for _ in range(1_000)] == [None] * 1_000


# -- Pages


def test_p8_a_page_of_another_site_may_not_post_or_listen() -> None:
    for auth in (OPEN, GUARDED):
        auth.check_page(request(host="wall.example"))
        auth.check_page(request(host="wall.example", origin="https://wall.example"))
        with pytest.raises(CrossSite, match="elsewhere"):
            auth.check_page(request(host="wall.example", origin="https://elsewhere.example"))
    OPEN.check_page(request(host="wall.example", origin="https://friend.example"))


def test_p8_a_wall_for_all_sites_still_keeps_its_queue_to_its_own() -> None:
    auth = BotAuth(None, frozenset({"*"}))
    stranger = request(host="127.0.0.1:8787", origin="https://elsewhere.example")
    auth.check_page(stranger)
    with pytest.raises(CrossSite):
        auth.check(stranger)
    assert not auth.allows(stranger)
