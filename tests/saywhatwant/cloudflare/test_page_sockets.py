"""Readers on sockets that hibernate: P2 and P5 as everywhere, over sleeps and crashes of the object, and nothing that waits."""

import asyncio
from typing import Any

import pytest
from fake_platform import Platform

from saywhatwant.cloudflare.bridge import Answer, ask
from saywhatwant.cloudflare.sockets import TOO_BIG
from saywhatwant.topology import Position
from saywhatwant.worker.app import create_worker
from saywhatwant.worker.live_frames import LiveFrames
from saywhatwant.worker.subscriber import POLICY_VIOLATION, Frame
from scenario import run, turns, until


def test_p5_a_reader_gets_what_it_missed_and_then_each_change() -> None:
    async def scenario() -> None:
        platform = Platform()
        await platform.post("before")
        reader = await platform.reader()
        await platform.post("after")
        await turns()
        assert reader.texts == ["before", "after"]
        assert [frame["seq"] for frame in reader.frames] == [1, 2]

    run(scenario())


def test_p5_the_frames_are_the_same_bytes_as_those_of_a_server() -> None:
    async def scenario() -> None:
        platform = Platform(rate_limit=0)
        server = create_worker(platform.runtime, platform.settings)
        for number in range(230):
            await platform.post(f"number {number}")
        there, here = await platform.reader(), ServedReader(server.app)
        await until(lambda: len(here.received) == len(there.received))
        await platform.post("live", botParams={"entity": "zen"})
        (claimed,) = (await platform.bot("claim", workerId="bot", entities=["zen"], limit=1))["messages"]
        await turns()
        attempt = {"messageId": claimed["id"], "workerId": "bot", "attempt": 1}
        await platform.bot("progress", **attempt, text="Once")
        await turns()
        await platform.bot("progress", **attempt, text="Once upon")
        await turns()
        late_there, late_here = await platform.reader(), ServedReader(server.app)
        await until(lambda: len(late_here.received) > 0)
        await platform.bot("complete", **attempt, reply={"text": "Once upon a time"})
        await turns()
        assert len(there.received) > 6
        assert there.received == here.received
        assert late_there.received == late_here.received
        for reader in (here, late_here):
            await reader.leave()

    run(scenario())


def test_p5_a_sleep_is_not_seen_by_readers() -> None:
    async def scenario() -> None:
        platform = Platform()
        readers = [await platform.reader() for _ in range(3)]
        await platform.post("first")
        await turns()
        await platform.sleep()
        await platform.post("second")
        await turns()
        await platform.leave(readers.pop())
        await platform.sleep()
        late = await platform.reader(since=2)
        await platform.post("third")
        await turns()
        for reader in readers:
            assert reader.texts == ["first", "second", "third"]
            assert [frame["seq"] for frame in reader.frames] == [0, 1, 2, 3]
        assert late.texts == ["third"]
        assert len(platform.wall.readers) == 3

    run(scenario())


def test_p5_what_was_committed_and_not_pushed_before_the_object_died_is_sent_by_the_next_one() -> None:
    async def scenario() -> None:
        platform = Platform()
        behind, ahead = await platform.reader(), await platform.reader()
        await platform.post("pushed")
        await turns()
        kept = behind.attachment()
        await platform.post("pushed to one")
        await turns()
        behind.attach(kept)
        del behind.received[-1]
        await platform.sleep()
        await platform.post("after the crash")
        await turns()
        for reader in (behind, ahead):
            assert reader.texts == ["pushed", "pushed to one", "after the crash"]

    run(scenario())


def test_p5_what_commits_while_readers_catch_up_after_a_crash_comes_after_what_they_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As an alarm does that is due when the object is loaded: it runs while one reader catches up and others wait for that."""

    async def scenario() -> None:
        platform = Platform()
        readers = [await platform.reader() for _ in range(3)]
        kept = [reader.attachment() for reader in readers]
        await platform.post("missed")
        await turns()
        for reader, position in zip(readers, kept, strict=True):
            reader.attach(position)
            reader.received.clear()
        platform.crash()
        inside = create_worker(platform.runtime, platform.settings)
        body = {"text": "meanwhile", "username": "Human", "color": "169080199"}
        posts = iter([platform.request("POST", "/api/comments", body)])
        read = LiveFrames.missed

        async def missed(frames: LiveFrames, since: Position) -> Frame:
            page = await read(frames, since)
            for post in posts:
                await ask(inside.app, post)
                await turns()
            return page

        monkeypatch.setattr(LiveFrames, "missed", missed)
        await platform.call("GET", "/readyz")
        for reader in readers:
            assert reader.texts == ["missed", "meanwhile"]

    run(scenario())


def test_p2_a_reader_that_comes_while_others_post_misses_nothing_and_gets_nothing_twice() -> None:
    async def scenario() -> None:
        platform = Platform()
        posts = [asyncio.create_task(platform.post(f"number {number}")) for number in range(40)]
        readers = []
        for _ in range(10):
            readers.append(await platform.reader())
            await asyncio.sleep(0)
        await asyncio.gather(*posts)
        await turns()
        for reader in readers:
            assert sorted(reader.texts) == sorted(f"number {number}" for number in range(40))
            assert reader.frames[-1]["seq"] == 40

    run(scenario())


def test_while_nothing_happens_nothing_is_to_run() -> None:
    """So that the object can sleep: timers, and tasks that run by themselves, would keep it awake."""

    async def scenario() -> None:
        loop: Any = asyncio.get_running_loop()
        before, tasks = [*loop._scheduled], asyncio.all_tasks()
        platform = Platform()
        await platform.reader()
        await platform.post("to anyone", botParams={"entity": "zen"})
        await turns()
        assert loop._scheduled == before
        assert len(loop._ready) == 0
        assert len(asyncio.all_tasks() - tasks) == 1, "it follows the events, and awaits the next one"

    run(scenario())


def test_p8_a_reader_that_sends_anything_is_closed() -> None:
    async def scenario() -> None:
        platform = Platform()
        loud, silent = await platform.reader(), await platform.reader()
        await platform.sleep()
        await platform.wall.socket_message(loud, "hello")
        await platform.post("new")
        await turns()
        assert (loud.close_code, loud.texts) == (POLICY_VIOLATION, [])
        assert (silent.close_code, silent.texts) == (None, ["new"])
        assert platform.runtime.meter.socket_frames == 1
        await platform.leave(loud)
        assert len(platform.wall.readers) == 1
        await platform.wall.socket_message(silent, None, 2**20)
        assert silent.close_code == TOO_BIG

    run(scenario())


def test_p8_sockets_of_one_address_are_bounded_also_behind_a_sleep() -> None:
    async def scenario() -> None:
        platform = Platform(sockets_per_address=2)
        first = await platform.reader()
        await platform.reader()
        await platform.sleep()
        refused = await platform.open()
        assert isinstance(refused, Answer)
        assert refused.status == 429
        await platform.reader(address="192.0.2.2")
        await platform.leave(first)
        await platform.reader()

    run(scenario())


def test_p8_what_may_not_read_is_refused_with_a_problem() -> None:
    async def scenario() -> None:
        platform = Platform()
        strange = await platform.open(origin="https://elsewhere.example")
        wrong = await platform.open(since="x")
        for answer, status in ((strange, 403), (wrong, 422)):
            assert isinstance(answer, Answer)
            assert answer.status == status
            assert (b"content-type", b"application/problem+json") in answer.headers
        assert platform.sockets == []

    run(scenario())


def test_a_socket_that_ended_unnoticed_costs_the_others_nothing() -> None:
    async def scenario() -> None:
        platform = Platform()
        gone, there = await platform.reader(), await platform.reader()
        gone.is_open = False
        await platform.post("new")
        await turns()
        assert there.texts == ["new"]
        assert len(platform.wall.readers) == 1
        await platform.wall.socket_closed(gone)
        assert len(platform.wall.readers) == 1

    run(scenario())


class ServedReader:
    """A reader of the same wall through a server's app."""

    def __init__(self, app: Any) -> None:
        self.received: list[str] = []
        self._sent: asyncio.Queue[Any] = asyncio.Queue()
        self._sent.put_nowait({"type": "websocket.connect"})
        scope = {"type": "websocket", "path": "/api/ws", "query_string": b"since=0", "headers": [], "client": ("192.0.2.1", 1)}
        self._task = asyncio.create_task(app(scope, self._sent.get, self._receive))

    async def _receive(self, message: Any) -> None:
        if message["type"] == "websocket.send":
            self.received.append(message["text"])

    async def leave(self) -> None:
        self._sent.put_nowait({"type": "websocket.disconnect", "code": 1_001})
        await self._task
