"""Who may do what: the token, the origin, and the rate, as the worker asks for them (section 5)."""

import pytest
from starlette.requests import Request

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
def test_p8_without_a_token_a_name_that_was_made_to_lead_here_does_not_open_the_queue(host: str) -> None:
    """DNS rebinding: the page's site and the name it asks for agree, and neither is this machine's."""
    with pytest.raises(CrossSite, match="this machine only"):
        OPEN.check(request(host=host, origin=f"http://{host}"))


@pytest.mark.parametrize("host", ["localhost:8787", "localhost", "127.0.0.1", "127.1.2.3:1", "[::1]:8787", "[::1]"])
def test_p8_without_a_token_every_name_of_this_machine_opens_the_queue(host: str) -> None:
    OPEN.check(request(host=host, origin=f"http://{host}"))


def test_p8_the_rate_counts_each_address_by_itself_and_says_when_to_come_back() -> None:
    rate = PostRateLimiter(3)
    for _ in range(3):
        rate.check(request("192.0.2.1"))
    with pytest.raises(TooManyPosts, match="3 posts a minute") as refusal:
        rate.check(request("192.0.2.1"))
    assert 1 <= refusal.value.retry_after_seconds <= 60
    rate.check(request("192.0.2.2"))


def test_p8_a_rate_of_zero_is_no_limit() -> None:
    rate = PostRateLimiter(0)
    for _ in range(1_000):
        rate.check(request())
