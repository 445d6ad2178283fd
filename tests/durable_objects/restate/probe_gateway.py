"""A gateway to a fake cluster, and the object that it calls."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fake_cluster import FakeCluster
from probe import Probe, Rules

from durable_objects import Stub
from durable_objects.restate.runtime import RestateRuntime
from durable_objects.simulated import SimulatedRuntime


@asynccontextmanager
async def probes(**options: Any) -> AsyncIterator[tuple[FakeCluster, RestateRuntime, Stub[Probe]]]:
    """A cluster, a gateway to it, and a stub; ``options`` are the cluster's."""
    async with fake_cluster(**options) as cluster, RestateRuntime(cluster.urls) as gateway:
        yield cluster, gateway, probe_of(gateway)


@asynccontextmanager
async def fake_cluster(**options: Any) -> AsyncIterator[FakeCluster]:
    async with FakeCluster(SimulatedRuntime(), **options) as cluster:
        cluster.declare("Probe", Probe, Rules())
        yield cluster


def probe_of(gateway: RestateRuntime, name: str = "one") -> Stub[Probe]:
    return gateway.namespace("Probe", Probe, Rules()).get(name)
