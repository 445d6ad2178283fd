"""The ceiling: this product's HTTP server with nothing behind it; run as a program, it is that server.

A post is read, decoded and checked as ever, and answered with the same few bytes. No object, no storage: it is not for use, and
nothing that it acknowledges exists.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import uvloop

from benchmarks.contenders.product import SETTINGS
from benchmarks.running import Running, running
from durable_objects import Runtime
from saywhatwant.commands.serve import print_ready
from saywhatwant.schemas import PostResponse
from saywhatwant.settings import load
from saywhatwant.worker import create_worker
from saywhatwant.worker.server import Server, listen


class Ceiling:
    """How fast this product's HTTP server takes posts at all."""

    name = "our HTTP server, no storage"

    @contextmanager
    def start(self, _: Path) -> Iterator[Running]:
        """See ``contract.Contender``."""
        with running(sys.executable, "-m", __name__, SWW_BIND="127.0.0.1:0", **SETTINGS) as server:
            yield server


class _Nothing:
    """Runtime, namespace and stub in one: every call has the same answer."""

    def namespace(self, _name: str, _create: object) -> "_Nothing":
        return self

    def get(self, _name: str) -> "_Nothing":
        return self

    async def call(self, _method: object, *_args: Any, **_kwargs: Any) -> PostResponse:  # noqa: ANN401 - whatever the call takes
        return PostResponse("0000000000", 0)

    def subscribe(self, _listener: object) -> Callable[[], None]:
        return lambda: None


async def _serve() -> None:
    settings = load()
    with listen(settings) as sock:
        await Server(create_worker(cast("Runtime", _Nothing()), settings), settings, on_ready=print_ready).serve([sock])


if __name__ == "__main__":
    uvloop.run(_serve())
