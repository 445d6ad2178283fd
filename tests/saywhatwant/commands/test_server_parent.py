"""The parent of ``sww serve --restart-on``, when there can be no next server."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from children import alive, descendants
from saywhatwant.commands.server_parent import ServerParent
from saywhatwant.commands.service_manager import ServiceManager
from saywhatwant.worker.handover import Handover
from servers import DEADLINE_SECONDS

LASTS = (sys.executable, "-c", "import time; time.sleep(3_600)")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not condition():  # noqa: ASYNC110 - it is about other processes
            await asyncio.sleep(0.01)


def test_a_next_server_that_cannot_be_started_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """As while the environment of the program is made again, or when no process may be added."""
    said: list[str] = []

    def printed() -> str:
        said.append(capsys.readouterr().err)
        return "".join(said)

    async def scenario() -> int:
        parent = ServerParent(LASTS, Handover(), ServiceManager({}), signal.SIGHUP)
        before = descendants(os.getpid())
        running = asyncio.create_task(parent.run())
        try:
            await until(lambda: bool(descendants(os.getpid()) - before))
            server = descendants(os.getpid()) - before
            monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
            for number in (1, 2):
                os.kill(os.getpid(), signal.SIGHUP)
                await until(lambda number=number: printed().count("the one that runs goes on") == number or running.done())  # type: ignore[misc]
                assert alive(server) == server
            os.kill(os.getpid(), signal.SIGTERM)
            return await running
        finally:
            for left in descendants(os.getpid()) - before:
                os.kill(left, signal.SIGKILL)

    assert asyncio.run(scenario()) == -signal.SIGTERM
