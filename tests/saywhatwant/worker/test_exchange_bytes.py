"""One connection's bytes and its time: pieces, large answers to slow readers, and when it is over."""

import asyncio
import re
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st
from stage import ALIVE, BUFFER_BYTES, CLOSE, DEADLINE_SECONDS, WALL, Play, Stage, post, request, stage, turns, until

from saywhatwant.worker.exchange import LARGE_BYTES, Exchange
from saywhatwant.worker.server import KEEP_ALIVE_SECONDS

pytestmark = pytest.mark.usefixtures("no_settings")

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HANDSHAKE = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
]
LONG_TEXTS = [f"{number:04}{'ä' * 4_996}" for number in range(200)]
"""About 2 MB."""
LITTLE = KEEP_ALIVE_SECONDS / 100


@pytest.fixture
def play(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Play:
    return Play(tmp_path, caplog)


# -- Pieces


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
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n3\r\n{} \r\n2\r\n  \r\n0\r\n\r\n"
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
    "chunks": request("/api/queue/claim", method="POST").replace(b"\r\n\r\n", b"\r\n" + CHUNKED),
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

        @settings(deadline=None, database=None, derandomize=True, max_examples=150)
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


# -- Heads


def test_a_head_has_the_headers_of_its_get_and_no_body(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.hang("new")
        client = await stage.client()
        read = await client.ask(request())
        client.send(request(method="HEAD"), request("/healthz"))
        head = await client.head()
        assert "date" in read.headers
        assert head.headers.keys() == read.headers.keys()
        assert (head.status, head.headers | {"date": ""}) == (200, read.headers | {"date": ""})
        assert int(head.headers["content-length"]) == len(read.body)
        assert "connection" not in read.headers
        assert (await client.answer()).body == ALIVE

    play(scenario)


@pytest.mark.parametrize(("version", "headers"), [("1.1", [CLOSE]), ("1.0", []), ("1.0", ["Connection: keep-alive"])])
def test_the_answer_to_a_last_request_says_so_and_is_all_there(play: Play, version: str, headers: list[str]) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.hang("new")
        client = await stage.client()
        answer = await client.ask(request(WALL, *headers, version=version))
        assert (answer.texts, answer.headers["connection"]) == (["new"], "close")
        await client.assert_closed()

    play(scenario)


H2C = ("Connection: Upgrade", "Upgrade: h2c")
"""HTTP/2 in clear, which some clients offer with their first request."""


def test_a_request_with_an_upgrade_to_what_is_not_spoken_here_is_answered_and_is_the_last(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        client = await stage.client()
        assert (await client.ask(request(WALL))).texts == []
        answer = await client.ask(request("/healthz", *H2C), request("/healthz"))
        assert (answer.body, answer.headers["connection"]) == (ALIVE, "close")
        await client.assert_closed()

    play(scenario)


@pytest.mark.parametrize("in_pieces", [False, True])
def test_p8_a_body_behind_such_an_upgrade_is_refused_and_never_taken_for_a_request(play: Play, *, in_pieces: bool) -> None:
    async def scenario(stage: Stage) -> None:
        client, other = await stage.client(), await stage.client()
        head = request(WALL, *H2C, f"Content-Length: {len(post('smuggled'))}", method="POST")
        client.send(head)
        if in_pieces:
            await turns()
        client.send(post("smuggled"))
        answer = await client.answer()
        assert (answer.status, b"Upgrade" in answer.body) == (400, True)
        await client.assert_closed()
        assert (await other.ask(request())).texts == []

    play(scenario)


def test_p8_nor_while_that_request_has_yet_to_be_answered(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        stage.commits.hold()
        writer, (client, clock) = await stage.client(), await stage.clocked()
        protocol = await stage.protocol(client)
        writer.send(post("new"))
        await stage.under_way(1)
        client.send(request(WALL, *H2C, f"Content-Length: {len(post('smuggled'))}"))
        await stage.under_way(2)
        clock.advance(LITTLE)
        client.send(post("smuggled"))
        await until(lambda: protocol._active_at > 0)
        await turns()
        assert len(protocol.pipeline) == 0
        stage.commits.go_on()
        assert (await client.answer()).texts == ["new"]
        await client.assert_closed()

    play(scenario)


def test_the_rest_of_a_request_that_has_its_answer_gets_no_other(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        client = await stage.client()
        client.send(request(WALL, "Transfer-Encoding: chunked", method="DELETE"))
        assert (await client.answer()).status == 405
        client.send(b"no chunk\r\n")
        await client.assert_closed()

    play(scenario)


# -- Large answers


def test_a_list_is_one_and_the_same_for_all_who_have_yet_to_read_it(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.hang(*LONG_TEXTS)
        sent: list[object] = []
        monkeypatch.setattr(Exchange, "answer", lambda *_: False)
        send = Exchange.send

        async def noted(exchange: Exchange, message: Any) -> None:
            sent.append(message.get("body"))
            await send(exchange, message)

        monkeypatch.setattr(Exchange, "send", noted)
        for client in (await stage.client(), await stage.client()):
            assert (await client.ask(request())).texts == LONG_TEXTS
        first, second = (body for body in sent if body is not None)
        assert isinstance(first, memoryview)
        assert isinstance(second, memoryview)
        assert first.obj is second.obj

    play(scenario)


def test_p5_a_large_answer_is_all_there(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.hang(*LONG_TEXTS)
        client = await stage.client()
        for limit in (1, 6, 7, 200):
            assert (await client.ask(request(f"{WALL}?limit={limit}"))).texts == LONG_TEXTS[-limit:]

    play(scenario)


def test_p5_answers_to_a_slow_reader_are_all_there_and_wait_for_it_outside_of_memory(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.hang(*LONG_TEXTS)
        quick, slow = await stage.client(), await stage.client(buffer_bytes=BUFFER_BYTES)
        protocol = await stage.protocol(slow)
        whole = await quick.ask(request())
        assert whole.texts == LONG_TEXTS
        slow.send(*[request()] * 4, request("/healthz"))
        await until(lambda: protocol.flow.write_paused)
        most = 0
        for _ in range(4):
            head = await slow.head()
            assert int(head.headers["content-length"]) == len(whole.body)
            for start in range(0, len(whole.body), LARGE_BYTES):
                part = whole.body[start : start + LARGE_BYTES]
                assert await slow.reader.readexactly(len(part)) == part
                most = max(most, protocol.transport.get_write_buffer_size())
        assert (await slow.answer()).body == ALIVE
        assert LARGE_BYTES < most < len(whole.body) + 2 * LARGE_BYTES
        assert (await slow.ask(request("/healthz"))).body == ALIVE
        await stage.under_way(0)

    play(scenario)


def test_small_answers_to_who_reads_nothing_wait_outside_of_memory_too(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.hang(LONG_TEXTS[0])
        slow = await stage.client(buffer_bytes=BUFFER_BYTES)
        protocol = await stage.protocol(slow)
        slow.send(request() * 200, request("/healthz", CLOSE))
        await stage.under_way(1)
        await turns()
        assert protocol.transport.get_write_buffer_size() < 2 * LARGE_BYTES
        for _ in range(200):
            assert (await slow.answer()).texts == [LONG_TEXTS[0]]
        assert (await slow.answer()).body == ALIVE
        await slow.assert_closed()

    play(scenario)


def test_a_reader_that_leaves_its_answers_behind_troubles_nobody(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.hang(*LONG_TEXTS)
        slow, other = await stage.client(buffer_bytes=BUFFER_BYTES), await stage.client()
        slow.send(request() * 2)
        await stage.under_way(1)
        await slow.leave(by_reset=True)
        await stage.under_way(0)
        assert (await other.ask(request("/healthz"))).body == ALIVE

    play(scenario)


# -- The end of a connection


def test_an_idle_connection_is_closed_after_a_while_and_any_request_puts_that_off(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        client, clock = await stage.clocked()
        for sent in (request("/healthz"), request("/healthz", method="DELETE"), request("/healthz") * 2, request("/healthz")):
            client.send(sent)
            for _ in range(sent.count(b"HTTP/1.1")):
                await client.answer()
            clock.advance(KEEP_ALIVE_SECONDS - LITTLE)
        assert (await client.ask(request("/healthz"))).body == ALIVE, "it was never idle for that long"
        clock.advance(KEEP_ALIVE_SECONDS + LITTLE)
        await client.assert_closed()

    play(scenario)


def test_a_connection_with_half_a_request_is_not_idle(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        client, clock = await stage.clocked()
        protocol = await stage.protocol(client)
        ask = request("/healthz")
        await client.ask(ask)
        clock.advance(KEEP_ALIVE_SECONDS - LITTLE)
        client.send(ask[:20])
        await until(lambda: protocol._active_at > 0)
        clock.advance(2 * LITTLE)
        assert (await client.ask(ask[20:])).body == ALIVE

    play(scenario)


def test_a_connection_whose_answer_is_under_way_is_not_idle(play: Play) -> None:
    """The first request has set the timer; the long poll outlives it."""

    async def scenario(stage: Stage) -> None:
        client, clock = await stage.clocked()
        other = await stage.client()
        await client.ask(request("/healthz"))
        await stage.waiting_claim(client)
        for _ in range(3):
            clock.advance(KEEP_ALIVE_SECONDS + LITTLE)
        await other.ask(post("work"))
        assert b'"work"' in (await client.answer()).body
        clock.advance(KEEP_ALIVE_SECONDS - LITTLE)
        assert (await client.ask(request("/healthz"))).body == ALIVE
        clock.advance(KEEP_ALIVE_SECONDS + LITTLE)
        await client.assert_closed()

    play(scenario)


def test_a_connection_is_idle_from_its_last_answer_on_and_not_from_its_last_request(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        client, clock = await stage.clocked()
        other = await stage.client()
        await client.ask(request("/healthz"))
        await stage.waiting_claim(client)
        clock.advance(KEEP_ALIVE_SECONDS - LITTLE)
        await other.ask(post("work"))
        assert (await client.answer()).status == 200
        clock.advance(2 * LITTLE)
        assert (await client.ask(request("/healthz"))).body == ALIVE

    play(scenario)


def test_an_answer_that_is_still_being_read_is_not_cut_off_at_the_end(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.hang(*LONG_TEXTS)
        client, clock = await stage.clocked(buffer_bytes=BUFFER_BYTES)
        protocol = await stage.protocol(client)
        client.send(request())
        await until(lambda: protocol.flow.write_paused)
        clock.advance(KEEP_ALIVE_SECONDS + LITTLE)
        assert protocol.transport.is_closing()
        assert (await client.answer()).texts == LONG_TEXTS
        await client.assert_closed()

    play(scenario)


def test_a_websocket_outlives_the_requests_before_it(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        client, clock = await stage.clocked()
        other = await stage.client()
        assert (await client.ask(request())).texts == []
        client.send(request("/api/ws", *HANDSHAKE))
        assert (await client.head()).status == 101
        assert await client.frame() == '{"seq":0,"events":[]}'
        assert clock.timers == []
        clock.advance(2 * KEEP_ALIVE_SECONDS)
        await other.ask(post("new"))
        assert '"text":"new"' in await client.frame()

    play(scenario)


def test_a_handshake_sent_before_an_answer_came_ends_the_connection_after_that_answer(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        client, clock = await stage.clocked()
        client.send(request("/healthz"), request("/api/ws", *HANDSHAKE))
        answer = await client.answer()
        assert (answer.body, answer.headers["connection"]) == (ALIVE, "close")
        await client.assert_closed()
        assert clock.timers == []

    play(scenario)


def test_a_connection_has_one_timer_and_leaves_none_behind(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        client, clock = await stage.clocked()
        for _ in range(20):
            await client.ask(request("/healthz"))
            assert len(clock.timers) == 1
            clock.advance(LITTLE)
        await client.leave()
        await until(lambda: clock.timers == [])

    play(scenario)
