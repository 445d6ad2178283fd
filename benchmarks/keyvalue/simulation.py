"""A virtual clock, and generators that run on it."""

from collections.abc import Generator
from heapq import heappop, heappush
from itertools import count
from typing import TypeVar

ResultT = TypeVar("ResultT")
Process = Generator[float, None, None]
"""What a participant does; yields the seconds until its next step."""
Step = Generator[float, None, ResultT]
"""A part of a process that returns something."""


class Simulation:
    """A virtual clock and the processes that run on it."""

    def __init__(self) -> None:
        self.now = 0.0
        self._order = count()
        self._steps: list[tuple[float, int, Process]] = []

    def start(self, process: Process) -> None:
        """Add a process; its first step is now."""
        heappush(self._steps, (self.now, next(self._order), process))

    def run(self, until: float) -> None:
        """Advance the clock to ``until``, in seconds."""
        while self._steps and self._steps[0][0] <= until:
            self.now, _, process = heappop(self._steps)
            if (pause := next(process, None)) is not None:
                heappush(self._steps, (self.now + pause, next(self._order), process))
