"""Gateways to a real cluster, whose objects' process dies and comes back."""

import asyncio

import pytest
from journal import Journal
from scribe import Scribe
from scribes import Scribes, scribes

from durable_objects import Stub
from durable_objects.limits import MAX_NAME_CHARS
from durable_objects.restate import batchers
from durable_objects.restate.node import Node
from durable_objects.restate.runtime import RestateRuntime
from scenario import run, until

NAMES = [
    ".",
    "..",
    "a/b",
    "a%2Fb",
    "%",
    "ä ?#&;=",
    "\x00\n",
    "\U0001f600",
    "n" * MAX_NAME_CHARS,
    "\U0001f600" * MAX_NAME_CHARS,
]


def journal_of(gateway: RestateRuntime) -> Stub[Journal]:
    return gateway.namespace("Journal", Journal).get("one")


def test_every_name_reaches_its_own_object(restate: Node) -> None:
    async def scenario(served: Scribes) -> None:
        async with served.gateway() as gateway:
            objects = gateway.namespace("Scribe", Scribe)
            for name in NAMES:
                assert await objects.get(name).call(Scribe.append, name[:1]) == 1
            for name in NAMES:
                assert await objects.get(name).call(Scribe.texts) == [name[:1]]

    with scribes(restate) as served:
        run(scenario(served))


def test_a_gateway_that_starts_before_the_objects_answers_once_they_are_there(restate: Node) -> None:
    async def scenario(served: Scribes) -> None:
        async with served.gateway() as gateway:
            calling = asyncio.create_task(gateway.namespace("Scribe", Scribe).get("one").call(Scribe.append, "early"))
            await until(lambda: "not found" in str(gateway.health()))
            await asyncio.to_thread(served.start)
            assert await calling == 1
            assert gateway.health() is None
        await asyncio.to_thread(served.kill)

    run(scenario(Scribes(restate)))


def test_a_batch_that_is_sent_again_while_it_waits_is_made_once(restate: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batchers, "ATTEMPT_SECONDS", 0.1)

    async def scenario(served: Scribes) -> None:
        async with served.gateway() as gateway:
            scribe = gateway.namespace("Scribe", Scribe).get("one")
            assert await scribe.call(Scribe.append, "first") == 1
            await asyncio.to_thread(served.kill)
            calling = [asyncio.create_task(scribe.call(Scribe.append, text)) for text in ("second", "third")]
            await until(lambda: gateway.health() is not None)
            await asyncio.to_thread(served.start)
            assert await asyncio.gather(*calling) == [2, 3]
            assert await scribe.call(Scribe.texts) == ["first", "second", "third"]

    with scribes(restate) as served:
        run(scenario(served))


async def read(journal: Stub[Journal], since: int, last: "asyncio.Future[int]") -> list[int]:
    """The numbers of all events after ``since``, up to the last one."""
    got: list[int] = []
    async with journal.events(since) as stream:
        while not (last.done() and got and got[-1] >= last.result()):
            events = await anext(stream)
            if events.seq is not None:
                got.append(events.seq)
    return got


def test_p5_listeners_at_every_gateway_get_every_event_once_though_the_process_of_the_objects_is_killed(restate: Node) -> None:
    async def scenario(served: Scribes) -> None:
        async with served.gateway() as one, served.gateway() as two:
            journals = [journal_of(one), journal_of(two)]
            await journals[0].call(Journal.write, count=1)
            last: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            reading = [asyncio.create_task(read(journal, since, last)) for journal in journals for since in (0, 1)]
            for _ in range(3):
                writing = [asyncio.create_task(journals[n % 2].call(Journal.write, count=1)) for n in range(40)]
                await asyncio.to_thread(served.kill)
                await asyncio.to_thread(served.start)
                await asyncio.gather(*writing)
            last.set_result(await journals[1].call(Journal.write, count=1))
            for got, since in zip(await asyncio.gather(*reading), (0, 1) * 2, strict=True):
                assert got == list(range(since + 1, last.result() + 1))

    with scribes(restate) as served:
        run(scenario(served))
