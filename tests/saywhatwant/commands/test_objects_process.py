"""The objects' process as a child: what it writes is passed on."""

import asyncio
import errno
import sys
from asyncio.subprocess import Process
from typing import Any

import pytest

from saywhatwant.commands.objects_process import ObjectsProcess, lines_of
from saywhatwant.settings import Settings
from scenario import run


def test_a_line_that_is_too_long_ends_nothing() -> None:
    async def scenario() -> None:
        reader = asyncio.StreamReader(limit=16)
        reader.feed_data(b"first\n" + b"x" * 100 + b"\nlast\n")
        reader.feed_eof()
        assert [line async for line in lines_of(reader)] == ["first", "(a line that is too long to be shown)", "last"]

    run(scenario())


def test_p9_it_is_started_again_also_after_the_machine_had_no_room_for_a_process(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ends = "import sys; print('ready on http://127.0.0.1:1', file=sys.stderr)"
    lives = "import sys; sys.stdin.read()"
    start = asyncio.create_subprocess_exec
    programs: list[str | OSError] = [ends, OSError(errno.EAGAIN, "no more processes"), lives]

    async def scenario() -> None:
        is_back = asyncio.Event()

        async def next_one(*_: str, **options: Any) -> Process:
            program = programs.pop(0)
            if isinstance(program, OSError):
                raise program
            process = await start(sys.executable, "-c", program, **options)
            if not programs:
                is_back.set()
            return process

        monkeypatch.setattr(asyncio, "create_subprocess_exec", next_one)
        async with ObjectsProcess(Settings(objects_bind="127.0.0.1:0")):
            await is_back.wait()

    run(scenario())
    assert "cannot be started: [Errno 11] no more processes; trying again" in capfd.readouterr().err
