"""A cluster on this machine for ``sww stress --chaos --runtime restate``: three nodes, objects, two gateways and their bots."""

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from durable_objects.restate.cluster import Cluster
from durable_objects.restate.guarded import GUARD
from durable_objects.restate.ports import free_port
from saywhatwant.client import ServerUnavailable
from saywhatwant.stress.chaos import LEASE_SECONDS
from saywhatwant.stress.cluster import Target
from saywhatwant.stress.program import READY, Program

GATEWAYS = 2
OBJECTS = 2
"""Processes: one has the objects, the other one stands by."""
PARTITIONS = 6
STANDING_BY = "standing by"
START_TRIES = 3
"""Attempts to start a program: another process may hold its port for a moment after a kill."""
START_SECONDS = 60.0
"""How long a program may take to be ready; a gateway waits for the objects."""
NODE_REST_SECONDS = 7.0
"""A node that is back is not counted on by the others for five seconds, so that the loss of one more would be that of two."""
REST_SECONDS = 2.0
"""A gateway's clients, and what stands by for it, are all there again."""


class NodeTarget:
    """A Restate server."""

    kind = "node"
    rest_seconds = NODE_REST_SECONDS

    def __init__(self, cluster: Cluster, number: int) -> None:
        self.name = f"node {number}"
        self._cluster = cluster
        self._number = number

    async def kill(self) -> None:
        """See ``Target``."""
        await asyncio.to_thread(self._cluster.kill, self._number)

    async def start(self) -> None:
        """See ``Target``."""
        await asyncio.to_thread(self._cluster.restart, self._number)


class ProgramTarget:
    """An ``sww`` that is ready when it says ``ready``; one that says nothing is so at once."""

    rest_seconds = REST_SECONDS

    def __init__(self, program: Program, *options: str, ready: str = READY) -> None:
        self.name = program.name
        self.kind = program.name.partition(" ")[0]
        self._program = program
        self._options = options
        self._ready = ready

    async def kill(self) -> None:
        """See ``Target``."""
        if not self._program.is_running:
            raise ServerUnavailable(f"{self.name} ended by itself: {self._program.stderr.strip()}")
        await self.end()

    async def end(self) -> None:
        """Kill it, whether it runs or not."""
        self._program.kill()
        await self._program.ended()

    async def start(self) -> None:
        """See ``Target``."""
        for _ in range(START_TRIES):
            await self._program.start(*self._options)
            if not self._ready:
                return
            with suppress(TimeoutError, ServerUnavailable):
                await self._program.ready(START_SECONDS, self._ready)
                return
            await self.end()
        raise ServerUnavailable(f"{self.name} did not become ready: {self._program.stderr.strip()}")


class ClusterSite:
    """All processes of one wall, with their own directory. An asynchronous context manager that stops them.

    Args:
        topology: the wall's.
        entities: the file of entities; None is the one that ships.

    Attributes:
        urls: the gateways, once it is entered.
    """

    def __init__(self, topology: str, entities: Path | None = None) -> None:
        self.urls: list[str] = []
        self._scratch = TemporaryDirectory(prefix="sww-stress-", ignore_cleanup_errors=True)
        directory = Path(self._scratch.name)
        self._cluster = Cluster(directory / "restate", partitions=PARTITIONS)
        names: dict[str, object] = {} if entities is None else {"entities": entities.absolute()}
        settings = names | {
            "topology": topology,
            "runtime": "restate",
            "rate_limit": 0,
            "lease_seconds": LEASE_SECONDS,
            "max_attempts": 100,
            "retention": 1_000_000,
            "restate": ",".join(self._cluster.ingress_urls),
            "restate_admin": ",".join(node.admin_url for node in self._cluster.nodes),
            "restate_name": f"wall-{secrets.token_hex(4)}",
        }
        arguments = ["objects", "--standby", "--bind", f"127.0.0.1:{free_port()}"]
        self._objects = [
            ProgramTarget(Program(f"objects {number}", directory, arguments, settings, guard=GUARD), ready=STANDING_BY)
            for number in range(1, OBJECTS + 1)
        ]
        self._gateways = []
        self._bots = []
        for number in range(1, GATEWAYS + 1):
            address = f"127.0.0.1:{free_port()}"
            self.urls.append(f"http://{address}")
            gateway = Program(f"gateway {number}", directory, ["serve"], settings, guard=GUARD)
            self._gateways.append(ProgramTarget(gateway, "--bind", address))
            arguments = ["bot", "--url", self.urls[-1], "--worker-id", f"stress-{number}"]
            bot = Program(f"bot {number}", directory, arguments, names, guard=GUARD)
            self._bots.append(ProgramTarget(bot, ready=""))

    @property
    def targets(self) -> Sequence[Target]:
        """All that can be killed, so ordered that different kinds take turns."""
        nodes = [NodeTarget(self._cluster, number) for number in range(1, len(self._cluster.nodes) + 1)]
        kinds: list[Sequence[Target]] = [nodes, self._gateways, self._objects, self._bots]
        return [kind[turn] for turn in range(max(map(len, kinds))) for kind in kinds if turn < len(kind)]

    async def __aenter__(self) -> Self:
        """Start them. Raises ``ServerUnavailable`` when one does not become ready, and what a ``Cluster`` raises."""
        try:
            await asyncio.to_thread(self._cluster.start)
            for program in (*self._objects, *self._gateways, *self._bots):
                await program.start()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def _end(self) -> None:
        for program in (*self._bots, *self._gateways, *self._objects):
            await program.end()
        await asyncio.gather(*(asyncio.to_thread(node.kill) for node in self._cluster.nodes))
        self._scratch.cleanup()
