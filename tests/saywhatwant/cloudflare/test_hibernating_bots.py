"""Bots on sockets that hibernate: work comes by itself, and over a sleep; P3 and P4 as everywhere."""

import asyncio
import json
from typing import Any

from fake_platform import TOKEN, FakeSocket, Platform, decoded

from saywhatwant.cloudflare.bridge import Answer
from saywhatwant.worker.subscriber import POLICY_VIOLATION
from scenario import run, turns

Json = Any


class Bot:
    """A bot with a socket."""

    def __init__(self, platform: Platform, socket: FakeSocket) -> None:
        self.platform = platform
        self.socket = socket

    @classmethod
    async def come(cls, platform: Platform, **hello: object) -> "Bot":
        """A bot that has said ``hello`` and was welcomed."""
        opened = await opening(platform, TOKEN)
        assert isinstance(opened, FakeSocket)
        bot = cls(platform, opened)
        await bot.say("hello", workerId="bot", hands=2, entities={"zen": 1}, **hello)
        await turns()
        assert bot.frames[0]["type"] == "welcome"
        return bot

    @property
    def frames(self) -> list[Json]:
        return [json.loads(line) for text in self.socket.received for line in text.split("\n")]

    @property
    def work(self) -> list[Json]:
        """The messages that it was given. One that it holds comes again when the object has slept."""
        given: dict[tuple[str, int], Json] = {}
        for frame in self.frames:
            if frame["type"] == "message":
                message = frame["message"]
                given.setdefault((message["id"], message["botParams"]["attempt"]), message)
        return list(given.values())

    async def say(self, kind: str, **fields: object) -> None:
        await self.platform.wall.socket_message(self.socket, json.dumps({"type": kind, "id": 1} | fields))

    async def answer(self, message: Json, text: str) -> None:
        await self.say("complete", messageId=message["id"], attempt=message["botParams"]["attempt"], reply={"text": text})


async def opening(platform: Platform, token: str) -> FakeSocket | Answer:
    """The socket, or the refusal."""
    request = platform.request("GET", "/api/queue/ws", upgrade="websocket", authorization=f"Bearer {token}")
    answer = await platform.wall.fetch(request)
    if answer is not None:
        return answer
    assert request.socket is not None
    return request.socket


async def ask(platform: Platform, text: str) -> str:
    return str((await platform.post(text, botParams={"entity": "zen"}))["id"])


async def states(platform: Platform) -> dict[str, str]:
    """The status of each message on the wall, by its text."""
    wall = decoded(await platform.call("GET", "/api/comments"))
    return {message["text"]: message["botParams"]["status"] for message in wall}


def test_p4_a_message_comes_to_a_bot_that_waits_also_after_the_object_has_slept() -> None:
    async def scenario() -> None:
        platform = Platform()
        bot = await Bot.come(platform)
        for number in range(3):
            await platform.sleep()
            await ask(platform, f"question {number}")
            await turns()
            assert [message["text"] for message in bot.work][number:] == [f"question {number}"]
            await platform.sleep()
            await bot.answer(bot.work[-1], f"answer {number}")
            await turns()
        assert set((await states(platform)).values()) == {"complete"}
        assert len(bot.work) == 3

    run(scenario())


def test_p3_a_message_that_a_bot_holds_over_a_sleep_stays_its_own() -> None:
    async def scenario() -> None:
        platform = Platform()
        bot, other = await Bot.come(platform), await Bot.come(platform)
        await ask(platform, "held")
        await turns()
        await platform.sleep()
        await ask(platform, "another")
        await turns()
        assert sorted(len(each.work) for each in (bot, other)) == [1, 1]
        for each in (bot, other):
            await each.answer(each.work[0], "answered")
        assert set((await states(platform)).values()) == {"complete"}

    run(scenario())


def test_p4_the_messages_of_a_bot_that_leaves_go_to_another_at_once() -> None:
    async def scenario() -> None:
        platform = Platform()
        leaving = await Bot.come(platform)
        await ask(platform, "question")
        await turns()
        staying = await Bot.come(platform)
        await platform.sleep()
        await platform.leave(leaving.socket)
        await turns()
        assert [message["text"] for message in staying.work] == ["question"]
        assert staying.work[0]["botParams"]["attempt"] == 2

    run(scenario())


def test_p4_a_bot_whose_socket_ended_with_the_object_comes_back_to_what_it_holds() -> None:
    async def scenario() -> None:
        platform = Platform()
        gone = await Bot.come(platform)
        question = await ask(platform, "question")
        await turns()
        gone.socket.is_open = False
        await platform.sleep()
        assert await states(platform) == {"question": "processing"}
        other = await Bot.come(platform)
        hold = {"messageId": question, "attempt": 1}
        again = await Bot.come(platform, holds=[hold], resumes=gone.frames[0]["socket"])
        assert again.frames[0]["held"] == [hold]
        await again.answer(gone.work[0], "answer")
        assert (await states(platform))["question"] == "complete"
        assert other.work == []

    run(scenario())


def test_p4_a_message_does_not_go_to_a_waiting_claim_that_died_with_the_object() -> None:
    async def scenario() -> None:
        platform = Platform()
        claim = asyncio.create_task(platform.bot("claim", workerId="old", entities=["zen"], wait=30))
        await turns()
        bot = await Bot.come(platform)
        platform.crash()
        claim.cancel()
        await ask(platform, "question")
        await turns()
        assert [message["text"] for message in bot.work] == ["question"]

    run(scenario())


def test_while_bots_wait_nothing_is_to_run() -> None:
    async def scenario() -> None:
        loop: Any = asyncio.get_running_loop()
        before, tasks = [*loop._scheduled], asyncio.all_tasks()
        platform = Platform()
        bot = await Bot.come(platform)
        await ask(platform, "question")
        await turns()
        await bot.answer(bot.work[0], "answer")
        await turns()
        assert loop._scheduled == before
        assert len(asyncio.all_tasks() - tasks) == 1, "it follows the events, and awaits the next one"

    run(scenario())


def test_p8_only_bots_may_open_it_and_what_is_no_text_ends_it() -> None:
    async def scenario() -> None:
        platform = Platform()
        refused = await opening(platform, "another token")
        assert isinstance(refused, Answer)
        assert refused.status == 401
        bot = await Bot.come(platform)
        await platform.wall.socket_message(bot.socket, None)
        assert bot.socket.close_code == POLICY_VIOLATION
        await platform.wall.socket_message(bot.socket, "{}")
        silent = await opening(platform, TOKEN)
        assert isinstance(silent, FakeSocket)
        await platform.sleep()
        await platform.wall.socket_message(silent, "x" * 1_000_000)
        assert silent.close_code == 1_009
        assert platform.runtime.meter.socket_frames == 1, "those of this life"

    run(scenario())
