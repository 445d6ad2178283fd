"""The server's process-wide changes, and how it stops."""

import gc
import logging
import signal
import sys
from typing import Any

import pytest
from harness import ALIVE, Harness, Run, request

from saywhatwant.settings import load
from saywhatwant.worker import Worker
from saywhatwant.worker.claim_waiters import ClaimWaiters
from saywhatwant.worker.queue_events import QueueEvents
from saywhatwant.worker.server import Server

pytest_plugins = ["harness_fixture"]
pytestmark = pytest.mark.usefixtures("no_settings")


def process_settings() -> tuple[Any, ...]:
    logger = logging.getLogger("uvicorn.error")
    return sys.getswitchinterval(), gc.get_threshold(), gc.get_freeze_count(), logger.level, list(logger.filters)


def test_what_a_server_changes_in_its_process_is_restored_when_it_stops(run: Run) -> None:
    before = process_settings()

    async def scenario(harness: Harness) -> None:
        assert (await (await harness.client()).fetch(request("/healthz"))).body == ALIVE
        while_serving = process_settings()
        assert all(now != then for now, then in zip(while_serving, before, strict=True))
        harness.server.should_exit = True

    run(scenario)
    assert process_settings() == before


def test_a_server_that_never_serves_changes_nothing() -> None:
    before = process_settings()
    waiters: Any = ClaimWaiters
    events: Any = QueueEvents
    Server(Worker(lambda *_: None, waiters, events, print, None, None, None), load(), on_ready=print)  # type: ignore[arg-type]
    assert process_settings() == before


def test_a_signal_stops_the_server_and_what_comes_after_it_still_runs(run: Run) -> None:
    """uvicorn's own server raises it again, which would leave no time to close the data."""
    closed: list[bool] = []

    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        assert (await client.fetch(request("/healthz"))).body == ALIVE
        signal.raise_signal(signal.SIGINT)
        await client.assert_closed()
        await harness.stopped()
        closed.append(True)

    try:
        run(scenario)
    except KeyboardInterrupt:
        pytest.fail("the signal was raised again")
    assert closed
