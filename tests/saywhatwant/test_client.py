"""The client: permanent refusals, and errors that are retried (P4, P8)."""

import asyncio

import httpx
import pytest
from stamina import instrumentation

from saywhatwant.client import MAX_RETRY_AFTER_SECONDS, ServerRefused, ServerUnavailable, WallClient
from saywhatwant.schemas import ClaimRequest

URL = "http://127.0.0.1"
OURS = b'{"type": "urn:saywhatwant:problem:x", "title": "X", "status": 400, "detail": "the wall says no"}'
NO_WALL = [b"", b"<html></html>", b"{}", b'{"detail": "no"}', b'{"type": "about:blank", "detail": "no"}']


def client(*answers: httpx.Response) -> WallClient:
    """A client of a server that gives these answers, one after the other."""
    remaining = iter(answers)
    wall = WallClient(URL)
    wall._http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: next(remaining)), base_url=URL)
    return wall


def claim(answer: httpx.Response) -> None:
    """Make a call that is not repeated."""
    asyncio.run(client(answer).claim_next(ClaimRequest(worker_id="bot")))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422])
def test_p8_a_problem_of_the_wall_is_raised_in_its_own_words(status: int) -> None:
    with pytest.raises(ServerRefused, match="the wall says no") as refused:
        claim(httpx.Response(status, content=OURS))
    assert refused.value.status == status


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
def test_p4_a_status_that_may_pass_is_not_a_refusal(status: int) -> None:
    with pytest.raises(ServerUnavailable, match="the wall says no"):
        claim(httpx.Response(status, content=OURS))


@pytest.mark.parametrize("status", [200, 204, 301, 304, 401, 404, 409, 418])
@pytest.mark.parametrize("content", NO_WALL)
def test_p4_an_answer_that_is_not_the_walls_is_not_a_refusal(status: int, content: bytes) -> None:
    with pytest.raises(ServerUnavailable, match=f"answered {status}, but not like a Say What Want server"):
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
def test_p4_a_server_may_ask_for_a_pause_within_a_bound(asked: str, pause: float) -> None:
    with pytest.raises(ServerUnavailable) as away:
        claim(httpx.Response(503, headers=[(b"Retry-After", asked.encode())], content=OURS))
    assert away.value.retry_after == pause


def test_p4_a_call_is_repeated_after_the_pause_that_the_server_asked_for() -> None:
    pauses: list[float] = []

    async def scenario() -> None:
        call = asyncio.create_task(client(httpx.Response(503, headers={"Retry-After": "3"}, content=OURS)).stats())
        while not pauses:  # noqa: ASYNC110 - the hook is no coroutine
            await asyncio.sleep(0)
        call.cancel()

    before = instrumentation.get_on_retry_hooks()
    instrumentation.set_on_retry_hooks([lambda details: pauses.append(details.wait_for)])
    try:
        asyncio.run(scenario())
    finally:
        instrumentation.set_on_retry_hooks(before)
    assert pauses == [3]


def test_p8_a_refused_token_is_explained() -> None:
    with pytest.raises(ServerRefused, match="the wall says no; set SWW_BOT_TOKEN to the server's"):
        claim(httpx.Response(401, content=OURS))
