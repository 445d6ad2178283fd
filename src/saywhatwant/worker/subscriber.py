"""The frames that wait to be sent to one WebSocket."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Self

from saywhatwant.worker.limits import CLOSE_SECONDS, MAX_BEHIND_CHARS

POLICY_VIOLATION = 1_008
TRY_AGAIN_LATER = 1_013
TOO_SLOW = 4_008
"""From the range for private use, modelled on HTTP's 408."""


class Frame:
    """Some events, each with the number of its commit (None if it is not stored)."""

    __slots__ = ("_changes", "seq", "text")

    def __init__(self, seq: int, changes: Sequence[tuple[int | None, bytes]], *, more: bool = False) -> None:
        self._changes = changes
        self.seq = seq
        events = b",".join([event for _, event in changes])
        self.text = (b'{"seq":%d,"events":[%b]%b}' % (seq, events, b',"more":true' if more else b"")).decode()

    def after(self, seq: int) -> Self | None:
        """The part of this frame that is newer than commit ``seq``; None when nothing is."""
        first = next((of for of, _ in self._changes if of is not None), None)
        if first is None or first > seq:
            return self
        newer = [change for change in self._changes if change[0] is None or change[0] > seq]
        return type(self)(self.seq, newer) if newer else None


class Subscriber:
    """The frames that wait for one socket, in order. It starts paused: frames are not kept until ``resume``."""

    def __init__(self, abort: Callable[[], None] = lambda: None) -> None:
        self._abort = abort
        self._frames: deque[Frame] = deque()
        self._behind = 0
        self._changed = asyncio.Event()
        self._live = False
        self._ended = False
        self.close_code: int | None = None
        """The code to close the socket with; None when the client left."""

    def resume(self) -> None:
        """Keep every frame from now on."""
        self._live = True

    def pause(self) -> None:
        """Drop the kept frames, and keep no more until ``resume``."""
        self._live = False
        self._frames.clear()
        self._behind = 0

    def offer(self, frame: Frame) -> None:
        """Add a frame; beyond ``MAX_BEHIND_CHARS`` the socket is closed."""
        if not self._live or self._ended:
            return
        self._behind += len(frame.text)
        if self._behind > MAX_BEHIND_CHARS and self._behind > len(frame.text):
            self.end(TOO_SLOW)
        else:
            self._frames.append(frame)
            self._changed.set()

    def end(self, close_code: int | None = None) -> None:
        """Stop; only the first call counts."""
        if not self._ended:
            self._ended = True
            self.close_code = close_code
            self._frames.clear()
            self._changed.set()
            if close_code is not None:
                asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._abort)

    async def frames(self) -> AsyncIterator[Frame]:
        """The frames as they come, until the end. A frame counts as waiting until the next one is requested."""
        while not self._ended:
            await self._changed.wait()
            self._changed.clear()
            while self._frames:
                frame = self._frames.popleft()
                yield frame
                self._behind -= len(frame.text)
