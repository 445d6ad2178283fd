"""Back at once (P9): a killed server, and an object that had left memory.

Measured in processor time, since other tests may run beside these; the clock is looked at by the benchmarks.
"""

import asyncio
import time
from pathlib import Path
from statistics import median

import httpx
from calls import post, read

from conftest import StartServer
from durable_objects.embedded import EmbeddedRuntime
from saywhatwant.message import NewMessage, decode_list
from saywhatwant.queue import MessageQueue
from servers import cpu_seconds, until

START_SECONDS = 1.0
WAKE_SECONDS = 0.020


def test_p9_a_killed_server_answers_within_a_second_of_being_started(start_server: StartServer) -> None:
    server = start_server()
    for number in range(200):
        post(server, f"message {number}")

    def answers() -> bool:
        try:
            return len(read(server)) == 200
        except httpx.TransportError:
            return False

    def seconds() -> float:
        server.kill()
        server.spawn()
        until(answers, "an answer", every=0.002)
        return cpu_seconds(server.pid)

    assert median(seconds() for _ in range(3)) < START_SECONDS


def test_p9_an_object_of_two_hundred_messages_is_back_from_the_disk_within_20_ms(tmp_path: Path) -> None:
    async def scenario() -> float:
        async with EmbeddedRuntime(tmp_path) as runtime:
            queue = runtime.namespace("MessageQueue", MessageQueue).get("global-queue")
            message = NewMessage(text="x" * 500, username="Human", color="169080199", entity="zen")
            await asyncio.gather(*(queue.call(MessageQueue.post, message, f"key {number}") for number in range(200)))

            async def seconds() -> float:
                runtime.evict_idle()
                assert runtime.evict_idle() == 1
                began = time.process_time()
                page = await queue.call(MessageQueue.read, 0)
                took = time.process_time() - began
                assert len(decode_list(page.body)) == 200
                return took

            return median([await seconds() for _ in range(5)])

    assert asyncio.run(scenario()) < WAKE_SECONDS
