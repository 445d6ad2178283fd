"""An object's rows in memory, as far as they were loaded: what its calls read in place of a disk."""

from collections.abc import Iterable, Mapping, Sequence

from sortedcontainers import SortedDict

from durable_objects.disk import Head, Writes

_FIRST_AHEAD = 256
MAX_ROWS_AHEAD = 4_096
"""Rows that are loaded at a time, at most."""


class Missing(BaseException):
    """A call reads rows that are not loaded. No ``Exception``, since objects must not handle it.

    Attributes:
        keys: the keys of the rows; when empty, the keys of all rows are not known yet.
    """

    def __init__(self, keys: Sequence[str] = ()) -> None:
        super().__init__()
        self.keys = keys


class Replica:
    """A ``disk.Snapshot`` of one object as of one commit.

    Args:
        head: the object's head.
        is_new: whether it was never written, so that it has no rows.
    """

    def __init__(self, head: Head, *, is_new: bool) -> None:
        self._head = head
        self._has_keys = is_new
        self._rows: SortedDict[str, bytes | None] = SortedDict()
        """The value of each row; None while it is not loaded."""
        self._ahead = _FIRST_AHEAD
        """How many rows the next list asks for, if it lacks one; more each time, since what reads one page may read all."""

    def head(self, _: str) -> Head:
        """See ``disk.Snapshot``."""
        return self._head

    def get(self, _: str, key: str) -> bytes | None:
        """See ``disk.Snapshot``; raises ``Missing``."""
        if not self._has_keys:
            raise Missing
        value: bytes | None = self._rows.get(key)
        if value is None and key in self._rows:
            raise Missing([key])
        return value

    def list(self, _: str, prefix: str, after: str, limit: int) -> Sequence[tuple[str, bytes]]:
        """See ``disk.Snapshot``; raises ``Missing``, also with some of the rows that the next pages will have."""
        if not self._has_keys:
            raise Missing
        entries: list[tuple[str, bytes]] = []
        missing: list[str] = []
        begins_inside = after >= prefix
        rows = self._rows
        for key in rows.irange(after if begins_inside else prefix, inclusive=(not begins_inside, True)):
            if not key.startswith(prefix):
                break
            if len(entries) + len(missing) >= limit and (not missing or len(missing) >= self._ahead):
                break
            value = rows[key]
            if value is None:
                missing.append(key)
            else:
                entries.append((key, value))
        if missing:
            self._ahead = min(2 * self._ahead, MAX_ROWS_AHEAD)
            raise Missing(missing)
        return entries

    def know_keys(self, keys: Iterable[str]) -> None:
        """These are all rows; harmless when they are known."""
        if not self._has_keys:
            self._rows.update(dict.fromkeys(keys))
            self._has_keys = True

    def load(self, rows: Mapping[str, bytes | None]) -> None:
        """Take in values, None for what is no row; those of rows that are loaded already do not count."""
        for key, value in rows.items():
            if value is None:
                self._rows.pop(key, None)
            elif key in self._rows and self._rows[key] is None:
                self._rows[key] = value

    def commit(self, head: Head, writes: Writes) -> None:
        """Become the object after a commit."""
        self._head = head
        for key, value in writes.items():
            if value is None:
                self._rows.pop(key, None)
            else:
                self._rows[key] = value
        self._ahead = _FIRST_AHEAD
