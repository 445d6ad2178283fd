"""What a backup says of the wall in it: to programs in its manifest, and to people in its README."""

import sqlite3
from importlib.metadata import version

from durable_objects.embedded.backup import Manifest
from durable_objects.embedded.store import APPLICATION_ID, COPY_ID
from saywhatwant.commands.moved import TOPOLOGY
from saywhatwant.queue.work_queue import WALL
from saywhatwant.topology import record
from saywhatwant.topology.single import NAMESPACE

MESSAGES = "messages"
BESIDE = ("tokens.toml",)
"""Files of a data directory that belong to the wall, besides the data file."""
_COUNT = """
SELECT count(*) FROM entries
WHERE (object GLOB ? OR object = ?) AND key >= 'message/' AND key < 'message0'
"""
_README = """\
A backup of a wall of Say What Want
===================================

Made {made_at} by {made_by}: {messages} messages, topology {topology}.

With that program, or a later version of it:

    sww restore --from . --data ../restored
    SWW_TOPOLOGY={topology} sww serve --data ../restored

Without it, objects.sqlite3 is a file of SQLite with all that the wall had. This checks the copy, and prints its messages:

    sha256sum objects.sqlite3         # manifest.json has the same
    sqlite3 objects.sqlite3 "PRAGMA integrity_check"
    sqlite3 objects.sqlite3 "SELECT CAST(value AS TEXT) FROM entries WHERE key LIKE 'message/%'"

And this makes the data of a server from it. The third line copies the tokens, the newest that there are. The fourth adds what
was committed later, if there is a folder changes; a time in milliseconds since 1970 behind it is where it ends. erased.json
names what was erased later, as far as this backup knows: take that of the newest backup.

    mkdir ../by-hand
    cp objects.sqlite3 erased.json ../by-hand/
    for file in tokens.toml ../tokens.toml; do [ ! -e $file ] || cp -p $file ../by-hand/; done
    python3 apply_changes.py ../by-hand/objects.sqlite3

The file is marked as a copy (its application_id is {copy_id:#x}, that of data is {data_id:#x}). The first start of a server
on it does the rest: readers who knew more than there is now read all again, and what erased.json names is erased.
"""


def made_by() -> str:
    """This program and its version."""
    return f"saywhatwant {version('saywhatwant')}"


def facts_of(connection: sqlite3.Connection) -> dict[str, str]:
    """How many messages the data has, and its topology."""
    ((messages,),) = connection.execute(_COUNT, (f"{NAMESPACE}/*", f"{WALL.namespace}/{WALL.name}"))
    where = "SELECT value FROM entries WHERE object = ? AND key = ?"
    recorded = connection.execute(where, (f"{record.NAMESPACE}/{record.NAME}", record.KEY)).fetchone()
    topology = "single" if recorded is None else record.decode(recorded[0]).topology  # version 1 has no record
    return {MESSAGES: str(messages), TOPOLOGY: topology}


def described(manifest: Manifest) -> str:
    """What a backup holds, in one line."""
    messages = int(manifest.facts[MESSAGES])
    return (
        f"{messages:,} message{'' if messages == 1 else 's'} of {manifest.made_at} ({manifest.bytes:,} bytes, checked; "
        f"topology {manifest.facts[TOPOLOGY]})"
    )


def readme(manifest: Manifest) -> str:
    """How to restore it."""
    facts = manifest.facts
    return _README.format(
        made_at=manifest.made_at,
        made_by=manifest.made_by,
        messages=facts[MESSAGES],
        topology=facts[TOPOLOGY],
        copy_id=COPY_ID,
        data_id=APPLICATION_ID,
    )
