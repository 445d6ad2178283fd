"""All messages of a queue: those in memory, and those in the archive.

In memory are the newest messages, all unfinished ones, and those that have finished since the archive had its last row. What
they can answer is answered without the archive; the first question that they cannot answer loads it.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import NamedTuple

from msgspec import UNSET
from sortedcontainers import SortedList

from durable_objects import Storage
from saywhatwant.limits import KEPT_BYTES
from saywhatwant.message import Message
from saywhatwant.queue.archive import MAX_NOTES, Archive
from saywhatwant.queue.archive_rows import Archived
from saywhatwant.queue.assignments import Assignments
from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.counts import Counts
from saywhatwant.queue.entries import Entry
from saywhatwant.queue.retention import Kept
from saywhatwant.queue.talks import Talks
from saywhatwant.queue.unfinished import Unfinished

MIN_COMPACTED = 1_000

FINISHED = ("complete", "failed")

RECENT = 256
"""The newest messages, which are never archived."""
ARCHIVED_TOGETHER = 256
"""When this many more have finished, they are archived; a larger backlog waits for more, because all of it is listed then."""
MAX_ARCHIVED = 8_192
"""Messages that one call archives. Data that was written before there was an archive has more; the next calls do the rest."""


class Beside(NamedTuple):
    """Which entries a message may have beside its own."""

    detail: bool
    hidden: bool


class Messages:
    """The messages, and what follows from them; a message's place depends on its state alone."""

    def __init__(self, config: QueueConfig, storage: Storage) -> None:
        self.archive = Archive(storage)
        """The messages that are not in memory."""
        self._entries: dict[str, Entry] = {}
        self._times: SortedList[int] = SortedList()
        self._ids: dict[int, str] = {}
        self._unfinished = Unfinished(config)
        self.deadlines = self._unfinished.deadlines
        """When the leases, backoffs and waits end."""
        self._failed: SortedList[int] = SortedList()
        self._talks = Talks()
        self.kept = Kept(config, self._talks)
        """The finished messages."""
        self._assignments = Assignments()
        self.counts = Counts()
        """How many messages there are of each kind."""
        self._changes: list[tuple[int, int]] = []
        """The seq and the timestamp of each change, in order; outdated ones are skipped, and removed when they are most."""
        self.last_timestamp = 0
        """The greatest timestamp that there has been; 0 when there was none."""
        self._floor = 0
        """What is newer is not archived; 0 until all that is not is here."""
        self._wake()

    def _wake(self) -> None:
        archive = self.archive
        self.kept.is_loaded = archive.is_loaded
        for entry in sorted(archive.not_archived(), key=lambda entry: (entry.message.seq, entry.message.timestamp)):
            self.put(entry.message, entry.encoded)
        self._floor = archive.floor
        self.last_timestamp = max(self.last_timestamp, archive.floor)
        self.kept.count += archive.count
        self.counts.total["complete"] += archive.complete
        self.counts.total["failed"] += archive.failed
        self._count_archived()

    def _count_archived(self) -> None:
        for entity, (complete, failed) in (self.archive.by_entity or {}).items():
            self.counts.add_to_entity(entity, "complete", complete)
            self.counts.add_to_entity(entity, "failed", failed)

    def _load(self) -> None:
        """Read the archive; from now on every structure here has all messages."""
        archive = self.archive
        was_counted = archive.by_entity is not None
        archive.load()
        finished = [*archive.messages.values(), *(_archived(e) for e in self._entries.values() if _is_finished(e.message))]
        order = sorted(message.finish for message in finished)
        self._talks.load(order)
        self.kept.load(order, sum(message.cost for message in finished))
        self._failed = SortedList(message.finish[1] for message in finished if message.failed)
        turns = [(message.assigned, message.finish[:2]) for message in finished if message.assigned is not None]
        for message in filter(is_unfinished, self):
            if message.conversation is not UNSET:
                self._talks.add(message.conversation, message.timestamp)
            if message.bot_params.assigned_entity is not UNSET:
                turns.append((message.bot_params.assigned_entity, (message.seq, message.timestamp)))
        self._assignments.load(turns)
        if not was_counted:
            self.counts.forget_entities()
            for message in self:
                self.counts.add_to_entity(message.bot_params.entity, message.bot_params.status, 1)
            self._count_archived()

    def _loaded(self) -> Archive:
        if not self.archive.is_loaded:
            self._load()
        return self.archive

    # -- Messages

    def __len__(self) -> int:
        return self.counts.total.total()

    @property
    def backlog(self) -> int:
        """Messages whose work is not finished."""
        total = self.counts.total
        return total["pending"] + total["processing"]

    def __contains__(self, message_id: str) -> bool:
        if message_id in self._entries:
            return True
        archive = self.archive if self.archive.is_loaded else self._loaded()
        return message_id in archive.ids

    def __iter__(self) -> Iterator[Message]:
        """The messages in memory; all unfinished ones are among them."""
        return (entry.message for entry in self._entries.values())

    def get(self, message_id: str) -> Message | None:
        """The message, or None."""
        entry = self._entries.get(message_id) or self._load_entry(message_id)
        return entry.message if entry else None

    def get_unfinished(self, message_id: str) -> Message | None:
        """The message, or None if it is finished or unknown; without the archive."""
        entry = self._entries.get(message_id)
        return None if entry is None or _is_finished(entry.message) else entry.message

    def encoded(self, message_id: str) -> bytes:
        """The bytes of a message that is there."""
        entry = self._entries.get(message_id) or self._load_entry(message_id)
        assert entry is not None  # noqa: S101
        return entry.encoded

    def at(self, timestamp: int) -> Entry | None:
        """The message with this timestamp and its bytes, or None."""
        message_id = self._ids.get(timestamp)
        return self.archive.entry(timestamp) if message_id is None else self._entries[message_id]

    def is_in_memory(self, timestamp: int) -> bool:
        """Whether there is such a message, and it is not archived."""
        return timestamp in self._ids

    def message_at(self, timestamp: int) -> Message:
        """The message with this timestamp, which is there."""
        entry = self.at(timestamp)
        assert entry is not None  # noqa: S101
        return entry.message

    def _load_entry(self, message_id: str) -> Entry | None:
        archive = self._loaded()
        timestamp = archive.ids.get(message_id)
        return None if timestamp is None else archive.entry(timestamp)

    # -- Changes

    def put(self, message: Message, encoded: bytes) -> Message | None:
        """Add a message, or replace it by its new state; returns the old state.

        ``seq`` must not be lower than that of any earlier change.
        """
        old, params = self._entries.get(message.id), message.bot_params
        if old is None and message.timestamp <= self._floor:
            old = self._take_out(message.timestamp)
        if old is None:
            self._times.add(message.timestamp)
            self._ids[message.timestamp] = message.id
            self.last_timestamp = max(message.timestamp, self.last_timestamp)
            self.counts.add(params)
            if message.conversation is not UNSET:
                self._talks.add(message.conversation, message.timestamp)
        else:
            self._displace(old)
            self.counts.change(old.message.bot_params, params)
            if old.message.conversation != message.conversation:
                self._move(old.message, message)
        if old is None or old.message.seq != message.seq:
            changes, change = self._changes, (message.seq, message.timestamp)
            if not changes or change > changes[-1]:
                changes.append(change)
            else:
                self._insert_change(change)
        entry = self._entries[message.id] = Entry(message, encoded)
        if params.assigned_entity is not UNSET:
            self._assignments.add(params.assigned_entity, (message.seq, message.timestamp))
        if params.status in {"pending", "processing"}:
            self._unfinished.add(message)
        else:
            self._add_finished(entry)
        if len(self._changes) > 2 * len(self._entries) + MIN_COMPACTED:
            self._changes = list(self.current_changes(0))
        return None if old is None else old.message

    def _insert_change(self, change: tuple[int, int]) -> None:
        """Add a change that is not the newest: the same commit has changed a later message already."""
        if change not in self._changes[bisect_left(self._changes, change) :]:
            insort(self._changes, change)

    def current_changes(self, seq: int) -> Iterator[tuple[int, int]]:
        """The changes by commits after ``seq`` that are the last ones of messages in memory."""
        changes, ids, entries = self._changes, self._ids, self._entries
        for position in range(bisect_left(changes, (seq + 1,)), len(changes)):
            change = changes[position]
            message_id = ids.get(change[1])
            if message_id is not None and entries[message_id].message.seq == change[0]:
                yield change

    def remove(self, timestamp: int) -> Beside:
        """Forget a message; returns what else is stored of it."""
        message_id = self._ids.pop(timestamp, None)
        if message_id is None:
            return self._remove_archived(timestamp)
        entry = self._entries.pop(message_id)
        message = entry.message
        self._displace(entry)
        self.counts.add(message.bot_params, -1)
        self._times.remove(timestamp)
        if message.conversation is not UNSET:
            self.kept.settle(self._talks.remove(message.conversation, timestamp))
        if self.archive.noted:
            self.archive.forget(timestamp)
        return Beside(message.bot_params.status == "failed", _has_text_beside(message))

    def _remove_archived(self, timestamp: int) -> Beside:
        message = self._loaded().remove(timestamp)
        seq, _, conversation = message.finish
        self.kept.remove(message.finish, message.cost)
        self.counts.add_some(message.entity, "failed" if message.failed else "complete", -1)
        if message.failed:
            self._failed.remove(timestamp)
        if message.assigned is not None:
            self._assignments.remove(message.assigned, (seq, timestamp))
        if conversation:
            self.kept.settle(self._talks.remove(conversation, timestamp))
        return Beside(message.failed, message.hidden)

    def _take_out(self, timestamp: int) -> Entry | None:
        """Keep an archived message in memory, because it is about to change."""
        archive = self._loaded()
        entry = archive.entry(timestamp) if timestamp in archive.messages else None
        if entry is not None:
            archive.take_out(timestamp)
            self._entries[entry.message.id] = entry
            self._ids[timestamp] = entry.message.id
            self._times.add(timestamp)
        return entry

    def _move(self, old: Message, new: Message) -> None:
        """A message to anyone joins a talk, or another entity takes it over."""
        if old.conversation is not UNSET:
            self.kept.settle(self._talks.remove(old.conversation, old.timestamp))
        if new.conversation is not UNSET:
            self._talks.add(new.conversation, new.timestamp)

    def _add_finished(self, entry: Entry) -> None:
        message = entry.message
        finish = (message.seq, message.timestamp, message.conversation or "")
        self.kept.add(finish, 1 + len(entry.encoded) // KEPT_BYTES)
        if message.bot_params.status == "failed":
            self._failed.add(message.timestamp)

    def _displace(self, entry: Entry) -> None:
        message = entry.message
        params = message.bot_params
        if params.assigned_entity is not UNSET:
            self._assignments.remove(params.assigned_entity, (message.seq, message.timestamp))
        if params.status in {"pending", "processing"}:
            self._unfinished.remove(message)
        else:
            finish = (message.seq, message.timestamp, message.conversation or "")
            self.kept.remove(finish, 1 + len(entry.encoded) // KEPT_BYTES)
            if params.status == "failed":
                self._failed.remove(message.timestamp)

    # -- Retention and archive

    def next_to_remove(self) -> int | None:
        """The timestamp of the finished message to remove next, if any (P6)."""
        kept = self.kept
        if kept.count <= kept.retention:
            return None
        if not self.archive.is_loaded:
            self._load()
        return kept.next_to_remove(self.last_timestamp)

    @property
    def is_archive_due(self) -> bool:
        """Whether enough messages have finished, or are gone, for another row of the archive."""
        archive = self.archive
        surplus = self.kept.count - archive.count - RECENT
        return archive.noted >= MAX_NOTES or (surplus >= ARCHIVED_TOGETHER and surplus >= self.backlog // 4)

    def archive_old(self) -> None:
        """Archive the finished messages that are not among the newest, up to ``MAX_ARCHIVED``."""
        times, ids, entries, old = self._times, self._ids, self._entries, self.archive.floor
        floor, last = max(old, times[-RECENT - 1] if len(times) > RECENT else 0), 0
        added: list[tuple[Archived, Entry]] = []
        outside: list[int] = []
        for timestamp in times.irange(maximum=floor):
            if len(added) == MAX_ARCHIVED and timestamp > old:
                floor = max(last, old)
                break
            entry, last = entries[ids[timestamp]], timestamp
            if entry.message.bot_params.status in FINISHED and len(added) < MAX_ARCHIVED:
                added.append((_archived(entry), entry))
            else:
                outside.append(timestamp)
        for archived, _ in added:
            del entries[archived.id], ids[archived.finish[1]]
        del times[: len(added) + len(outside)]
        times.update(outside)
        self.archive.add_row(added, floor, outside)
        self._floor = floor


def _is_finished(message: Message) -> bool:
    return not is_unfinished(message)


def is_unfinished(message: Message) -> bool:
    """Whether the message is pending or processing."""
    return message.bot_params.status in {"pending", "processing"}


def _archived(entry: Entry) -> Archived:
    message = entry.message
    params = message.bot_params
    return Archived(
        message.id,
        (message.seq, message.timestamp, message.conversation or ""),
        params.entity,
        params.assigned_entity or None,
        params.status == "failed",
        1 + len(entry.encoded) // KEPT_BYTES,
        _has_text_beside(message),
    )


def _has_text_beside(message: Message) -> bool:
    return message.hidden is not UNSET and message.erased is UNSET
