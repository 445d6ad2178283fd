"""A gateway goes on to the next node, knows what was sent and what was not, and which objects it means."""

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fake_cluster import FakeCluster
from probe import Counted, Probe, Rules
from probe_gateway import fake_cluster, probe_of, probes

from durable_objects import (
    ConfigMismatch,
    DurableObjectError,
    ObjectFailed,
    ObjectId,
    OutcomeUnknown,
    Overloaded,
    RuntimeClosed,
)
from durable_objects.limits import MAX_NAME_CHARS
from durable_objects.restate import runtime, settling
from durable_objects.restate.encoding import PREFIX
from durable_objects.restate.ingress import Ingress
from durable_objects.restate.runtime import RestateRuntime
from scenario import run, until

ONE = ObjectId("Probe", "one")


def soon(seconds: float = 2) -> float:
    return asyncio.get_running_loop().time() + seconds


@contextmanager
def nowhere() -> Iterator[str]:
    """A URL where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def test_a_gateway_stays_with_the_node_that_answers_and_goes_on_when_it_does_not(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        with nowhere() as gone:
            await goes_on(gone)

    async def goes_on(gone: str) -> None:
        async with fake_cluster(nodes=2) as cluster, RestateRuntime([gone, *cluster.urls]) as gateway:
            probe = probe_of(gateway)
            for n in range(1, 5):
                assert await probe.call(Probe.count) == Counted(n, n)
            assert len([record for record in caplog.records if "going on to" in record.message]) == 1
            await cluster.node(0).kill()
            assert await probe.call(Probe.count) == Counted(5, 5)
            await cluster.node(1).kill()
            counting = asyncio.create_task(probe.call(Probe.count))
            await until(lambda: gateway.health() is not None)
            await cluster.node(0).start()
            assert await counting == Counted(6, 6)
            assert gateway.health() is None

    with caplog.at_level(logging.WARNING):
        run(scenario())


def test_a_node_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable_objects.restate.batchers.ATTEMPT_SECONDS", 0.2)

    async def scenario() -> None:
        silent = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
        async with silent, fake_cluster() as cluster:
            port = silent.sockets[0].getsockname()[1]
            async with RestateRuntime([f"http://127.0.0.1:{port}", *cluster.urls]) as gateway:
                # Its namespace is known, so that the call itself meets the silent node.
                probe = probe_of(gateway)
                gateway._namespaces["Probe"].is_checked = True
                assert await probe.call(Probe.count) == Counted(1, 1)

    run(scenario())


def test_a_request_that_no_node_took_was_not_made_and_another_may_have_been() -> None:
    async def outcome(urls: list[str]) -> tuple[type[BaseException], str]:
        ingress = Ingress(urls, PREFIX)
        ingress.open()
        with pytest.raises(DurableObjectError) as failed:
            await ingress.send(ONE, "describe", b"", deadline=soon(), attempt_seconds=120)
        assert ingress.error is not None
        await ingress.close()
        return failed.type, str(failed.value)

    async def scenario() -> None:
        async with fake_cluster() as early, fake_cluster() as lossy:
            with nowhere() as gone:
                await outcomes_of(early, lossy, gone)

    async def outcomes_of(early: FakeCluster, lossy: FakeCluster, gone: str) -> None:
        early.is_deployed = False
        lossy.lost_answers = 1.0
        urls = [[gone], early.urls, lossy.urls, [*early.urls, *lossy.urls]]
        outcomes = await asyncio.gather(*(outcome(each) for each in urls))
        assert [kind for kind, _ in outcomes] == [Overloaded, Overloaded, OutcomeUnknown, OutcomeUnknown]
        assert "service 'Probe' not found" in outcomes[1][1]

    run(scenario())


def test_what_no_node_would_take_is_not_tried_again() -> None:
    async def scenario() -> None:
        async with fake_cluster() as cluster:
            ingress = Ingress(cluster.urls, PREFIX)
            with pytest.raises(RuntimeClosed):
                await ingress.send(ONE, "describe", b"", deadline=soon(), attempt_seconds=1)
            ingress.open()
            cluster.fault = (413, "too large")
            with pytest.raises(ObjectFailed, match="too large"):
                await ingress.send(ONE, "describe", b"", deadline=soon(100), attempt_seconds=100)
            assert len(cluster.requests) == 1
            await ingress.close()

    run(scenario())


@pytest.mark.parametrize("name", [".", "..", "a/b", "a%2Fb", "%", "ä ?#&+", "\x00", "\U0001f600", "n" * MAX_NAME_CHARS])
def test_every_name_reaches_its_own_object(name: str) -> None:
    async def scenario() -> None:
        async with probes() as (cluster, gateway, probe):
            assert await probe_of(gateway, name).call(Probe.count) == Counted(1, 1)
            assert cluster._seq(ObjectId("Probe", name)) == 1
            assert await probe.call(Probe.look) == Counted(0, 0)

    run(scenario())


def test_what_was_sent_is_not_known_to_be_taken_when_nobody_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with probes() as (cluster, gateway, probe):
            for is_checked in (False, True):
                gateway._namespaces["Probe"].is_checked = is_checked
                cluster.is_deployed = False
                with monkeypatch.context() as patch:
                    patch.setattr(runtime, "MAX_COMMIT_WAIT_SECONDS", 0.2)
                    patch.setattr(settling, "MAX_COMMIT_WAIT_SECONDS", 0.2)
                    with pytest.raises(OutcomeUnknown):
                        await probe.settle()
                cluster.is_deployed = True
                await probe.settle()

    run(scenario())


# -- Which objects are there


def test_a_gateway_does_not_start_with_another_configuration_or_class_than_the_objects() -> None:
    class Other(Probe):
        pass

    async def scenario() -> None:
        async with fake_cluster() as cluster:
            for cls, rules in ((Probe, Rules(step=2)), (Other, Rules())):
                gateway = RestateRuntime(cluster.urls)
                gateway.namespace("Probe", cls, rules)
                with pytest.raises(ConfigMismatch):
                    await gateway.__aenter__()
                assert gateway.health() == "the runtime is not running"
                async with RestateRuntime(cluster.urls) as later:
                    stub = later.namespace("Probe", cls, rules).get("one")
                    with pytest.raises(ConfigMismatch):
                        await stub.call(Probe.count)
                    assert "another configuration" in str(later.health()) or "this program means" in str(later.health())
            assert cluster.batches == []

    run(scenario())


def test_a_gateway_starts_before_its_cluster_and_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "START_SECONDS", 0.01)

    async def scenario() -> None:
        async with fake_cluster() as cluster:
            cluster.is_deployed = False
            gateway = RestateRuntime(cluster.urls)
            probe = probe_of(gateway)
            async with gateway:
                calling = asyncio.create_task(probe.call(Probe.count))
                await until(lambda: "not found" in str(gateway.health()))
                cluster.is_deployed = True
                assert await calling == Counted(1, 1)
                assert gateway.health() is None

    run(scenario())


def test_a_gateway_that_nobody_calls_sees_that_its_cluster_answers_again() -> None:
    async def scenario() -> None:
        async with probes() as (cluster, gateway, probe):
            await probe.call(Probe.count)
            await cluster.node(0).kill()
            calling = asyncio.create_task(probe.call(Probe.count))
            await until(lambda: gateway.health() is not None)
            calling.cancel()
            await cluster.node(0).start()
            await until(lambda: gateway.health() is None)

    run(scenario())


def test_gateways_of_different_prefixes_have_different_objects() -> None:
    async def scenario() -> None:
        async with fake_cluster(prefix="mine") as cluster, RestateRuntime(cluster.urls, prefix="mine") as gateway:
            assert await probe_of(gateway).call(Probe.count) == Counted(1, 1)

    run(scenario())


def test_a_namespace_has_one_class_and_one_configuration() -> None:
    async def scenario() -> None:
        async with fake_cluster() as cluster, RestateRuntime(cluster.urls) as gateway:
            gateway.namespace("Probe", Probe, Rules())
            with pytest.raises(ValueError, match="already declared"):
                gateway.namespace("Probe", type("Other", (Probe,), {}), Rules())
            with pytest.raises(ConfigMismatch):
                gateway.namespace("Probe", Probe, Rules(step=2))

    run(scenario())
