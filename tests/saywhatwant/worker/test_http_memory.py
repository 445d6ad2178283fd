"""A connection that has ended is freed at once, without the garbage collector, which the server runs rarely."""

import asyncio
import gc
import weakref

import pytest
from fake_transport import FakeTransport
from harness import ALIVE, CHUNKED, request

from durable_objects.simulated import SimulatedRuntime
from saywhatwant.settings import load
from saywhatwant.worker import create_worker
from saywhatwant.worker.connections import Connections
from saywhatwant.worker.http_protocol import LimitedProtocol
from saywhatwant.worker.server import Server
from scenario import run, turns

pytestmark = pytest.mark.usefixtures("no_settings")


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        pytest.param(request("/healthz"), ALIVE, id="answered"),
        pytest.param(CHUNKED + b"no chunk\r\n", b"malformed-request", id="refused"),
        pytest.param(CHUNKED[:20], b"", id="incomplete"),
        pytest.param(b"", b"", id="never used"),
    ],
)
def test_p6_a_connection_that_has_ended_is_freed_at_once(sent: bytes, expected: bytes) -> None:
    async def scenario() -> None:
        settings = load()
        server = Server(create_worker(SimulatedRuntime(), settings), settings, on_ready=print)
        server.config.load()
        connections = Connections(in_total=1)
        loop = asyncio.get_running_loop()
        protocol = LimitedProtocol(server.config, server.server_state, {}, loop, open_connections=connections)
        transport = FakeTransport()
        transport.connect(protocol)
        protocol.data_received(sent)
        await turns()
        assert expected in transport.drain()
        protocol.connection_lost(None)
        transport.release()
        await turns()
        freed = weakref.ref(protocol)
        del protocol
        assert freed() is None

    gc.collect()
    gc.disable()
    try:
        run(scenario())
    finally:
        gc.enable()
