"""Which objects a cluster holds, also while one of its partitions is between two nodes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from durable_objects import Overloaded
from durable_objects.restate import inventory
from durable_objects.restate.inventory import objects_of
from scenario import run

ROWS = [
    {"service_name": "wall.Box", "service_key": "b/ä"},
    {"service_name": "wall.Box", "service_key": "a"},
    {"service_name": "wall-2.Box", "service_key": "of another wall"},
    {"service_name": "walls", "service_key": "of another program"},
]


@asynccontextmanager
async def admin(failures: int) -> AsyncIterator[str]:
    """The URL of an admin server that has no answer at first."""
    left = failures

    async def query(_: web.Request) -> web.Response:
        nonlocal left
        left -= 1
        if left >= 0:
            return web.json_response({"message": "partition 2 doesn't exist on this node"}, status=500)
        return web.json_response({"rows": ROWS})

    app = web.Application()
    app.router.add_post("/query", query)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


def test_objects_are_listed_by_their_ids_once_the_cluster_knows_them() -> None:
    async def scenario() -> list[str]:
        async with admin(failures=2) as url:
            return await objects_of([url], "wall")

    assert run(scenario()) == ["Box/a", "Box/b/ä"]


def test_another_admin_server_is_asked_where_one_does_not_answer() -> None:
    async def scenario() -> list[str]:
        async with admin(failures=0) as gone:
            pass
        async with admin(failures=0) as url:
            return await objects_of([gone, url], "wall")

    assert run(scenario()) == ["Box/a", "Box/b/ä"]


def test_a_cluster_that_does_not_say_is_no_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with admin(failures=9) as url:
            await objects_of([url], "wall")

    monkeypatch.setattr(inventory, "WAIT_SECONDS", 0.0)
    with pytest.raises(Overloaded, match=r"does not say which objects there are: .*500: .*partition 2"):
        run(scenario())
