"""Back at once (P9). How long it takes is measured by the benchmarks; here is what it rests on."""

import asyncio
from pathlib import Path

import httpx
import pytest
from calls import Json, post_many, read

from conftest import StartServer
from durable_objects.embedded import EmbeddedRuntime
from saywhatwant.message import NewMessage, decode_list
from saywhatwant.queue import MessageQueue
from servers import until
from sql_trace import trace_sql


@pytest.mark.needs("durability")
def test_p9_a_killed_server_comes_back_with_all_messages(start_server: StartServer) -> None:
    server = start_server()
    post_many(server, 200)
    before = read(server)

    def answer() -> list[Json] | None:
        try:
            is_ready = server.http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return None
        return read(server) if is_ready else None

    for _ in range(3):
        server.kill()
        server.spawn()
        assert until(answer, "an answer") == before


@pytest.mark.one_deployment("it counts the statements of one SQLite file")
def test_p9_an_idle_object_wakes_with_few_statements_however_many_messages_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def statements_of_a_wake(messages: int) -> list[str]:
        trace = trace_sql(monkeypatch)
        async with EmbeddedRuntime(tmp_path / str(messages)) as runtime:
            queue = runtime.namespace("MessageQueue", MessageQueue).get("global-queue")
            message = NewMessage(text="x" * 500, username="Human", color="169080199", entity="zen")
            await asyncio.gather(*(queue.call(MessageQueue.post, message) for _ in range(messages)))
            while runtime.live_objects:
                runtime.evict_idle()
            trace.start()
            page = await queue.call(MessageQueue.read, 0)
            assert len(decode_list(page.body)) == messages
            return [statement.partition(" FROM ")[2].partition(" ")[0] for statement in trace.statements]

    few, many = (asyncio.run(statements_of_a_wake(messages)) for messages in (2, 200))
    assert few == many
    assert len(many) <= 11  # one for the head, and one for each kind of state
