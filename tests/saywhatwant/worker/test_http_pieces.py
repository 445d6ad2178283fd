"""A request in pieces, and a stream of requests cut anywhere, are answered like whole ones."""

import asyncio
import re
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import pytest
import uvloop
from harness import ALIVE, CLOSE, WALL, Harness, Run, post, request, running_server
from hypothesis import given, settings
from hypothesis import strategies as st

from scenario import turns

pytest_plugins = ["harness_fixture"]
pytestmark = pytest.mark.usefixtures("no_settings")

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def test_a_body_may_come_in_pieces(run: Run) -> None:
    head, _, body = post("in pieces").partition(b"\r\n\r\n")

    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        assert (await client.fetch(request("/healthz"))).body == ALIVE
        client.send(head, b"\r\n\r\n")
        await harness.until_tasks(1)
        before = client.received_bytes
        for piece in (body[:9], body[9:-1]):
            client.send(piece)
            await client.delivered()
            await turns()
        assert client.received_bytes == before
        client.send(body[-1:], request())
        assert (await client.response()).status == 200
        assert (await client.response()).texts == ["in pieces"]

    run(scenario)


def test_p8_a_client_that_expects_100_continue_gets_it_once(run: Run) -> None:
    head, _, body = post("asked first", "Expect: 100-continue").partition(b"\r\n\r\n")

    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        for _ in range(2):
            client.send(head, b"\r\n\r\n")
            assert await client.reader.readexactly(len(CONTINUE)) == CONTINUE
            client.send(body)
            assert (await client.response()).status == 200
        assert (await client.fetch(request())).texts == ["asked first"] * 2

    run(scenario)


KEPT = post("kept", "Idempotency-Key: one")
CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n3\r\n{} \r\n2\r\n  \r\n0\r\n\r\n"
TRAILERS = b"Expect: 100-continue\r\nOrigin: https://example.org\r\nAuthorization: Bearer x\r\n\r\n"
REQUESTS = {
    "read": request(),
    "page": request(f"{WALL}?limit=1&order=asc", "X-Padding: " + "x" * 300),
    "in other letters": request("/api/%63omments?since=0"),
    "nothing new": request(WALL, 'If-None-Match: "3"'),
    "wrong query": request(f"{WALL}?limit=0"),
    "head": request(method="HEAD"),
    "with a body": request("/healthz", body=b"nobody reads this"),
    "nowhere": request("/nowhere"),
    "no such method": request(method="DELETE"),
    "file": request("/api/docs/docs.js"),
    "post": KEPT,
    "asking first": KEPT.replace(b"\r\n", b"\r\nExpect: 100-continue\r\n", 1),
    "wrong post": post(""),
    "chunks": request("/api/queue/claim", method="POST").replace(b"\r\n\r\n", b"\r\n" + CHUNKS),
    "trailers": request("/api/queue/claim", method="POST").replace(b"\r\n\r\n", b"\r\n" + CHUNKS[:-2] + TRAILERS),
}
"""With a wall of three messages, one of them ``KEPT``, each gets the same answer whenever it is sent."""


async def sent(harness: Harness, *pieces: bytes) -> bytes:
    """All that the server sends for these bytes, without the clock; they end a connection."""
    client = await harness.client()
    for piece in pieces:
        client.send(piece)
        await turns()
    received = await client.reader.read()
    await client.close()
    return re.sub(rb"date: [^\r]*\r\n", b"", received)


def test_requests_are_answered_alike_alone_and_in_a_stream_cut_anywhere(tmp_path: Path) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        servers = AsyncExitStack()
        harness = runner.run(servers.enter_async_context(running_server(tmp_path / "data")))
        runner.run(harness.add_messages("first", "second"))
        last = request("/healthz", CLOSE)
        ending = runner.run(sent(harness, KEPT, last))[-len(runner.run(sent(harness, last))) :]
        alone = {name: runner.run(sent(harness, one, last)).removesuffix(ending) for name, one in REQUESTS.items()}
        assert len(set(alone.values())) >= len(alone) - 3, "most have an answer of their own"
        assert alone["in other letters"] == alone["read"]
        assert alone["trailers"] == alone["chunks"]
        assert all(b"HTTP/1.1 " in answer for answer in alone.values())

        @settings(deadline=None, database=None)
        @given(
            names=st.lists(st.sampled_from(sorted(REQUESTS)), min_size=1, max_size=8),
            cuts=st.lists(st.floats(0, 1), max_size=6),
        )
        def check(names: list[str], cuts: list[float]) -> None:
            stream = b"".join(REQUESTS[name] for name in names) + last
            places = [0, *sorted(round(cut * len(stream)) for cut in cuts), len(stream)]
            pieces = [stream[start:end] for start, end in pairwise(places)]
            assert runner.run(sent(harness, *pieces)) == b"".join(alone[name] for name in names) + ending

        try:
            check()
        finally:
            runner.run(servers.aclose())


def test_the_rest_of_an_answered_request_gets_no_second_answer(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        client.send(request(WALL, "Transfer-Encoding: chunked", method="DELETE"))
        assert (await client.response()).status == 405
        client.send(b"no chunk\r\n")
        await client.assert_closed()

    run(scenario)
