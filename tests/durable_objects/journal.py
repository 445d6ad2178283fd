"""The object of the tests of events: what each of its commits published, for listeners that come later."""

import msgspec

from durable_objects import DurableObject, Replay, read

PAGE = 3
"""Commits in one page of a replay."""


class Journal(DurableObject):
    """Entry n is what commit n published: nothing, one event or several."""

    def write(self, *, count: int) -> int:
        """Publish ``count`` events; returns the number of their commit."""
        seq = self.ctx.seq + 1
        events = [f"{seq}.{number}".encode() for number in range(count)]
        for event in events:
            self.ctx.publish(event)
        self.ctx.storage.put(f"{seq:08}", msgspec.json.encode(events))
        return seq

    def announce(self, text: str) -> None:
        """A signal."""
        self.ctx.signal(text.encode())

    @read
    def replay(self, since: int) -> Replay:
        """One page of the commits after ``since``."""
        page = self.ctx.storage.list(after=f"{since:08}", limit=PAGE + 1)
        stored = [(int(key), msgspec.json.decode(value, type=tuple[bytes, ...])) for key, value in page[:PAGE]]
        return Replay(
            seq=stored[-1][0] if len(page) > PAGE else self.ctx.seq,
            events=[(seq, events) for seq, events in stored if events],
            more=len(page) > PAGE,
        )
