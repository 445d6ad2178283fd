"""The start of a gateway: whom it lets in before the cluster answers, and after (P8)."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest
from starlette.responses import PlainTextResponse

from durable_objects.simulated import SimulatedRuntime
from saywhatwant.commands.joining import Joining
from saywhatwant.settings import WrongSettings, load
from saywhatwant.worker import create_worker
from servers import DEADLINE_SECONDS

pytestmark = pytest.mark.usefixtures("no_settings")


def joining_to(enter: Callable[[], Awaitable[None]]) -> Joining:
    worker = create_worker(SimulatedRuntime(), load())._replace(app=PlainTextResponse("the wall"))
    return Joining(worker, enter, lambda: "no node answers", lambda _: None)


async def status_of(joining: Joining) -> int:
    transport = httpx.ASGITransport(joining.worker.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://wall") as http:
        return (await http.get("/api/comments")).status_code


def test_who_waits_in_the_queue_of_a_socket_is_let_in_from_the_first_moment_that_the_server_listens() -> None:
    """Not only once all connections of the server before it are taken over."""

    async def statuses() -> list[int]:
        cluster = asyncio.Event()

        async def enter() -> None:
            await cluster.wait()

        joining = joining_to(enter)
        joining.begin()
        await joining.wait(0)
        found = [await status_of(joining)]
        cluster.set()
        await joining.wait(DEADLINE_SECONDS)
        return [*found, await status_of(joining)]

    assert asyncio.run(statuses()) == [503, 200]


def test_what_hinders_it_for_good_ends_the_wait() -> None:
    async def refuse() -> None:
        raise WrongSettings("another topology")

    async def wait() -> None:
        joining = joining_to(refuse)
        joining.begin()
        await joining.wait(DEADLINE_SECONDS)

    with pytest.raises(WrongSettings, match="another topology"):
        asyncio.run(wait())
