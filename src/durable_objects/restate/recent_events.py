"""The latest events of an object in memory, for gateways that follow it."""

import secrets
from collections import OrderedDict, deque
from collections.abc import Sequence

from durable_objects.contract import Events
from durable_objects.restate.encoding import Follow, Followed

MAX_RECENT_EVENTS = 1_000
"""Calls of an object whose events are kept in memory."""
MAX_RECENT_BYTES = 1024 * 1024
"""Bytes of such events of one object."""


class RecentEvents:
    """Events of the commits that this process has made since one commit, each with the head that Restate stores of it.

    Whether a commit is durable only Restate knows, so what is answered depends on the head that it has.
    """

    def __init__(self, head: bytes | None, seq: int) -> None:
        self.epoch = secrets.token_hex(8)
        """Names this chain of commits."""
        self._kept: deque[tuple[Events, int]] = deque()
        """Events with the number of signals up to them."""
        self._bytes = 0
        self._dropped = 0
        """How many are not kept any more."""
        self._since = seq
        """The commit after which all events are kept."""
        self._signals = 0
        self._commits: OrderedDict[bytes | None, tuple[int, int, int]] = OrderedDict()
        """By its head: a commit's number, how many events there were, and how many of them signals."""
        self._commits[head] = (seq, 0, 0)

    def add(self, head: bytes | None, seq: int, events: Sequence[Events]) -> None:
        """The object has come to ``head`` with these events; to the head that it had when they are signals only."""
        for one in events:
            self._signals += one.seq is None
            self._kept.append((one, self._signals))
            self._bytes += sum(map(len, one.data))
        self._commits[head] = (seq, self._dropped + len(self._kept), self._signals)
        while self._kept and (len(self._kept) > MAX_RECENT_EVENTS or self._bytes > MAX_RECENT_BYTES):
            dropped, _ = self._kept.popleft()
            self._bytes -= sum(map(len, dropped.data))
            self._dropped += 1
            self._since = dropped.seq or self._since
        while len(self._commits) > MAX_RECENT_EVENTS:
            self._commits.popitem(last=False)

    def since(self, follow: Follow, head: bytes | None) -> Followed | None:
        """What is new to a gateway, up to the commit with this head; None when that is no commit of this chain."""
        commit = self._commits.get(head)
        if commit is None:
            return None
        seq, end, signals = commit
        if follow.since is None:
            return Followed(seq, self.epoch, signals)
        if follow.since < self._since:
            return Followed(seq, self.epoch, signals, lost=True)
        heard = follow.signals if follow.epoch == self.epoch else 0 if follow.epoch else signals
        events = [
            one
            for index, (one, number) in enumerate(self._kept, self._dropped)
            if index < end and (number > heard if one.seq is None else one.seq > follow.since)
        ]
        return Followed(seq, self.epoch, signals, events)
