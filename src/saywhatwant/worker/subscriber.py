"""The frames that wait to be sent to one WebSocket."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec

from saywhatwant.topology import Position
from saywhatwant.worker.limits import CLOSE_SECONDS, MAX_BEHIND_CHARS

POLICY_VIOLATION = 1_008
SERVICE_RESTART = 1_012
TRY_AGAIN_LATER = 1_013
TOO_SLOW = 4_008
"""From the range for private use, modelled on HTTP's 408."""

PING, PONG = "ping", "pong"
"""All that a reader may send, and the answer: scripts of a page see no other sign that their socket is alive."""

Change = tuple[int, int | None, bytes]
"""An event, with the object and the number of its commit; None for one that no commit made."""


class Frame:
    """Events, encoded once for all subscribers. ``position`` is the token of a socket that has got them and all ``before``."""

    __slots__ = ("_changes", "before", "more", "position", "text")

    def __init__(
        self, before: Position, position: Position, changes: Sequence[Change], *, more: bool = False, reset: bool = False
    ) -> None:
        self._changes = changes
        self.before = before
        self.position = position
        self.more = more
        """Whether it is a page of missed changes and another one follows."""
        token = msgspec.json.encode(position.wire)
        events = b",".join([event for _, _, event in changes])
        marks = (b',"more":true' if more else b"") + (b',"reset":true' if reset else b"")
        self.text = (b'{"seq":%b,"events":[%b]%b}' % (token, events, marks)).decode()

    def after(self, position: Position) -> "Frame | None":
        """This frame for a socket that has got everything up to ``position``, which is at least ``before``.

        Without the events that it has got; None when that were all.
        """
        if position is self.before or position == self.before:
            return self
        newer = [change for change in self._changes if change[1] is None or not position.covers(change[0], change[1])]
        joined = position.joined(self.position)
        if joined is self.position and len(newer) == len(self._changes):
            return self
        return Frame(position, joined, newer) if newer or not self._changes else None


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
        self._behind = 0

    def pause(self) -> None:
        """Drop the kept frames, and keep no more until ``resume``."""
        self._live = False
        self._frames.clear()

    @property
    def has_ended(self) -> bool:
        """Whether nothing more may be sent."""
        return self._ended

    def interrupt(self) -> None:
        """End ``frames``, because some are missing: the socket must catch up again."""
        self.pause()
        self._changed.set()

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
        """The frames as they come, until the end or a pause. A frame counts as waiting until the next one is requested."""
        while self._live and not self._ended:
            await self._changed.wait()
            self._changed.clear()
            while self._frames:
                frame = self._frames.popleft()
                yield frame
                self._behind -= len(frame.text)
