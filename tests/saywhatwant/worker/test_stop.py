"""A server that stops loses no request: what has begun to arrive is answered, and other connections go on elsewhere or end."""

import asyncio
import json
import socket
from pathlib import Path

import pytest
from harness import ALIVE, CHUNKED, Client, Harness, Run, post, request, running_server

from saywhatwant.worker import limits
from saywhatwant.worker.handover import Handover
from scenario import turns, until

pytest_plugins = ["harness_fixture"]
pytestmark = pytest.mark.usefixtures("no_settings")

NEVER = 3_600.0
PATIENT = Handover(idle_seconds=NEVER)
"""Connections stay open for their next request."""
WHOLE = post("It came in two pieces")
FIRST, SECOND = WHOLE[:40], WHOLE[40:]


def stop(harness: Harness) -> None:
    harness.server.should_exit = True


async def until_stopping(client: Client) -> None:
    await until(lambda: client.protocol._stopping_since is not None)


@pytest.mark.parametrize("handover", [Handover(), PATIENT])
def test_p1_a_request_that_has_begun_to_arrive_is_answered_though_the_server_stops(run: Run, handover: Handover) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        client.send(FIRST)
        await client.delivered()
        stop(harness)
        await until_stopping(client)
        await turns()
        answer = await client.fetch(SECOND)
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        await client.assert_closed()
        await harness.stopped()

    run(scenario, handover=handover)


def test_a_request_that_arrives_before_the_connection_is_closed_is_answered(run: Run) -> None:
    """It is there, but the server has not read it yet."""

    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        assert (await client.fetch(request("/healthz"))).body == ALIVE
        client.protocol._output.transport.pause_reading()
        client.send(post("In the system's buffer"))
        client.protocol._stopping_since = -NEVER
        await until(client.protocol._has_input)
        client.protocol.shutdown()
        client.protocol._output.transport.resume_reading()
        answer = await client.response()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        await client.assert_closed()

    run(scenario)


def test_an_idle_connection_is_closed_at_once_where_nobody_could_connect_again(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        assert (await client.fetch(request("/healthz"))).body == ALIVE
        stop(harness)
        await client.assert_closed()
        await harness.stopped()

    run(scenario)


def test_the_next_request_of_an_idle_connection_is_its_last_one(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        used, new = await harness.client(), await harness.client()
        assert (await used.fetch(request("/healthz"))).body == ALIVE
        stop(harness)
        for client in (used, new):
            await until_stopping(client)
            await turns()
            answer = await client.fetch(request("/healthz"))
            assert (answer.body, answer.headers["connection"]) == (ALIVE, "close")
            await client.assert_closed()
        await harness.stopped()

    run(scenario, handover=PATIENT)


def test_an_idle_connection_is_closed_after_its_grace(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        assert (await client.fetch(request("/healthz"))).body == ALIVE
        stop(harness)
        await until_stopping(client)
        client.clock.advance(NEVER)
        await client.assert_closed()
        await harness.stopped()

    run(scenario, handover=PATIENT)


def test_the_last_of_several_requests_ends_the_connection(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        harness.commits.hold()
        client = await harness.client()
        client.send(post("first"), request("/healthz"))
        await harness.until_tasks(1)
        stop(harness)
        await until_stopping(client)
        harness.commits.go_on()
        first, last = await client.response(), await client.response()
        assert "connection" not in first.headers
        assert (last.body, last.headers["connection"]) == (ALIVE, "close")
        await client.assert_closed()
        await harness.stopped()

    run(scenario, handover=PATIENT)


def test_a_request_that_never_arrives_holds_a_stop_up_for_a_while_only(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "GRACE_SECONDS", 0.1)

    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        client.send(FIRST)
        await client.delivered()
        stop(harness)
        await harness.stopped()
        await client.assert_closed()

    run(scenario)


def test_p8_a_refusal_reaches_its_client_though_the_server_stops(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        client.send(CHUNKED)
        await client.delivered()
        stop(harness)
        await until_stopping(client)
        client.send(b"no chunk\r\n")
        assert (await client.response()).status == 400
        client.clock.advance(limits.FAREWELL_SECONDS)
        await client.assert_closed()
        await harness.stopped()

    run(scenario)


class Keeper:
    """Keeps connections for another server."""

    def __init__(self) -> None:
        self.kept: list[socket.socket] = []

    @property
    def handover(self) -> Handover:
        return Handover(keep=self.kept.append)


def test_a_connection_goes_on_at_the_next_server_and_its_client_sees_nothing_of_it(run: Run, tmp_path: Path) -> None:
    keeper = Keeper()

    async def scenario(harness: Harness) -> None:
        harness.commits.hold()
        idle, busy, arriving = [await harness.client() for _ in range(3)]
        assert (await idle.fetch(request("/healthz"))).body == ALIVE
        busy.send(post("busy"))
        arriving.send(FIRST)
        await arriving.delivered()
        stop(harness)
        await until(lambda: len(keeper.kept) == 1)
        harness.commits.go_on()
        assert (await busy.response()).status == 200
        answer = await arriving.fetch(SECOND)
        assert answer.status == 200
        assert "connection" not in answer.headers
        await harness.stopped()
        for client in (idle, busy, arriving):
            client.send(request("/healthz"), post("to the next server"))  # nobody is there
        async with running_server(tmp_path / "next", Handover(connections=keeper.kept)) as following:
            for client in (idle, busy, arriving):
                answer = await client.response()
                assert (answer.body, "connection" in answer.headers) == (ALIVE, False)
                assert (await client.response()).status == 200
            assert len(following.server.server_state.connections) == 3
            for client in (idle, busy, arriving):
                await client.close()

    run(scenario, handover=keeper.handover)


def test_a_connection_with_an_unread_answer_is_kept_when_the_answer_has_left(run: Run) -> None:
    keeper = Keeper()

    async def scenario(harness: Harness) -> None:
        client = await harness.client(buffer_bytes=4_096)
        await harness.add_messages(*["x" * 4_000] * 50)
        client.send(request())
        await until(lambda: client.protocol.transport.get_write_buffer_size() > 0)
        stop(harness)
        await until_stopping(client)
        await turns()
        assert keeper.kept == []
        assert len(json.loads((await client.response()).body)) == 50
        await until(lambda: len(keeper.kept) == 1)
        await harness.stopped()
        keeper.kept.pop().close()
        await client.assert_closed()

    run(scenario, handover=keeper.handover)


def test_the_next_server_goes_without_a_connection_whose_client_has_gone(run: Run, tmp_path: Path) -> None:
    keeper = Keeper()

    async def scenario(harness: Harness) -> None:
        gone, there = await harness.client(), await harness.client()
        stop(harness)
        await harness.stopped()
        assert len(keeper.kept) == 2
        await gone.close(by_reset=True)
        await asyncio.sleep(0)
        async with running_server(tmp_path / "next", Handover(connections=keeper.kept)):
            assert (await there.fetch(request("/healthz"))).body == ALIVE
            await there.close()

    run(scenario, handover=keeper.handover)
