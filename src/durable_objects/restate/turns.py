"""Who may send: so many batches of a gateway are under way at a time, of all its objects together.

A cluster that is busy gets no more done when more batches are under way; each takes longer. While an object waits for its turn,
calls gather: its next batch has more of them, and each costs less. With 64 objects and 512 callers a batch had 7 calls in place
of 4, and a call took a quarter less of the processors; with 128 callers there were twice as many calls a second.
"""

import asyncio
from collections import deque
from types import TracebackType
from typing import Final, Self

MAX_TURNS: Final = 16
"""Batches under way at a time. At 10 ms each these are 1,600 a second, which is more than a gateway can send."""
SLOW_SECONDS: Final = 0.1
"""A batch that takes longer counts no more, so that objects that do not answer hold up no others."""


class Turns:
    """Turns, in the order in which they are asked for."""

    def __init__(self) -> None:
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self) -> "Turn":
        """Wait for a turn; it ends with the block of the returned context manager."""
        if self._taken < MAX_TURNS:
            self._taken += 1
        else:
            mine = asyncio.get_running_loop().create_future()
            self._waiting.append(mine)
            try:
                await mine
            except asyncio.CancelledError:
                if not mine.cancelled():
                    self.end()  # it was given, and will not be used
                raise
        return Turn(self)

    def end(self) -> None:
        """One is over: it goes to who has waited longest."""
        self._taken -= 1
        while self._waiting and self._taken < MAX_TURNS:
            first = self._waiting.popleft()
            if not first.done():
                self._taken += 1
                first.set_result(None)


class Turn:
    """A turn that was taken."""

    def __init__(self, turns: Turns) -> None:
        self._turns: Turns | None = turns
        self._slow = asyncio.get_running_loop().call_later(SLOW_SECONDS, self._end)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._slow.cancel()
        self._end()

    def _end(self) -> None:
        turns, self._turns = self._turns, None
        if turns is not None:
            turns.end()
