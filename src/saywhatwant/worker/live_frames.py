"""What readers on WebSockets get: the wall's events as frames, and the frames with what one of them has missed.

A frame is ``{"seq": 7, "events": [...]}``: the events of one or more commits, encoded once for all readers. Its ``seq`` is the
token to reconnect with: a position in the wall's events, never ahead of what the reader has got. The first frames are the pages
of missed changes, all but the last of them with ``"more": true``. If the reader's token was of another time, as that of a wall
that was restored from a backup, the first page has ``"reset": true``: the reader forgets what it has, and gets all. Events may
come before or after the page that has them, so each reader cuts a frame to what is newer than its position (``Frame.after``).
"""

from collections.abc import Callable

from saywhatwant.queue import events
from saywhatwant.topology import START, Position, Wall
from saywhatwant.topology.position import ONLY
from saywhatwant.worker.limits import MAX_MISSED
from saywhatwant.worker.progress import ProgressTexts
from saywhatwant.worker.queue_events import QueueEvent, QueueEvents
from saywhatwant.worker.subscriber import Change, Frame


class LiveFrames:
    """Makes the frames. While there are no readers, it only follows the replies on their way.

    Args:
        wall: whose changes they are.
        queue_events: its events.
        has_readers: whether anybody wants frames.
        on_frame: called with each new frame.
        on_lost: called when events were lost, so that frames are missing: every reader must catch up again.
    """

    def __init__(
        self,
        wall: Wall,
        queue_events: QueueEvents,
        *,
        has_readers: Callable[[], bool],
        on_frame: Callable[[Frame], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._wall = wall
        self._queue_events = queue_events
        self._has_readers = has_readers
        self._on_frame = on_frame
        self._tell_lost = on_lost
        self._changes: list[Change] = []
        self._progress = ProgressTexts()
        self._up_to = START
        """The position of the last frame."""
        self.start = queue_events.start
        """Begin, unless it has begun; frames have everything that commits after this returns. Raises as a call of the wall."""
        queue_events.subscribe(self._on_event)
        queue_events.on_batch(self._end_frame)
        queue_events.on_lost(self._on_lost)

    @property
    def position(self) -> Position:
        """Every event up to here has reached this; nothing of it before ``start``."""
        return self._queue_events.position

    async def missed(self, since: Position) -> Frame:
        """A page of the changes after ``since``; the last one, which has not ``more``, has the replies on their way too.

        A reader must keep the frames from before the read of its last page on. Raises as a call of the wall.
        """
        page = await self._wall.changes(since, MAX_MISSED)
        missed: list[Change] = [(ONLY, None, events.changed(bytes(encoded))) for encoded in page.messages]
        if self._progress.chars:  # the page may show an end that this gateway has no event of yet
            for _, _, event in missed:
                if (message := events.parse(event).message) is not None:
                    self._progress.on_change(message)
        if not page.more:
            missed += [(ONLY, None, event) for event in self._progress.snapshot()]
        return Frame(since, page.position, missed, more=page.more, reset=page.reset)

    def beat(self) -> None:
        """Make a frame without events, unless there is one to come."""
        if not self._changes:
            self._frame([])

    def _on_event(self, event: QueueEvent) -> None:
        has_readers = self._has_readers()
        if not (has_readers or self._progress.chars or events.is_progress(event.raw)):
            return
        decoded = event.decoded
        if decoded.type == "progress":
            raw = self._progress.delta(decoded)
        elif decoded.message is not None:
            raw = event.raw
            self._progress.on_change(decoded.message)
        else:
            return
        if has_readers:
            self._changes.append((event.source, event.seq, raw))

    def _end_frame(self) -> None:
        if changes := self._changes:
            self._changes = []
            self._frame(changes)

    def _frame(self, changes: list[Change]) -> None:
        before, self._up_to = self._up_to, self._queue_events.position
        self._on_frame(Frame(before, self._up_to, changes))

    def _on_lost(self) -> None:
        self._changes.clear()
        self._up_to = self._queue_events.position
        self._tell_lost()
