"""This product, with everything on."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.running import Running, running

SETTINGS = {"SWW_RATE_LIMIT": "0", "SWW_BACKLOG_LIMIT": "1000000"}


class Product:
    """``sww serve``."""

    def __init__(self, name: str = "Say What Want", **settings: str) -> None:
        self.name = name
        self._settings = SETTINGS | settings

    @contextmanager
    def start(self, directory: Path) -> Iterator[Running]:
        """See ``contract.Contender``."""
        sww = str(Path(sys.executable).with_name("sww"))
        with running(sww, "serve", "--bind", "127.0.0.1:0", "--data", str(directory), **self._settings) as server:
            yield server
