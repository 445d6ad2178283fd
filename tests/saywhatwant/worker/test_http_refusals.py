"""Refusals by the connection itself: they reach their client, and later input is discarded, up to a bound."""

import pytest
from harness import ALIVE, CHUNKED, CLOSE, WALL, Harness, Run, post, request

from saywhatwant.worker.limits import (
    CHECK_SECONDS,
    FAREWELL_SECONDS,
    LINGER_SECONDS,
    MAX_DISCARDED_BYTES,
    MAX_HEAD_BYTES,
    MAX_LINGERING,
    REQUEST_SECONDS,
)
from scenario import turns, until

pytest_plugins = ["harness_fixture"]
pytestmark = pytest.mark.usefixtures("no_settings")

PIECE = b"x" * 256 * 1024
NOT_HTTP = b"something else\r\n\r\n"


def head_of(size: int, *, method: str = "GET") -> bytes:
    """A complete head whose target and fields have this size."""
    plain = request("/healthz", "X-Long: ", method=method)
    fields = len("/healthz") + len("Host: 127.0.0.1\r\n") + len("X-Long: \r\n")
    return plain.replace(b"X-Long: ", b"X-Long: " + b"x" * (size - fields))


@pytest.mark.parametrize(("size", "status"), [(MAX_HEAD_BYTES, 200), (MAX_HEAD_BYTES + 1, 431)])
@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize("before", [b"", request("/healthz")], ids=["first", "second"])
def test_p8_a_head_is_measured_to_the_byte(run: Run, size: int, status: int, pieces: int, before: bytes) -> None:
    """Also where all of it comes in one read."""

    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        sent = before + head_of(size)
        step = len(sent) // pieces + 1
        for start in range(0, len(sent), step):
            client.protocol.data_received(sent[start : start + step])
        if before:
            assert (await client.response()).body == ALIVE
        assert (await client.response()).status == status

    run(scenario)


@pytest.mark.parametrize("trailers", [b"a: b\r\n" * 200_000, b"a: " + b"x" * 2_000_000], ids=["many", "one"])
def test_p8_trailers_are_never_kept_and_those_over_the_limit_are_refused(run: Run, trailers: bytes) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        client.send(CHUNKED + b"0\r\n")
        await client.delivered()
        headers = len(list(client.protocol.scope["headers"]))
        client.send(trailers)
        assert (await client.response()).status == 431
        assert len(list(client.protocol.scope["headers"])) == headers
        await client.assert_closed()
        await client.close()
        await client.closed_by_server()
        await harness.until_tasks(0)

    run(scenario)


def test_p8_trailers_that_come_in_one_read_are_measured_too(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        client, other = await harness.client(), await harness.client()
        for sent in (client, other):
            trailers = b"a: bc\r\n" * (MAX_HEAD_BYTES // 7 + (sent is other))
            sent.protocol.data_received(request("/healthz", "Transfer-Encoding: chunked") + b"0\r\n" + trailers + b"\r\n")
        assert (await client.response()).body == ALIVE
        assert (await other.response()).status == 431

    run(scenario)


def test_p6_chunk_extensions_over_the_limit_are_refused(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        client.send(CHUNKED + b"1;a=" + b"x" * 2_000_000)
        assert (await client.response()).status == 431

    run(scenario)


def test_p6_a_body_in_many_small_chunks_is_not_taken_for_a_large_head(run: Run) -> None:
    body = post("in chunks").partition(b"\r\n\r\n")[2]

    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        client.send(CHUNKED)
        await harness.until_tasks(1)
        client.send(b"1\r\n \r\n" * 20_000)
        client.send(*[b"1\r\n%c\r\n" % byte for byte in body], b"0\r\n\r\n")
        assert (await client.response()).status == 200

    run(scenario)


def test_p6_a_refused_connection_ends_although_its_body_was_not_read_any_more(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        client.protocol.data_received(CHUNKED + b"19000\r\n" + b"x" * 0x19000 + b"\r\nno chunk\r\n")
        assert (await client.response()).status == 400
        await client.assert_closed()
        client.clock.advance(LINGER_SECONDS + CHECK_SECONDS)
        await client.closed_by_server()

    run(scenario)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(NOT_HTTP, 400, id="400 by the connection"),
        pytest.param(request("/nowhere", CLOSE, "Content-Length: 1000000000", method="POST"), 404, id="404, the last"),
        pytest.param(request("/nowhere", "Content-Length: 1000000000", method="POST"), 404, id="404"),
    ],
)
def test_p6_what_is_discarded_after_a_refusal_is_bounded(run: Run, sent: bytes, status: int) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        assert (await client.fetch(sent)).status == status
        for _ in range(MAX_DISCARDED_BYTES // len(PIECE)):
            client.protocol.data_received(PIECE)
        await turns()
        assert client.protocol.is_open
        client.protocol.data_received(PIECE)
        await client.closed_by_server()

    run(scenario)


def test_p8_the_connection_of_a_refused_body_continues_after_the_body(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        assert (await client.fetch(request("/nowhere", "Content-Length: 1000000", method="POST"))).status == 404
        client.send(b"x" * 1_000_000)
        assert (await client.fetch(request("/healthz"))).body == ALIVE
        client.clock.advance(LINGER_SECONDS + CHECK_SECONDS)
        assert (await client.fetch(request("/healthz"))).body == ALIVE

    run(scenario)


def test_p6_refused_connections_beyond_a_number_are_closed_at_once(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        lingering = [await harness.client() for _ in range(MAX_LINGERING)]
        for client in lingering:
            client.send(NOT_HTTP)
            assert (await client.response()).status == 400
        one_too_many = await harness.client()
        one_too_many.send(NOT_HTTP)
        await one_too_many.closed_by_server()
        assert all(client.protocol.is_open for client in lingering)

    run(scenario)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(NOT_HTTP, id="refused"),
        pytest.param(request(WALL, "Content-Length: 9", method="DELETE"), id="refused, with more to come"),
    ],
)
def test_a_stop_waits_for_refused_clients_only_until_they_could_read_their_answer(run: Run, sent: bytes) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        client.send(sent)
        await client.delivered()
        await turns()
        harness.server.should_exit = True
        await until(lambda: client.protocol._stopping_since is not None)
        client.clock.advance(FAREWELL_SECONDS)
        await harness.stopped()

    run(scenario)


def test_p8_a_request_refused_for_its_time_is_not_answered_twice(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        client.send(post("new")[:-5])
        await harness.until_tasks(1)
        client.clock.advance(REQUEST_SECONDS + CHECK_SECONDS)
        assert (await client.response()).status == 408
        client.send(post("new")[-5:])
        await client.delivered()
        await harness.until_tasks(0)
        await client.assert_closed()

    run(scenario)
