"""Large answers to slow readers: all there, once in memory, and waiting outside of it."""

from typing import Any

import pytest
from stage import ALIVE, BUFFER_BYTES, CLOSE, LONG_TEXTS, WALL, Play, Stage, request

from saywhatwant.worker.exchange import LARGE_BYTES, Exchange
from scenario import turns, until

pytest_plugins = ["playing"]
pytestmark = pytest.mark.usefixtures("no_settings")


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
