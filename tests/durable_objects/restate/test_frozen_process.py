"""An objects' process that stands still for so long that Restate gives it up, and then goes on with what it had begun."""

import asyncio
import signal

import httpx
import pytest
from scribe import Scribe
from scribes import Scribes, scribes

from durable_objects import Stub
from durable_objects.restate.encoding import service_name
from durable_objects.restate.node import Node
from scenario import run
from servers import DEADLINE_SECONDS

pytestmark = pytest.mark.one_deployment("they run on Restate alone")


def given_up(served: Scribes) -> bool:
    """Whether Restate tries a batch again."""
    service = service_name(served.prefix, "Scribe")
    query = f"SELECT max(retry_count) AS tries FROM sys_invocation WHERE target_service_name = '{service}'"  # noqa: S608 - ours
    answer = httpx.post(
        f"{served.node.admin_url}/query",
        json={"query": query},
        headers={"Accept": "application/json"},
        timeout=DEADLINE_SECONDS,
        trust_env=False,
    )
    (row,) = answer.raise_for_status().json()["rows"]
    return (row.get("tries") or 0) > 1  # a value that is null is left out


def test_calls_that_a_process_had_begun_when_it_froze_are_made_once_also_by_itself(restate: Node) -> None:
    async def scenario(served: Scribes) -> None:
        async with served.gateway() as gateway:
            stubs = [gateway.namespace("Scribe", Scribe).get(f"scribe {number}") for number in range(8)]
            assert await asyncio.gather(*(stub.call(Scribe.append, "0") for stub in stubs)) == [1] * len(stubs)
            begun = asyncio.Event()

            async def append_all(stub: Stub[Scribe]) -> None:
                for number in range(1, 40):
                    await stub.call(Scribe.append, str(number))
                    begun.set()

            calls = [asyncio.create_task(append_all(stub)) for stub in stubs]
            await begun.wait()
            served.process.send_signal(signal.SIGSTOP)
            while not await asyncio.to_thread(given_up, served):  # noqa: ASYNC110 - Restate tells nobody
                await asyncio.sleep(0.1)
            served.process.send_signal(signal.SIGCONT)
            await asyncio.gather(*calls)
            for stub in stubs:
                assert await stub.call(Scribe.texts, page=1_000) == [str(number) for number in range(40)]

    with scribes(restate) as served:
        run(scenario(served))
