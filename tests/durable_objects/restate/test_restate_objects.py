"""Objects behind a real Restate server: what was answered is there, once, whatever ends their process."""

import asyncio
import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from journal import Journal
from scribe import Full, Scribe
from scribes import Scribes, scribes

from durable_objects import ObjectFailed, OutcomeUnknown, RuntimeClosed, Stub
from durable_objects.restate.node import Node
from durable_objects.restate.node_config import NodeConfig
from durable_objects.restate.objects import RestateObjects
from durable_objects.restate.runtime import RestateRuntime
from scenario import run, until

pytestmark = pytest.mark.one_deployment("they run on Restate alone")


def scribe_of(gateway: RestateRuntime, name: str = "one") -> Stub[Scribe]:
    return gateway.namespace("Scribe", Scribe).get(name)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def texts_of(scribe: Stub[Scribe]) -> list[str]:
    return await scribe.call(Scribe.texts, page=1_000)


async def until_texts(scribe: Stub[Scribe], expected: list[str]) -> None:
    """Return once it has these entries."""
    while await texts_of(scribe) != expected:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.05)


def test_calls_of_many_objects_at_once_are_answered_as_one_by_one(restate: Node) -> None:
    async def scenario(served: Scribes) -> None:
        async with served.gateway() as gateway:
            stubs = [scribe_of(gateway, f"scribe {number}") for number in range(64)]
            calls = [stub.call(Scribe.append, "text") for _ in range(5) for stub in stubs]
            assert await asyncio.gather(*calls) == [count for count in range(1, 6) for _ in stubs]
            with pytest.raises(Full, match="text 6"):
                await stubs[0].call(Scribe.append_and_refuse, "text 6")
            with pytest.raises(ObjectFailed, match="marked as a read"):
                await stubs[0].call(Scribe.break_the_mark)
            assert await texts_of(stubs[0]) == ["text"] * 5

    with scribes(restate) as served:
        run(scenario(served))


def test_p1_an_answer_larger_than_restate_takes_fails_its_call_alone(restate: Node) -> None:
    async def scenario(served: Scribes) -> None:
        async with served.gateway() as gateway:
            scribe = scribe_of(gateway)
            with pytest.raises(ObjectFailed, match="one call writes and returns 41943"):
                await scribe.call(Scribe.append_and_return, "lost", 40)
            assert len(await scribe.call(Scribe.append_and_return, "kept", 15)) == 15 << 20
            assert await texts_of(scribe) == ["kept"]

    with scribes(restate) as served:
        run(scenario(served))


def test_calls_that_were_acknowledged_are_there_once_when_their_process_is_killed_again_and_again(restate: Node) -> None:
    async def scenario(served: Scribes) -> None:
        acknowledged: dict[str, list[str]] = {}
        unknown: set[str] = set()
        over = asyncio.Event()

        async def append(stub: Stub[Scribe], name: str, caller: int) -> None:
            number = 0
            while not over.is_set():
                number += 1
                text = f"{caller}.{number}"
                try:
                    await stub.call(Scribe.append, text)
                except OutcomeUnknown:
                    unknown.add(text)
                else:
                    acknowledged.setdefault(name, []).append(text)

        def has_acknowledged(calls: int) -> bool:
            return sum(map(len, acknowledged.values())) >= calls

        async with served.gateway() as gateway:
            names = ("a", "b", "c")
            callers = [
                asyncio.create_task(append(scribe_of(gateway, name), name, caller)) for name in names for caller in range(4)
            ]
            for kills in range(1, 4):
                await until(partial(has_acknowledged, 60 * kills))
                await asyncio.to_thread(served.kill)
                await asyncio.to_thread(served.start)
            over.set()
            await asyncio.gather(*callers)
            for name in names:
                texts = await texts_of(scribe_of(gateway, name))
                assert len(texts) == len(set(texts))
                assert [text for text in texts if text not in unknown] == acknowledged[name]

    with scribes(restate) as served:
        run(scenario(served))


def test_an_alarm_that_was_due_while_the_process_was_dead_runs_when_it_is_back(restate: Node) -> None:
    async def scenario(served: Scribes) -> None:
        async with served.gateway() as gateway:
            scribe = scribe_of(gateway)
            await scribe.call(Scribe.wake_at, now_ms() + 600)
            await asyncio.to_thread(served.kill)
            await asyncio.sleep(0.7)
            await asyncio.to_thread(served.start)
            await until_texts(scribe, ["alarm"])
            # Moved to an earlier time, then away: it runs at the first one only.
            at = now_ms()
            await scribe.call(Scribe.wake_at, at + 60_000)
            await scribe.call(Scribe.wake_at, at + 100)
            await until_texts(scribe, ["alarm"] * 2)
            await scribe.call(Scribe.wake_at, now_ms() + 200)
            await scribe.call(Scribe.wake_at, None)
            await scribe.call(Scribe.wake_at, 2**53 - 1)
            # When the later alarm of another object has run, the one that was taken back would have run too.
            witness = scribe_of(gateway, "witness")
            await witness.call(Scribe.wake_at, now_ms() + 400)
            await until_texts(witness, ["alarm"])
            assert await texts_of(scribe) == ["alarm"] * 2

    with scribes(restate) as served:
        run(scenario(served))


def test_calls_to_others_are_taken_once_and_in_order_also_those_that_fail_at_first(restate: Node) -> None:
    async def scenario(served: Scribes) -> None:
        async with served.gateway() as gateway:
            sender, receiver = scribe_of(gateway, "sender"), scribe_of(gateway, "receiver/ä")
            await sender.call(Scribe.tell, "receiver/ä", ["1", "2"])
            await sender.settle()
            assert await texts_of(receiver) == ["1", "2"]
            await receiver.call(Scribe.be_unwilling, 1)
            await sender.call(Scribe.tell, "receiver/ä", ["3", "4"])
            with pytest.raises(OutcomeUnknown):
                await sender.settle()
            await sender.call(Scribe.tell, "receiver/ä", ["5"])
            assert await receiver.call(Scribe.append, "meanwhile") == 3
            await until_texts(receiver, ["1", "2", "meanwhile", "3", "4", "5"])
            await sender.settle()

    with scribes(restate) as served:
        run(scenario(served))


def test_a_listener_gets_events_and_signals_and_the_process_ends_although_it_waits(restate: Node) -> None:
    async def scenario(served: Scribes) -> None:
        async with served.gateway() as gateway:
            scribe = scribe_of(gateway)
            async with scribe.events() as events:
                await scribe.call(Scribe.append, "one")
                await scribe.call(Scribe.announce, "two")
                await scribe.call(Scribe.append, "three")
                found: list[Any] = [await anext(events) for _ in range(3)]
                assert found == [(1, (b"one",)), (None, (b"two",)), (2, (b"three",))]
                assert await asyncio.to_thread(served.stop) == 0
                await asyncio.to_thread(served.start)
                await scribe.call(Scribe.append, "four")
                assert await anext(events) == (3, (b"four",))

    with scribes(restate) as served:
        run(scenario(served))


def test_a_new_deployment_gets_all_new_calls_and_its_events_are_heard(restate: Node) -> None:
    async def scenario(old: Scribes) -> None:
        async with old.gateway() as gateway:
            scribe = scribe_of(gateway)
            async with scribe.events() as events:
                await scribe.call(Scribe.append, "by the old one")
                assert await anext(events) == (1, (b"by the old one",))
                assert await scribe.call(Scribe.process) == old.process.pid
                with scribes(restate, old.prefix) as new:
                    await scribe.call(Scribe.append, "by the new one")
                    assert await scribe.call(Scribe.process) == new.process.pid
                    assert await anext(events) == (2, (b"by the new one",))
                    assert await asyncio.to_thread(old.stop) == 0
                    await scribe.call(Scribe.append, "by the new one alone")
                    assert await anext(events) == (3, (b"by the new one alone",))

    with scribes(restate) as old:
        run(scenario(old))


def test_the_process_ends_although_restate_does_not_answer_any_more(tmp_path: Path) -> None:
    async def scenario(node: Node, served: Scribes) -> None:
        async with served.gateway() as gateway, scribe_of(gateway).events() as events:
            await scribe_of(gateway).call(Scribe.append, "text")
            await anext(events)
            os.killpg(node.pid, signal.SIGSTOP)
            try:
                assert await asyncio.to_thread(served.stop) == 0
            finally:
                os.killpg(node.pid, signal.SIGCONT)

    with Node(NodeConfig(directory=tmp_path)) as node, scribes(node) as served:
        run(scenario(node, served))


def test_an_object_of_many_rows_is_read_as_far_as_its_calls_need(restate: Node) -> None:
    async def scenario(served: Scribes) -> None:
        texts = [f"text {number}" for number in range(1, 1_501)]
        async with served.gateway() as gateway:
            scribe = scribe_of(gateway)
            await asyncio.gather(*(scribe.call(Scribe.append, text) for text in texts))
            await asyncio.to_thread(served.kill)
            await asyncio.to_thread(served.start)
            assert await scribe.call(Scribe.append, "the last") == 1_501
            assert await scribe.call(Scribe.text, 700) == "text 700"
            assert sorted(await texts_of(scribe)) == sorted([*texts, "the last"])

    with scribes(restate) as served:
        run(scenario(served))


def test_the_process_of_the_objects_makes_no_calls_itself() -> None:
    scribe = RestateObjects().namespace("Scribe", Scribe).get("one")
    with pytest.raises(RuntimeClosed, match="made at a gateway"):
        run(scribe.call(Scribe.append, "text"))


def test_a_process_that_stands_by_goes_on_at_once_when_the_one_that_served_is_killed(restate: Node) -> None:
    async def scenario(served: Scribes) -> None:
        objects, ready = RestateObjects(served.prefix), asyncio.Event()
        objects.namespace("Scribe", Scribe)
        objects.namespace("Journal", Journal)
        waiting = asyncio.create_task(objects.serve("127.0.0.1", served.port, ready=ready.set, standby=True))
        async with served.gateway() as gateway:
            scribe = scribe_of(gateway)
            assert [await scribe.call(Scribe.append, "text") for _ in range(20)] == list(range(1, 21))
            assert not ready.is_set()
            calls = [asyncio.create_task(scribe.call(Scribe.append, "text")) for _ in range(20)]
            await asyncio.to_thread(served.kill)
            assert await asyncio.gather(*calls) == list(range(21, 41))
            assert ready.is_set()
        objects.stop()
        await waiting

    with scribes(restate) as served:
        run(scenario(served))


def test_a_process_that_stands_by_can_be_stopped() -> None:
    async def scenario() -> None:
        objects = RestateObjects()
        objects.namespace("Scribe", Scribe)
        taken = await asyncio.start_server(lambda _, __: None, "127.0.0.1", 0)
        async with taken:
            waiting = asyncio.create_task(objects.serve("127.0.0.1", taken.sockets[0].getsockname()[1], standby=True))
            await asyncio.sleep(0)
            objects.stop()
            await waiting

    run(scenario())


def test_an_address_that_is_taken_is_an_error() -> None:
    async def scenario() -> None:
        objects = RestateObjects()
        objects.namespace("Scribe", Scribe)
        taken = await asyncio.start_server(lambda _, __: None, "127.0.0.1", 0)
        async with taken:
            with pytest.raises(OSError, match="in use"):
                await objects.serve("127.0.0.1", taken.sockets[0].getsockname()[1])

    run(scenario())
