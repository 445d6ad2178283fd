"""An event loop whose time passes at once when it has nothing to do, and that shows what it waits for."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")


class _Selector(selectors.SelectSelector):
    """Never waits: it moves the clock instead."""

    def __init__(self, loop: "VirtualLoop") -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("everything waits, and nothing is due")
        self._loop.now += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """``now`` is in seconds."""

    def __init__(self) -> None:
        self.now = 1_000.0
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.now

    def now_ms(self) -> int:
        """Milliseconds since 1970, as it were."""
        return 1_700_000_000_000 + round(self.now * 1_000)


def run_virtually(scenario: Coroutine[Any, Any, ResultT], loop: VirtualLoop) -> ResultT:
    """Run ``scenario`` to its end."""
    try:
        return loop.run_until_complete(scenario)
    finally:
        loop.close()
