"""``sww`` as a person at a terminal runs it: in the process of the test, or as a process of its own."""

import io
import logging
import os
import subprocess
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Literal, NamedTuple
from unittest.mock import patch

from stamina import instrumentation

from saywhatwant.commands.app import run
from servers import SWW, environment

WIDE = "400"


class Done(NamedTuple):
    """A command that has ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def error(self) -> str:
        """The one line with which it failed."""
        assert self.status == 1, self.stderr
        (line,) = self.stderr.splitlines()
        return line


def sww(directory: Path, *arguments: str, **settings: object) -> Done:
    """Run a command that ends by itself, without the half second that a process takes to start."""
    stdout, stderr = io.StringIO(), io.StringIO()
    hooks, raises = instrumentation.get_on_retry_hooks(), logging.raiseExceptions
    status: object = 0
    with (
        patch.dict(os.environ, environment(**settings) | {"COLUMNS": WIDE}, clear=True),
        chdir(directory),
        redirect_stdout(stdout),
        redirect_stderr(stderr),
    ):
        try:
            run(arguments)
        except SystemExit as end:
            status = end.code
        finally:
            instrumentation.set_on_retry_hooks(hooks)
            logging.raiseExceptions = raises
    return Done(status if isinstance(status, int) else 0, stdout.getvalue(), stderr.getvalue())


class Running:
    """A command that goes on, and what it has written so far."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self._output = output

    @property
    def lines(self) -> list[str]:
        return self._output.read_text().splitlines()


@contextmanager
def running(
    directory: Path, *arguments: str, stream: Literal["stdout", "stderr"] = "stdout", **settings: object
) -> Iterator[Running]:
    """A process that goes on until the end of the block; one of its two streams is kept."""
    output = directory / f"{arguments[0]}.{stream}"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [SWW, *arguments],
            cwd=directory,
            env=environment(**settings) | {"COLUMNS": WIDE, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=file if stream == "stdout" else subprocess.DEVNULL,
            stderr=file if stream == "stderr" else subprocess.DEVNULL,
        )
    try:
        yield Running(process, output)
    finally:
        process.kill()
        process.wait()
