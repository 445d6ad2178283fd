"""The client: what is a refusal of the wall, and what is only in the way (P4, P8)."""

import asyncio
import time

import httpx
import pytest

from saywhatwant.client import MAX_RETRY_AFTER_SECONDS, ServerRefused, ServerUnavailable, WallClient
from saywhatwant.schemas import ClaimRequest

URL = "http://127.0.0.1"
OURS = b'{"type": "urn:saywhatwant:problem:x", "title": "X", "status": 400, "detail": "the wall says no"}'
NO_WALL = [b"", b"<html></html>", b"{}", b'{"detail": "no"}', b'{"type": "about:blank", "detail": "no"}']


def client(*answers: httpx.Response) -> WallClient:
    """Of a server that gives these answers, one after the other."""
    waiting = iter(answers)
    wall = WallClient(URL)
    wall._http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: next(waiting)), base_url=URL)
    return wall


def claim(answer: httpx.Response) -> None:
    """A call that is not tried again."""
    asyncio.run(client(answer).claim_next(ClaimRequest(worker_id="bot")))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422])
def test_p8_a_problem_of_the_wall_is_a_refusal_in_its_own_words(status: int) -> None:
    with pytest.raises(ServerRefused, match="the wall says no") as refused:
        claim(httpx.Response(status, content=OURS))
    assert refused.value.status == status


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
def test_p4_one_that_passes_is_no_refusal(status: int) -> None:
    with pytest.raises(ServerUnavailable, match="the wall says no"):
        claim(httpx.Response(status, content=OURS))


@pytest.mark.parametrize("status", [200, 204, 301, 304, 401, 404, 409, 418])
@pytest.mark.parametrize(
    "content", [b"", b"<html></html>", b"{}", b'{"detail": "no"}', b'{"type": "about:blank", "detail": "no"}']
)
def test_p4_what_is_not_of_the_wall_is_none_either(status: int, content: bytes) -> None:
    with pytest.raises(ServerUnavailable, match=f"answered {status}, and not as a wall does"):
        claim(httpx.Response(status, content=content))


@pytest.mark.parametrize(
    ("asked", "pause"),
    [
        ("1", 1.0),
        ("3600", MAX_RETRY_AFTER_SECONDS),
        ("9" * 5_000, MAX_RETRY_AFTER_SECONDS),
        ("0", 0.0),
        ("-5", 0.0),
        ("nan", 0.0),
        ("²", 0.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 0.0),
    ],
)
def test_p4_a_server_may_ask_for_a_pause_but_not_for_any(asked: str, pause: float) -> None:
    with pytest.raises(ServerUnavailable) as away:
        claim(httpx.Response(503, headers=[(b"Retry-After", asked.encode())], content=OURS))
    assert away.value.retry_after == pause


def test_p4_the_pause_is_made() -> None:
    begun = time.monotonic()
    with pytest.raises(ServerRefused):
        asyncio.run(
            client(
                httpx.Response(503, headers={"Retry-After": "1"}, content=OURS),
                httpx.Response(401, content=OURS),
            ).stats()
        )
    assert time.monotonic() - begun >= 1
