"""One request in any pieces, and many in a stream cut anywhere: answered like whole ones."""

import asyncio
import re
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st
from stage import ALIVE, CLOSE, DEADLINE_SECONDS, WALL, Play, Stage, post, request, stage

from profiles import examples
from scenario import turns

pytest_plugins = ["playing"]
pytestmark = pytest.mark.usefixtures("no_settings")

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def test_a_body_may_come_in_pieces(play: Play) -> None:
    head, _, body = post("in pieces").partition(b"\r\n\r\n")

    async def scenario(stage: Stage) -> None:
        client = await stage.client()
        assert (await client.ask(request("/healthz"))).body == ALIVE
        client.send(head, b"\r\n\r\n")
        await stage.under_way(1)
        for piece in (body[:9], body[9:-1]):
            client.send(piece)
            await turns()
        assert client.heard == b""
        client.send(body[-1:], request())
        assert (await client.answer()).status == 200
        assert (await client.answer()).texts == ["in pieces"]

    play(scenario)


def test_p8_who_asks_whether_to_send_a_body_is_told_once_to_go_on(play: Play) -> None:
    head, _, body = post("asked first", "Expect: 100-continue").partition(b"\r\n\r\n")

    async def scenario(stage: Stage) -> None:
        client = await stage.client()
        for _ in range(2):
            client.send(head, b"\r\n\r\n")
            assert await client.reader.readexactly(len(CONTINUE)) == CONTINUE
            client.send(body)
            assert (await client.answer()).status == 200
        assert (await client.ask(request())).texts == ["asked first"] * 2

    play(scenario)


KEPT = post("kept", "Idempotency-Key: one")
CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n3\r\n{} \r\n2\r\n  \r\n0\r\n\r\n"
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
}
"""With a wall of three messages, one of them ``KEPT``, each has the same answer whenever it is sent."""


async def all_said(stage: Stage, *pieces: bytes) -> bytes:
    """What the server answers to these bytes, without the clock; they end a connection."""
    client = await stage.client()
    for piece in pieces:
        client.send(piece)
        await turns()
    async with asyncio.timeout(DEADLINE_SECONDS):
        heard = await client.reader.read()
    await client.leave()
    return re.sub(rb"date: [^\r]*\r\n", b"", heard)


def test_requests_are_answered_alike_alone_and_in_a_stream_cut_anywhere(tmp_path: Path) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        stages = AsyncExitStack()
        it = runner.run(stages.enter_async_context(stage(tmp_path / "data")))
        runner.run(it.hang("first", "second"))
        last = request("/healthz", CLOSE)
        goodbye = runner.run(all_said(it, KEPT, last))[-len(runner.run(all_said(it, last))) :]
        alone = {name: runner.run(all_said(it, sent, last)).removesuffix(goodbye) for name, sent in REQUESTS.items()}
        assert len(set(alone.values())) >= len(alone) - 2, "most have an answer of their own"
        assert alone["in other letters"] == alone["read"]
        assert all(b"HTTP/1.1 " in answer for answer in alone.values())

        @settings(max_examples=examples(150))
        @given(
            names=st.lists(st.sampled_from(sorted(REQUESTS)), min_size=1, max_size=8),
            cuts=st.lists(st.floats(0, 1), max_size=6),
        )
        def check(names: list[str], cuts: list[float]) -> None:
            stream = b"".join(REQUESTS[name] for name in names) + last
            places = [0, *sorted(round(cut * len(stream)) for cut in cuts), len(stream)]
            pieces = [stream[start:end] for start, end in pairwise(places)]
            assert runner.run(all_said(it, *pieces)) == b"".join(alone[name] for name in names) + goodbye

        try:
            check()
        finally:
            runner.run(stages.aclose())


def test_the_rest_of_a_request_that_has_its_answer_gets_no_other(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        client = await stage.client()
        client.send(request(WALL, "Transfer-Encoding: chunked", method="DELETE"))
        assert (await client.answer()).status == 405
        client.send(b"no chunk\r\n")
        await client.assert_closed()

    play(scenario)
