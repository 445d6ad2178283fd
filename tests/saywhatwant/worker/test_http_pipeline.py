"""Pipelined requests: their order, how the connection ends, and how many may wait."""

import json

import pytest
from harness import ALIVE, CHUNKED, CLOSE, WALL, Harness, Run, post, request

from saywhatwant.worker.limits import MAX_DISCARDED_BYTES, MAX_HEAD_BYTES, MAX_PIPELINED, REQUEST_SECONDS
from scenario import turns, until

pytest_plugins = ["harness_fixture"]
pytestmark = pytest.mark.usefixtures("no_settings")

READ_BYTES = 256 * 1024
"""What uvloop reads from a socket at a time."""
LONG_HEADER = b"X-Long: " + b"x" * MAX_HEAD_BYTES


def test_pipelined_reads_are_answered_in_order_and_each_once(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        await harness.add_messages(*[f"number {number}" for number in range(20)])
        numbers = [1 + 7 * number % 20 for number in range(200)]
        client = await harness.client()
        client.send(*[request(f"{WALL}?limit={limit}") for limit in numbers], request("/healthz", CLOSE))
        assert [len((await client.response()).texts) for _ in numbers] == numbers
        assert (await client.response()).body == ALIVE
        await client.assert_closed()

    run(scenario)


def test_p2_a_read_pipelined_behind_a_post_sees_it(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        client.send(*[sent for number in range(100) for sent in (post(f"number {number}"), request(f"{WALL}?limit=1"))])
        for number in range(100):
            assert (await client.response()).status == 200
            assert (await client.response()).texts == [f"number {number}"]

    run(scenario)


def test_thousands_of_pipelined_requests_are_answered_one_after_the_other(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        client.send(request("/healthz") * 3_000, request(WALL, method="DELETE") * 500, request("/healthz", CLOSE))
        assert {(await client.response()).body for _ in range(3_000)} == {ALIVE}
        assert {(await client.response()).status for _ in range(500)} == {405}
        assert (await client.response()).body == ALIVE
        await client.assert_closed()

    run(scenario)


@pytest.mark.parametrize(
    "last", [request("/healthz", CLOSE), request("/healthz", "Connection: keep-alive", version="1.0")], ids=["1.1", "1.0"]
)
def test_p8_requests_behind_the_last_one_are_ignored(run: Run, last: bytes) -> None:
    async def scenario(harness: Harness) -> None:
        client, other = await harness.client(), await harness.client()
        assert (await client.fetch(last, post("too late"), post("too late"))).body == ALIVE
        await client.assert_closed()
        assert (await other.fetch(request())).texts == []

    run(scenario)


@pytest.mark.parametrize("before", [[post("new")], [post("new"), request(), post("newer"), request()]], ids=["one", "pipeline"])
@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        pytest.param(b"something else\r\n\r\n", 400, id="no HTTP"),
        pytest.param(CHUNKED + b"no chunk\r\n", 400, id="a broken chunk"),
        pytest.param(CHUNKED[:-2] + LONG_HEADER, 431, id="a long header"),
        pytest.param(CHUNKED[:-2] + LONG_HEADER + b"\r\n\r\n", 431, id="a long complete header"),
        pytest.param(CHUNKED + b"0\r\n" + LONG_HEADER + b"\r\n\r\n", 431, id="a long trailer"),
    ],
)
def test_p8_requests_before_a_wrong_one_are_answered_and_then_it_is_refused(
    run: Run, before: list[bytes], wrong: bytes, status: int
) -> None:
    async def scenario(harness: Harness) -> None:
        harness.commits.hold()
        client = await harness.client()
        client.send(*before)
        await harness.until_tasks(1)
        client.send(wrong)
        await client.delivered()
        client.send(post("too late"))
        await client.delivered()
        assert client.received_bytes == 0
        harness.commits.go_on()
        assert [(await client.response()).status for _ in before] == [200] * len(before)
        assert (await client.response()).status == status
        await client.assert_closed()
        assert harness.refused == [status]

    run(scenario)


def test_p8_a_client_that_asks_faster_than_it_is_answered_fills_no_memory(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        probe = request("/healthz")
        client.send(probe * (10 * READ_BYTES // len(probe)))
        for _ in range(100):
            assert (await client.response()).body == ALIVE
        assert len(client.protocol.pipeline) <= 2 * READ_BYTES // len(probe)

    run(scenario)


def test_no_more_is_read_while_many_requests_wait_behind_one(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        harness.commits.hold()
        writer, reader = await harness.client(), await harness.client()
        protocol = reader.protocol
        writer.send(post("new"))
        await harness.until_tasks(1)
        reader.send(request(), *[request("/healthz")] * (MAX_PIPELINED - 1))
        await until(lambda: len(protocol.pipeline) == MAX_PIPELINED - 1)
        assert not protocol.flow.read_paused
        reader.send(request("/healthz"))
        await until(lambda: protocol.flow.read_paused)
        harness.commits.go_on()
        assert (await reader.response()).texts == ["new"]
        for _ in range(MAX_PIPELINED):
            assert (await reader.response()).body == ALIVE
        assert (await reader.fetch(request("/healthz"))).body == ALIVE, "and then it is read again"

    run(scenario)


@pytest.mark.parametrize(
    "behind",
    [
        pytest.param([b"something else\r\n\r\n"], id="something wrong"),
        pytest.param([CHUNKED[:-2], LONG_HEADER], id="a long header"),
        pytest.param([request("/healthz") * MAX_PIPELINED + b"GET /he"], id="more than is read"),
    ],
)
def test_a_claim_waits_as_long_as_requested_with_any_request_behind_it(run: Run, behind: list[bytes]) -> None:
    async def scenario(harness: Harness) -> None:
        client, other = await harness.client(), await harness.client()
        await harness.start_claim(client)
        for piece in behind:
            client.send(piece)
            await client.delivered()
        client.clock.advance(REQUEST_SECONDS + 1)
        assert (await other.fetch(post("work"))).status == 200
        claimed = await client.response()
        assert [message["text"] for message in json.loads(claimed.body)["messages"]] == ["work"]

    run(scenario)


def test_p8_nothing_is_taken_in_behind_a_wrong_request(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        client, other = await harness.client(), await harness.client()
        await harness.start_claim(client)
        client.send(CHUNKED[:-2])
        await client.delivered()
        client.send(LONG_HEADER)
        await client.delivered()
        client.send(b"\r\n\r\n0\r\n\r\n", post("too late"))
        await client.delivered()
        await turns()
        assert len(client.protocol.pipeline) == 0
        assert (await other.fetch(post("work"))).status == 200
        assert (await client.response()).status == 200
        assert (await client.response()).status == 431
        await client.assert_closed()
        assert (await other.fetch(request())).texts == ["work"]

    run(scenario)


def test_p6_what_is_discarded_behind_a_wrong_request_is_bounded(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        await harness.start_claim(client)
        client.send(b"something else\r\n\r\n")
        await client.delivered()
        for _ in range(MAX_DISCARDED_BYTES // READ_BYTES):
            client.protocol.data_received(b"x" * READ_BYTES)
        await turns()
        assert client.protocol.is_open
        client.protocol.data_received(b"x")
        await client.closed_by_server()
        await until(lambda: len(harness.waiters) == 0)

    run(scenario)
