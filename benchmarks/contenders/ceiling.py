"""The ceiling: this product's HTTP server without objects or storage. Run as a program, it is that server.

It reads, decodes and checks a post, and answers with the same bytes each time. It stores nothing.
"""

import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import uvloop

from benchmarks.contenders.product import SETTINGS
from benchmarks.running import Running, running
from durable_objects import Meter, Runtime
from saywhatwant.commands.serve import print_ready
from saywhatwant.history import History
from saywhatwant.message import Posted
from saywhatwant.moderation.object import Moderation
from saywhatwant.moderation.rules import Rules
from saywhatwant.queue import MessageQueue
from saywhatwant.settings import load
from saywhatwant.tally import Tally
from saywhatwant.worker import create_worker
from saywhatwant.worker.server import Server, listen


class Ceiling:
    """The most posts that this product's HTTP server can take."""

    name = "our HTTP server, no storage"
    loads: Collection[str] = ("post-32",)
    stores = False

    @contextmanager
    def start(self, _: Path) -> Iterator[Running]:
        """See ``contract.Contender``."""
        with running(sys.executable, "-m", __name__, variables=SETTINGS | {"SWW_BIND": "127.0.0.1:0"}) as server:
            yield server


_ANSWERS: dict[object, object] = {Moderation.rules: Rules(), MessageQueue.tally: Tally(), History.add: None}


class _Nothing:
    """Runtime, namespace and stub in one: it has no rules, and each post gets the same answer."""

    def __init__(self) -> None:
        self.meter = Meter()

    def namespace(self, _name: str, _cls: object, _config: object = None) -> "_Nothing":
        return self

    def get(self, _name: str) -> "_Nothing":
        return self

    async def call(self, method: object, *_args: Any, **_kwargs: Any) -> object:  # noqa: ANN401 - any call
        return _ANSWERS.get(method, Posted("0000000000", 0))


async def _serve() -> None:
    settings = load()
    with listen(settings) as sock:
        await Server(create_worker(cast("Runtime", _Nothing()), settings), settings, on_ready=print_ready).serve([sock])


if __name__ == "__main__":
    uvloop.run(_serve())
