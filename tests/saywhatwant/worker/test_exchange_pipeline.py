"""Requests that are sent before the answer to the one before: their order, their end, and how many are taken in."""

import json
from typing import Any

import pytest
from stage import ALIVE, CHUNKED, CLOSE, WALL, Play, Stage, post, request

from saywhatwant.worker.connection import MAX_HEADER_BYTES, MAX_REQUEST_SECONDS
from saywhatwant.worker.exchange import PAUSE_AT_PIPELINED
from scenario import turns, until

pytest_plugins = ["playing"]
pytestmark = pytest.mark.usefixtures("no_settings")

READ_BYTES = 256 * 1024
"""What uvloop reads from a socket at a time."""


def test_pipelined_reads_are_answered_in_order_and_each_once(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.hang(*[f"number {number}" for number in range(20)])
        limits = [1 + 7 * number % 20 for number in range(200)]
        client = await stage.client()
        client.send(*[request(f"{WALL}?limit={limit}") for limit in limits], request("/healthz", CLOSE))
        assert [len((await client.answer()).texts) for _ in limits] == limits
        assert (await client.answer()).body == ALIVE
        await client.assert_closed()

    play(scenario)


def test_p2_a_read_pipelined_behind_a_post_sees_it(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        client = await stage.client()
        client.send(*[sent for number in range(100) for sent in (post(f"number {number}"), request(f"{WALL}?limit=1"))])
        for number in range(100):
            assert (await client.answer()).status == 200
            assert (await client.answer()).texts == [f"number {number}"]

    play(scenario)


def test_thousands_of_pipelined_requests_do_not_stand_on_each_other(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        client = await stage.client()
        client.send(request("/healthz") * 3_000, request(WALL, method="DELETE") * 500, request("/healthz", CLOSE))
        assert {(await client.answer()).body for _ in range(3_000)} == {ALIVE}
        assert {(await client.answer()).status for _ in range(500)} == {405}
        assert (await client.answer()).body == ALIVE
        await client.assert_closed()

    play(scenario)


@pytest.mark.parametrize(
    "last", [request("/healthz", CLOSE), request("/healthz", "Connection: keep-alive", version="1.0")], ids=["1.1", "1.0"]
)
def test_p8_nothing_is_done_for_what_comes_behind_a_last_request(play: Play, last: bytes) -> None:
    async def scenario(stage: Stage) -> None:
        client, other = await stage.client(), await stage.client()
        assert (await client.ask(last, post("too late"), post("too late"))).body == ALIVE
        await client.assert_closed()
        assert (await other.ask(request())).texts == []

    play(scenario)


@pytest.mark.parametrize("before", [[post("new")], [post("new"), request(), post("newer"), request()]], ids=["one", "pipeline"])
@pytest.mark.parametrize(
    "behind",
    [
        pytest.param(b"something else\r\n\r\n", id="no HTTP"),
        pytest.param(CHUNKED + b"no chunk\r\n", id="a broken chunk"),
        pytest.param(CHUNKED[:-2] + b"X-Long: " + b"x" * MAX_HEADER_BYTES, id="a long header"),
    ],
)
def test_p8_what_stands_before_something_wrong_is_answered_and_that_is_the_end(
    play: Play, before: list[bytes], behind: bytes
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.commits.hold()
        client = await stage.client()
        protocol: Any = await stage.protocol(client)
        client.send(*before)
        await stage.under_way(1)
        client.send(behind)
        await until(lambda: protocol._ending)
        stage.commits.go_on()
        assert [(await client.answer()).status for _ in before] == [200] * len(before)
        await client.assert_closed()

    play(scenario)


def test_p8_a_client_that_asks_faster_than_it_is_answered_fills_no_memory(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        client = await stage.client()
        protocol = await stage.protocol(client)
        ask = request("/healthz")
        client.send(ask * (10 * READ_BYTES // len(ask)))
        for _ in range(100):
            assert (await client.answer()).body == ALIVE
        assert len(protocol.pipeline) <= 2 * READ_BYTES // len(ask)

    play(scenario)


def test_no_more_is_read_while_many_requests_wait_behind_one_under_way(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        stage.commits.hold()
        writer, reader = await stage.client(), await stage.client()
        protocol = await stage.protocol(reader)
        writer.send(post("new"))
        await stage.under_way(1)
        reader.send(request(), *[request("/healthz")] * (PAUSE_AT_PIPELINED - 1))
        await until(lambda: len(protocol.pipeline) == PAUSE_AT_PIPELINED - 1)
        assert not protocol.flow.read_paused
        reader.send(request("/healthz"))
        await until(lambda: protocol.flow.read_paused)
        stage.commits.go_on()
        assert (await reader.answer()).texts == ["new"]
        for _ in range(PAUSE_AT_PIPELINED):
            assert (await reader.answer()).body == ALIVE
        assert (await reader.ask(request("/healthz"))).body == ALIVE, "and then it is read again"

    play(scenario)


@pytest.mark.parametrize(
    "behind",
    [
        pytest.param([b"something else\r\n\r\n"], id="something wrong"),
        pytest.param([CHUNKED[:-2], b"X-Long: " + b"x" * MAX_HEADER_BYTES], id="a long header"),
        pytest.param([request("/healthz") * PAUSE_AT_PIPELINED + b"GET /he"], id="more than is read"),
    ],
)
def test_a_claim_waits_as_long_as_it_said_whatever_came_behind_it(play: Play, behind: list[bytes]) -> None:
    async def scenario(stage: Stage) -> None:
        client, clock = await stage.clocked()
        other = await stage.client()
        protocol: Any = await stage.protocol(client)
        await stage.waiting_claim(client)
        for piece in behind:
            client.send(piece)
            await turns()
        await until(lambda: protocol._ending or protocol.flow.read_paused)
        clock.advance(MAX_REQUEST_SECONDS + 1)
        assert (await other.ask(post("work"))).status == 200
        claimed = await client.answer()
        assert [message["text"] for message in json.loads(claimed.body)["messages"]] == ["work"]

    play(scenario)


def test_p8_a_connection_that_is_about_to_end_takes_in_no_more_however_much_comes(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        client, other = await stage.client(), await stage.client()
        protocol: Any = await stage.protocol(client)
        await stage.waiting_claim(client)
        client.send(CHUNKED[:-2])
        await until(lambda: protocol._in_message)
        client.send(b"X-Long: " + b"x" * MAX_HEADER_BYTES)
        await until(lambda: protocol._ending)
        before = protocol._header_bytes
        client.send(b"\r\n\r\n0\r\n\r\n", request("/healthz"))
        await until(lambda: protocol._header_bytes > before)
        await turns()
        assert len(protocol.pipeline) == 0
        assert (await other.ask(post("work"))).status == 200
        assert (await client.answer()).status == 200
        await client.assert_closed()

    play(scenario)
