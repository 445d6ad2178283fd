"""Walls that are exported from Restate and imported there: in the cluster that the settings name, or the one on this machine.

The objects themselves read and write what is stored of them. In a cluster their processes must run; without one, they and a
Restate server run on the data directory for as long as the move takes.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from durable_objects.embedded.lock import DirectoryLock
from durable_objects.files import make_directory
from durable_objects.restate.transfer import RestateSource, RestateTarget
from saywhatwant.commands.objects_process import ObjectsProcess
from saywhatwant.commands.restate_runtimes import TAKE_OVER, node_in, on_this_machine, running
from saywhatwant.settings import Settings, WrongSettings


@asynccontextmanager
async def restate_source(settings: Settings) -> AsyncIterator[RestateSource]:
    """The wall in the cluster. Raises ``WrongSettings`` when the settings name none, and the data directory has none."""
    if not settings.restate and not node_in(settings.data).config.file.exists():
        raise WrongSettings(f"SWW_DATA {settings.data} has no data of Restate, and SWW_RESTATE names no cluster")
    async with _cluster(settings) as there, RestateSource(there.restate, there.admin_urls, prefix=there.restate_name) as source:
        yield source


@asynccontextmanager
async def restate_target(settings: Settings) -> AsyncIterator[RestateTarget]:
    """A place for a wall in the cluster."""
    async with _cluster(settings) as there, RestateTarget(there.restate, there.admin_urls, prefix=there.restate_name) as target:
        yield target


@asynccontextmanager
async def _cluster(settings: Settings) -> AsyncIterator[Settings]:
    """Settings that name a cluster that runs; it is started if they name none, with the objects.

    Raises ``DataLocked`` while a server runs on the data directory, ``ObjectsEnded``, and what a ``Node`` raises.
    """
    if settings.restate:
        yield settings
        return
    make_directory(settings.data)
    node = node_in(settings.data)
    there = on_this_machine(settings, node)
    async with AsyncExitStack() as stack:
        lock = DirectoryLock(settings.data)
        lock.acquire()
        stack.callback(lock.release)
        await stack.enter_async_context(running(node))
        await stack.enter_async_context(ObjectsProcess(there, TAKE_OVER))
        yield there
