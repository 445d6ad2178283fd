"""``sww`` as a person at a terminal runs it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from servers import SWW, environment

WIDE = "400"


def sww(directory: Path, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself, and what it said."""
    return subprocess.run(
        [SWW, *arguments],
        cwd=directory,
        env=environment(**settings) | {"COLUMNS": WIDE},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


class Running:
    """A command that goes on, and what it has said so far."""

    def __init__(self, process: subprocess.Popen[bytes], said: Path) -> None:
        self.process = process
        self._said = said

    @property
    def lines(self) -> list[str]:
        return self._said.read_text().splitlines()


@contextmanager
def running(
    directory: Path, *arguments: str, stream: Literal["stdout", "stderr"] = "stdout", **settings: object
) -> Iterator[Running]:
    """A command that goes on until the end of the block; of its two streams one is listened to."""
    said = directory / f"{arguments[0]}.{stream}"
    with said.open("wb") as file:
        process = subprocess.Popen(
            [SWW, *arguments],
            cwd=directory,
            env=environment(**settings) | {"COLUMNS": WIDE, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=file if stream == "stdout" else subprocess.DEVNULL,
            stderr=file if stream == "stderr" else subprocess.DEVNULL,
        )
    try:
        yield Running(process, said)
    finally:
        process.kill()
        process.wait()
