"""The whole way with a real model: post, reply seen growing, reply stored (P4)."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from durable_objects.embedded import EmbeddedRuntime
from saywhatwant.bot import Bot
from saywhatwant.client import WallClient
from saywhatwant.entities import Entities
from saywhatwant.message import NewMessage, decode_list
from saywhatwant.models.chat import ChatModel
from saywhatwant.models.local import LocalServer
from saywhatwant.queue import MessageQueue
from saywhatwant.settings import load
from saywhatwant.worker import create_worker
from saywhatwant.worker.server import Server, listen

pytestmark = pytest.mark.usefixtures("no_settings")
PATIENCE_SECONDS = 90
LEASE_SECONDS = 2
"""Shorter than the model takes on a busy machine: the signs of life must hold it."""

CAST = """
[zen]
display_name = "Zen"
color = "070140180"
model = "local"
system_prompt = "Answer in several long sentences."
temperature = 0
max_tokens = 80
"""
"""At temperature 0 the model says the same each time: never, by chance, a word too few to be seen growing."""


def test_p4_a_real_model_answers_once_and_is_seen_writing(tmp_path: Path) -> None:
    """Server and bot in this process, over real HTTP."""
    settings = load(bind="127.0.0.1:0", data=tmp_path / "data", lease_seconds=LEASE_SECONDS)

    cast_file = tmp_path / "cast.toml"
    cast_file.write_text(CAST)

    async def scenario(base_url: str) -> None:
        runtime = EmbeddedRuntime(settings.data)
        worker = create_worker(runtime, settings)
        queue = runtime.namespace("MessageQueue", MessageQueue).get("global-queue")
        shown: list[str] = []

        def watch(event: bytes) -> None:
            told = msgspec.json.decode(event)
            if told["type"] == "progress":
                shown.append(told["text"])

        queue.subscribe(watch)
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        server = Server(worker, settings, on_ready=ready.set_result)
        async with runtime:
            serving = asyncio.create_task(server.serve([listen(settings)]))
            async with WallClient(await ready) as client:
                cast = Entities(cast_file, base_url=base_url)
                model = ChatModel(idle_seconds=PATIENCE_SECONDS, total_seconds=PATIENCE_SECONDS)
                bot = Bot(client, "bot", cast, model, names=["zen"])
                question = NewMessage(text="Why is space black?", username="Human", color="169080199", entity="zen")
                posted = await queue.call(MessageQueue.post, question)
                assert await bot.run_once()
            wall = decode_list((await queue.call(MessageQueue.read)).body)
            (reply,) = [message for message in wall if message.reply_to == posted.id]
            assert len(reply.text) > 10
            assert len(shown) > 1, "it was seen growing"
            assert all(reply.text.startswith(text) for text in shown)
            server.should_exit = True
            await serving

    with LocalServer() as local:
        asyncio.run(asyncio.wait_for(scenario(local.base_url), PATIENCE_SECONDS))
