"""What a restore changes in the data, so that nobody takes the wall for the one that was lost.

A restored wall has forgotten what was committed after the backup. Readers may know that; their positions (ETags, tokens of
sockets, timestamps) name commits that never were here. So the numbers of commits and the timestamps go on above all that the
lost wall can have given, and the objects know which numbers were lost (see ``queue.restores``).
"""

import sqlite3

from saywhatwant.queue import restores
from saywhatwant.queue.state import NEWEST_KEY
from saywhatwant.queue.work_queue import WALL
from saywhatwant.topology.single import NAMESPACE

STRIDE = 1 << 11
"""Numbers of commits for each millisecond since 1970. A wall makes far fewer, so it never catches up with the clock."""
AHEAD_MS = 60_000
"""How far timestamps and numbers may have gone on where the clock of the lost wall was ahead."""

_WITH_WORK = (f"{NAMESPACE}/", f"{WALL.namespace}/", "WorkQueue/")
_OF_READERS = "(object GLOB ? OR object = ?)"
_READERS = (f"{NAMESPACE}/*", f"{WALL.namespace}/{WALL.name}")
_NEWEST = f"SELECT max(key) FROM entries WHERE {_OF_READERS} AND key >= 'message/' AND key < 'message0'"  # noqa: S608 - our own words


def begin_again(connection: sqlite3.Connection, now: int) -> None:
    """Change restored data; ``now`` is in milliseconds since 1970."""
    newest = newest_time(connection)
    floor = now if newest <= now else newest + AHEAD_MS
    objects = connection.execute(f"SELECT object FROM heads WHERE {_OF_READERS}", _READERS).fetchall()  # noqa: S608 - as above
    for (object_id,) in objects:
        connection.execute("REPLACE INTO entries VALUES (?, ?, ?)", (object_id, NEWEST_KEY, b"%d" % floor))
    for object_id, seq in connection.execute("SELECT object, seq FROM heads").fetchall():
        first = now * STRIDE if now * STRIDE > seq else seq + AHEAD_MS * STRIDE
        connection.execute("UPDATE heads SET seq = ? WHERE object = ?", (first, object_id))
        if object_id.startswith(_WITH_WORK):
            where = (object_id, restores.KEY)
            stored = connection.execute("SELECT value FROM entries WHERE object = ? AND key = ?", where).fetchone()
            gaps = restores.with_gap([] if stored is None else restores.decode(stored[0]), seq, first, floor)
            connection.execute("REPLACE INTO entries VALUES (?, ?, ?)", (*where, restores.encode(gaps)))


def newest_time(connection: sqlite3.Connection) -> int:
    """The greatest timestamp that the data has given, in milliseconds since 1970; 0 if it has given none."""
    where = f"SELECT value FROM entries WHERE {_OF_READERS} AND key = ?"  # noqa: S608 - as above
    removed = [int(value) for (value,) in connection.execute(where, (*_READERS, NEWEST_KEY))]
    return max([newest_message(connection), *removed])


def newest_message(connection: sqlite3.Connection) -> int:
    """The greatest timestamp of a message that the data has, in milliseconds since 1970; 0 if it has none."""
    ((key,),) = connection.execute(_NEWEST, _READERS)
    return 0 if key is None else int(key.removeprefix("message/"))
