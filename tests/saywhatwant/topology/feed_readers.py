"""Readers of a merged feed: each remembers what it has seen, and checks every page against it."""

from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Any

from saywhatwant.message import Message, decode, decode_list
from saywhatwant.topology import START, Position, Wall


class Reader(ABC):
    """One reader. ``next_page`` makes the next call, ``take`` gets its answer; after an error the same call is made again."""

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.seen: dict[str, int] = {}
        """The timestamps of the messages, by id."""
        self.is_done = False
        """Whether the last page was the last one for now."""

    @abstractmethod
    def next_page(self, wall: Wall) -> Coroutine[Any, Any, Any]: ...

    @abstractmethod
    def take(self, page: Any) -> None: ...

    def _see(self, messages: list[Message]) -> None:
        for message in messages:
            assert message.id not in self.seen, f"{message.text} came twice"
            self.seen[message.id] = message.timestamp

    def assert_seen(self, messages: dict[str, Message]) -> None:
        missed = [message.text for message in messages.values() if message.id not in self.seen]
        assert not missed, f"{type(self).__name__} has missed {missed}"
        assert self.seen.keys() == messages.keys()


class Forward(Reader):
    """Pages by ``since``, oldest first."""

    since = 0

    def next_page(self, wall: Wall) -> Coroutine[Any, Any, Any]:
        return wall.read(self.since, self.limit, newest_first=False)

    def take(self, page: Any) -> None:
        messages = decode_list(page.body)
        times = [message.timestamp for message in messages]
        assert times == sorted(times)
        assert all(timestamp > self.since for timestamp in times)
        self._see(messages)
        self.since = max(times, default=self.since)
        self.is_done = not messages


class Backward(Reader):
    """Gets the newest first, pages back by ``before`` to what it had, and begins again from the newest that it has seen."""

    since = 0
    newest = 0
    before: int | None = None

    def next_page(self, wall: Wall) -> Coroutine[Any, Any, Any]:
        return wall.read(self.since, self.limit, before=self.before)

    def take(self, page: Any) -> None:
        messages = decode_list(page.body)
        times = [message.timestamp for message in messages]
        assert times == sorted(times, reverse=True)
        assert all(self.since < timestamp < (self.before or timestamp + 1) for timestamp in times)
        self._see(messages)
        self.newest = max([self.newest, *times])
        self.is_done = not messages and self.before is None
        if messages:
            self.before = times[-1]
        else:
            self.since, self.before = self.newest, None


class ByChange(Reader):
    """Follows the changes from a position, and has each message in its last state."""

    position: Position = START

    def __init__(self, limit: int | None) -> None:
        super().__init__(limit)
        self.states: dict[str, Message] = {}

    def next_page(self, wall: Wall) -> Coroutine[Any, Any, Any]:
        return wall.changes(self.position, self.limit)

    def take(self, page: Any) -> None:
        for message in map(decode, page.messages):
            known = self.states.get(message.id)
            assert known is None or message.seq > known.seq, f"{message.text} came twice in one state"
            self.states[message.id] = message
            self.seen[message.id] = message.timestamp
        self.is_done = not page.more
        self.position = page.position

    def assert_seen(self, messages: dict[str, Message]) -> None:
        super().assert_seen(messages)
        assert self.states == messages
