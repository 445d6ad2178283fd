"""``sww`` with the simulated runtime, which is driven by the real clock here. Its data ends with its process."""

import asyncio
import sys
import time
from types import TracebackType
from typing import Self

from durable_objects.simulated import SimulatedRuntime
from saywhatwant.commands import main
from saywhatwant.commands.runtimes import RUNTIMES

TICK_SECONDS = 0.002


class ServedRuntime(SimulatedRuntime):
    """A simulated runtime whose virtual clock follows the real one while its context is entered."""

    def __init__(self) -> None:
        super().__init__(seed=time.time_ns(), now_ms=time.time_ns() // 1_000_000)

    async def __aenter__(self) -> Self:
        self._clockwork = asyncio.create_task(self._follow_the_clock())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clockwork.cancel()

    async def _follow_the_clock(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.advance(max(0, time.time_ns() // 1_000_000 - self.now_ms) / 1_000)


if __name__ == "__main__":
    RUNTIMES["embedded"] = lambda *_, **__: ServedRuntime()
    sys.argv = [argument for argument in sys.argv if argument not in {"--runtime", "simulated"}]
    main()
