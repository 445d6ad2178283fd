"""Messages in an object's storage: one entry each, in the order of their timestamps.

An entry is the message's JSON. After it there may be a line feed and a note (a JSON list, see ``archive``): what was removed
in the same call costs no entry of its own.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from durable_objects import Storage
from durable_objects.limits import MAX_LIST_PAGE

_PREFIX = "message/"
_END_OF_NOTE = ord("]")
"""A message ends with a brace."""


def key_at(timestamp: int) -> str:
    """The key of the entry of the message with this timestamp."""
    return _PREFIX + str(timestamp).zfill(15)  # half the time of a format


def with_note(encoded: bytes, note: bytes) -> bytes:
    """The entry of a message with a note."""
    return encoded + b"\n" + note


def split(value: bytes) -> tuple[bytes, bytes | None]:
    """An entry's message and its note. JSON without spaces has no line feed."""
    if value[-1] != _END_OF_NOTE:
        return value, None
    encoded, _, note = value.partition(b"\n")
    return encoded, note


def entries_after(storage: Storage, timestamp: int) -> Iterator[tuple[int, bytes]]:
    """The entries of all messages after this time, with their timestamps."""
    after = key_at(timestamp)
    while page := storage.list(_PREFIX, after=after):
        for after, value in page:
            yield int(after[len(_PREFIX) :]), value


def entries_at(storage: Storage, times: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """The entries of the messages with these timestamps, in ascending order; those that are missing are left out.

    It reads pages, which grow while at least half of what they bring is wanted: so it reads at most about twice as many
    entries as it returns, and far fewer pages where they are close together.
    """
    position, limit = 0, 1
    while position < len(times):
        page = storage.list(_PREFIX, after=key_at(times[position] - 1), limit=limit)
        if not page:
            break
        end = bisect_right(times, int(page[-1][0][len(_PREFIX) :]), position)
        wanted = set(times[position:end])
        found = [(at, value) for at, value in ((int(key[len(_PREFIX) :]), value) for key, value in page) if at in wanted]
        yield from found
        position = end
        limit = min(2 * limit, MAX_LIST_PAGE) if 2 * len(found) >= len(page) else max(1, limit // 4)
