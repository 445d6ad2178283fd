"""How long a connection may take to send a request, to read its answers, and to be idle."""

import pytest
from harness import ALIVE, BUFFER_BYTES, CHUNKED, CLOSE, LONG_TEXTS, WALL, Client, Harness, Run, post, request

from saywhatwant.worker.limits import CHECK_SECONDS, KEEP_ALIVE_SECONDS, LINGER_SECONDS, REQUEST_SECONDS, WRITE_SECONDS
from scenario import turns, until

pytest_plugins = ["harness_fixture"]
pytestmark = pytest.mark.usefixtures("no_settings")

PIECE_BYTES = 64 * 1024

# -- Idle


@pytest.mark.parametrize("before", [[], [b"\r\n"], [request("/healthz")]], ids=["new", "an empty line", "used"])
def test_an_idle_connection_is_closed(run: Run, before: list[bytes]) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        client.send(*before)
        await client.delivered()
        for _ in range(before.count(request("/healthz"))):
            assert (await client.response()).body == ALIVE
        client.clock.advance(KEEP_ALIVE_SECONDS + CHECK_SECONDS)
        await client.assert_closed()
        await client.closed_by_server()

    run(scenario)


def test_any_request_puts_off_the_end_of_an_idle_connection(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        for sent in (request("/healthz"), request("/healthz", method="DELETE"), request("/healthz") * 2, request("/healthz")):
            client.send(sent)
            for _ in range(sent.count(b"HTTP/1.1")):
                await client.response()
            client.clock.advance(KEEP_ALIVE_SECONDS - 1)
        assert (await client.fetch(request("/healthz"))).body == ALIVE

    run(scenario)


def test_a_connection_whose_request_is_being_answered_is_not_idle(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        client, other = await harness.client(), await harness.client()
        await client.fetch(request("/healthz"))
        await harness.start_claim(client)
        client.clock.advance(3 * KEEP_ALIVE_SECONDS)
        await other.fetch(post("work"))
        assert b'"work"' in (await client.response()).body
        client.clock.advance(KEEP_ALIVE_SECONDS - 1)
        assert (await client.fetch(request("/healthz"))).body == ALIVE
        client.clock.advance(KEEP_ALIVE_SECONDS + CHECK_SECONDS)
        await client.assert_closed()

    run(scenario)


def test_a_connection_leaves_no_timer_behind(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        for _ in range(20):
            await client.fetch(request("/healthz"))
            assert len(client.clock.timers) == 1
            client.clock.advance(1)
        await client.close()
        await until(lambda: client.clock.timers == [])

    run(scenario)


# -- Slow requests


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param(request("/healthz")[:20], id="head"),
        pytest.param(post("new")[:-10], id="body"),
        pytest.param(CHUNKED + b"1\r\n{\r\n", id="chunks"),
        pytest.param(CHUNKED + b"0\r\na: b\r\n", id="trailers"),
    ],
)
@pytest.mark.parametrize("before", [[], [request("/healthz")]], ids=["first", "second"])
def test_p8_a_request_that_arrives_too_slowly_gets_a_408(run: Run, begun: bytes, before: list[bytes]) -> None:
    async def scenario(harness: Harness) -> None:
        client, other = await harness.client(), await harness.client()
        client.send(*before, begun)
        await client.delivered()
        for _ in before:
            assert (await client.response()).body == ALIVE
        await turns()
        client.clock.advance(REQUEST_SECONDS - 1)
        assert client.protocol.is_open
        client.clock.advance(1 + CHECK_SECONDS)
        refusal = await client.response()
        assert (refusal.status, refusal.headers["connection"]) == (408, "close")
        assert refusal.headers["content-type"] == "application/problem+json"
        await client.assert_closed()
        await harness.until_tasks(0)
        assert harness.refused == [408]
        assert (await other.fetch(request())).texts == []

    run(scenario)


def test_a_request_may_take_its_time(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        await client.fetch(request("/healthz"))
        client.clock.advance(KEEP_ALIVE_SECONDS - 1)
        sent = post("slow")
        for piece in (sent[:20], sent[20:-10]):
            client.send(piece)
            await client.delivered()
            client.clock.advance(REQUEST_SECONDS / 2 - 1)
        assert (await client.fetch(sent[-10:])).status == 200

    run(scenario)


def test_a_slow_request_behind_a_waiting_claim_is_refused_after_its_answer(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        client, other = await harness.client(), await harness.client()
        await harness.start_claim(client)
        client.send(request()[:20])
        await client.delivered()
        client.clock.advance(2 * REQUEST_SECONDS)
        assert client.protocol.is_open
        await other.fetch(post("work"))
        assert b'"work"' in (await client.response()).body
        assert (await client.response()).status == 408
        await client.assert_closed()

    run(scenario)


# -- Slow readers


async def stalled(harness: Harness, *requests: bytes) -> Client:
    """A client that has asked for more than the sockets hold, and reads nothing."""
    await harness.add_messages(*LONG_TEXTS)
    client = await harness.client(buffer_bytes=BUFFER_BYTES)
    client.send(*requests)
    await until(lambda: client.protocol.flow.write_paused)
    await turns()
    return client


@pytest.mark.parametrize(
    "requests",
    [[request()], [request()] * 2, [request(WALL, CLOSE)], [request(), request(WALL, CLOSE)]],
    ids=["one", "two", "last", "two, the second last"],
)
def test_p6_a_client_that_never_reads_its_answer_is_disconnected(run: Run, requests: list[bytes]) -> None:
    async def scenario(harness: Harness) -> None:
        client = await stalled(harness, *requests)
        client.clock.advance(WRITE_SECONDS - CHECK_SECONDS)
        assert client.protocol.is_open
        client.clock.advance(2 * CHECK_SECONDS)
        await client.closed_by_server()
        await harness.until_tasks(0)
        assert client.clock.timers == []

    run(scenario)


def test_a_client_that_reads_slowly_gets_the_whole_answer(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        client = await stalled(harness, request())
        head = await client.head()
        left = int(head.headers["content-length"])
        unsent = client.protocol.transport.get_write_buffer_size
        before = unsent()
        pauses = 0
        while left:
            left -= len(await client.reader.readexactly(min(PIECE_BYTES, left)))
            await turns()
            if unsent() < before:
                client.clock.advance(WRITE_SECONDS - CHECK_SECONDS)
                pauses += 1
            before = unsent()
        assert pauses * (WRITE_SECONDS - CHECK_SECONDS) > 2 * KEEP_ALIVE_SECONDS
        assert (await client.fetch(request("/healthz"))).body == ALIVE

    run(scenario)


def test_a_client_that_reads_its_answers_may_always_have_more_of_the_next_one_to_read(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.client(buffer_bytes=BUFFER_BYTES)
        for _ in range(int(WRITE_SECONDS / CHECK_SECONDS) + 2):
            await harness.add_messages(*LONG_TEXTS[:20])
            client.send(request())
            await until(lambda: client.protocol.flow.write_paused)
            client.clock.advance(CHECK_SECONDS)
            await client.response()
        assert client.protocol.is_open

    run(scenario)


# -- Refused clients that go on sending


def test_a_refused_client_that_keeps_sending_is_disconnected(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        client.send(b"something else\r\n\r\n")
        assert (await client.response()).status == 400
        await client.assert_closed()
        client.send(b"more")
        await client.delivered()
        client.clock.advance(LINGER_SECONDS - 1)
        assert client.protocol.is_open
        client.clock.advance(1 + CHECK_SECONDS)
        await client.closed_by_server()

    run(scenario)


def test_a_client_whose_body_was_refused_cannot_send_it_forever(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        client.send(request("/nowhere", "Content-Length: 1000000", method="POST"))
        assert (await client.response()).status == 404
        client.send(b"x")
        await client.delivered()
        client.clock.advance(LINGER_SECONDS + CHECK_SECONDS)
        await client.closed_by_server()
        assert harness.refused == [], "the route has answered"

    run(scenario)
