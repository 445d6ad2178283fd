"""Large answers to slow readers: complete, in memory once, and unsent ones outside of a connection's buffer."""

from typing import Any

import pytest
from harness import ALIVE, BUFFER_BYTES, CLOSE, LONG_TEXTS, WALL, Harness, Run, request
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from saywhatwant.worker.extensions import WHOLE
from saywhatwant.worker.http_protocol import COPIED_BYTES, EXTENSIONS
from scenario import turns, until

pytest_plugins = ["harness_fixture"]
pytestmark = pytest.mark.usefixtures("no_settings")


def test_all_readers_of_a_list_share_one_copy(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(harness: Harness) -> None:
        await harness.add_messages(*LONG_TEXTS)
        sent: list[object] = []
        monkeypatch.delitem(EXTENSIONS, WHOLE)
        send = RequestResponseCycle.send

        async def noted(cycle: RequestResponseCycle, message: Any) -> None:
            sent.append(message.get("body"))
            await send(cycle, message)

        monkeypatch.setattr(RequestResponseCycle, "send", noted)
        for client in (await harness.client(), await harness.client()):
            assert (await client.fetch(request())).texts == LONG_TEXTS
        first, second = (body for body in sent if body is not None)
        assert isinstance(first, memoryview)
        assert isinstance(second, memoryview)
        assert first.obj is second.obj

    run(scenario)


def test_p5_a_large_answer_is_complete(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        await harness.add_messages(*LONG_TEXTS)
        client = await harness.client()
        for limit in (1, 6, 7, 200):
            assert (await client.fetch(request(f"{WALL}?limit={limit}"))).texts == LONG_TEXTS[-limit:]

    run(scenario)


def test_p5_a_slow_reader_gets_all_its_answers_and_one_at_a_time_is_buffered(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        await harness.add_messages(*LONG_TEXTS)
        quick, slow = await harness.client(), await harness.client(buffer_bytes=BUFFER_BYTES)
        whole = await quick.fetch(request())
        assert whole.texts == LONG_TEXTS
        slow.send(*[request()] * 4, request("/healthz"))
        await until(lambda: slow.protocol.flow.write_paused)
        most = 0
        for _ in range(4):
            head = await slow.head()
            assert int(head.headers["content-length"]) == len(whole.body)
            for start in range(0, len(whole.body), COPIED_BYTES):
                part = whole.body[start : start + COPIED_BYTES]
                assert await slow.reader.readexactly(len(part)) == part
                most = max(most, slow.protocol.transport.get_write_buffer_size())
        assert (await slow.response()).body == ALIVE
        assert COPIED_BYTES < most < len(whole.body) + 2 * COPIED_BYTES
        assert (await slow.fetch(request("/healthz"))).body == ALIVE
        await harness.until_tasks(0)

    run(scenario)


def test_p6_small_answers_to_a_client_that_does_not_read_are_not_buffered_either(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        await harness.add_messages(LONG_TEXTS[0])
        slow = await harness.client(buffer_bytes=BUFFER_BYTES)
        slow.send(request() * 200, request("/healthz", CLOSE))
        await harness.until_tasks(1)
        await turns()
        assert slow.protocol.transport.get_write_buffer_size() < 2 * COPIED_BYTES
        for _ in range(200):
            assert (await slow.response()).texts == [LONG_TEXTS[0]]
        assert (await slow.response()).body == ALIVE
        await slow.assert_closed()

    run(scenario)


def test_a_reader_that_leaves_its_answers_unread_affects_no_other_client(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        await harness.add_messages(*LONG_TEXTS)
        slow, other = await harness.client(buffer_bytes=BUFFER_BYTES), await harness.client()
        slow.send(request() * 2)
        await harness.until_tasks(1)
        await slow.close(by_reset=True)
        await harness.until_tasks(0)
        assert (await other.fetch(request("/healthz"))).body == ALIVE

    run(scenario)
