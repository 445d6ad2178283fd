"""Converts data that earlier versions of this program wrote, when the server starts.

Version 1 to 2: the answers to posts with a key are the runtime's, no longer among the entries of the queue.
"""

import sqlite3
from collections.abc import Callable, Iterable

import msgspec
from msgspec import Struct

from durable_objects.idempotency import age_row, answer_row, clock_row
from saywhatwant.message import Posted
from saywhatwant.topology import record

Entry = tuple[str, str, bytes]
"""An object, a key and its value."""


class _Answer(Struct, frozen=True, array_like=True):
    message_id: str
    timestamp: int
    at: int
    number: int
    digest: bytes


class _Age(Struct, frozen=True, array_like=True):
    key: str
    at: int
    clock: int


class _Clock(Struct, frozen=True, array_like=True):
    at: int
    clock: int


_decode_answer = msgspec.msgpack.Decoder(_Answer).decode
_decode_age = msgspec.msgpack.Decoder(_Age).decode
_decode_clock = msgspec.msgpack.Decoder(_Clock).decode


def move_keys(connection: sqlite3.Connection) -> None:
    """Make the queue's own table of keys the runtime's."""
    moved = ((object_id, *_of_the_runtime(key, value)) for object_id, key, value in _entries(connection, "keys/"))
    connection.executemany("INSERT INTO entries VALUES (?, ?, ?)", moved)
    connection.execute("DELETE FROM entries WHERE object LIKE 'MessageQueue/%' AND key >= 'keys/' AND key < 'keys0'")


def _of_the_runtime(key: str, value: bytes) -> tuple[str, bytes]:
    kind, _, name = key.removeprefix("keys/").partition("/")
    match kind:
        case "answer":
            answer = _decode_answer(value)
            result = msgspec.json.encode(Posted(answer.message_id, answer.timestamp))
            return answer_row(name, result, answer.digest, number=answer.number, at=answer.at)
        case "age":
            age = _decode_age(value)
            return age_row(age.key, number=int(name), at=age.at, clock=age.clock)
        case _:
            clock = _decode_clock(value)
            return clock_row(clock.at, clock.clock)


def _entries(connection: sqlite3.Connection, prefix: str) -> Iterable[Entry]:
    """The queues' entries whose key starts with ``prefix``, in order; other entries may be written meanwhile."""
    read = "SELECT object, key, value FROM entries WHERE object LIKE 'MessageQueue/%' AND key >= ? AND key < ?"
    found: Iterable[Entry] = connection.execute(read, (prefix, prefix + "\U0010ffff"))
    return found


def record_topology(connection: sqlite3.Connection) -> None:
    """Data of version 1 has one object."""
    object_id = f"{record.NAMESPACE}/{record.NAME}"
    connection.execute("INSERT INTO heads SELECT ?, 1, NULL WHERE EXISTS (SELECT 1 FROM heads)", (object_id,))
    entry = (object_id, record.KEY, record.encode(record.Recorded("single")))
    connection.execute("INSERT INTO entries SELECT ?, ?, ? WHERE EXISTS (SELECT 1 FROM heads)", entry)


STEPS: dict[int, tuple[Callable[[sqlite3.Connection], None], ...]] = {1: (move_keys, record_topology)}
"""The steps from each version to the next one."""


def _upgrade_from(version: int) -> Callable[[sqlite3.Connection], None]:
    def upgrade(connection: sqlite3.Connection) -> None:
        for step in STEPS[version]:
            step(connection)

    return upgrade


UPGRADES = {version: _upgrade_from(version) for version in STEPS}
"""For ``EmbeddedRuntime``."""
