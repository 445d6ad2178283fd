"""This product with everything on; from this checkout or another one."""

import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.loads import LOADS
from benchmarks.running import Running, running

SETTINGS = {"SWW_RATE_LIMIT": "0", "SWW_BACKLOG_LIMIT": "1000000"}
NAME = "Say What Want"


class Product:
    """``sww serve``."""

    loads: Collection[str] = frozenset(LOADS)
    stores = True

    def __init__(self, name: str = NAME, sww: Path | None = None, **settings: str) -> None:
        self.name = name
        self.sww = sww or Path(sys.executable).with_name("sww")
        self._settings = SETTINGS | settings

    @contextmanager
    def start(self, directory: Path) -> Iterator[Running]:
        """See ``contract.Contender``."""
        data = directory.resolve()
        # Not in the caller's directory, which may have a sww.toml.
        serve = (str(self.sww), "serve", "--bind", "127.0.0.1:0", "--data", str(data / "data"))
        with running(*serve, directory=data, variables=self._settings) as server:
            yield server
