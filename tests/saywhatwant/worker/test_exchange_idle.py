"""The time of a connection: when it is idle, and what is not cut off though it is."""

import pytest
from stage import ALIVE, BUFFER_BYTES, LITTLE, LONG_TEXTS, Play, Stage, post, request

from saywhatwant.worker.server import KEEP_ALIVE_SECONDS
from scenario import until

pytest_plugins = ["playing"]
pytestmark = pytest.mark.usefixtures("no_settings")


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
