"""What ``sww doctor`` looks at in a data directory, and on its disk. It changes nothing there, and a server may run on it."""

import os
import shutil
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import median

from durable_objects import DataUnreadable
from durable_objects.embedded.backup import shown
from durable_objects.embedded.snapshot import check_version
from durable_objects.embedded.store import FILE, VERSION
from durable_objects.limits import MAX_IDLE_LOG_BYTES
from saywhatwant import last_backup, tokens
from saywhatwant.commands.backup_facts import MESSAGES, facts_of
from saywhatwant.commands.finding import Finding, fault, ok, warning
from saywhatwant.commands.moved import TOPOLOGY
from saywhatwant.commands.restored import newest_time
from saywhatwant.settings import FILE as SETTINGS_FILE
from saywhatwant.settings import MIN_PUBLIC_TOKEN, Settings

LEAST_FREE_BYTES = 100_000_000
LOW_FREE_BYTES = 1_000_000_000
SLOW_SYNC_MS = 50.0
"""An fsync that takes longer limits the wall to some twenty commits a second, each of all posts that wait."""
SYNCS = 15
OLD_BACKUP_MS = 25 * 3_600_000
BEHIND_MS = 120_000
"""Backups that follow the changes are behind by seconds."""
AHEAD_MS = 60_000
_OTHERS_READ = stat.S_IRGRP | stat.S_IROTH


def data_checks(settings: Settings, now: int) -> Iterator[Finding]:
    """Look at the data; ``now`` is in milliseconds since 1970."""
    data = settings.data
    path = data / FILE
    if settings.runtime == "restate":
        yield ok("data", "is on a Restate cluster: restatectl status, and docs/cluster.md")
    elif not path.exists():
        yield fault("data", f"{data} has no data", "name the directory with --data, or start a server, which makes it")
    else:
        try:
            with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
                yield from _of_file(connection, settings, now)
        except (sqlite3.DatabaseError, DataUnreadable) as error:
            what = str(error) if isinstance(error, DataUnreadable) else f"{path} cannot be read: {error}"
            yield fault("data", what, "restore a backup into a new directory: sww restore (docs/backup.md)")
        yield _log_size(path)
        yield _backup(data, now)
    if data.exists():
        yield _room(data, path)
        yield _sync_time(data)
    yield from _tokens(settings)


def _of_file(connection: sqlite3.Connection, settings: Settings, now: int) -> Iterator[Finding]:
    data = settings.data
    version = check_version(connection, data / FILE)
    facts = facts_of(connection)
    yield ok("data", f"{facts[MESSAGES]} messages in {data}, topology {facts[TOPOLOGY]}")
    if version < VERSION:
        yield warning("version", f"the data has version {version}", "a server converts it when it starts; make a backup first")
    else:
        yield ok("version", f"the data has version {version}, which this program writes")
    if facts[TOPOLOGY] != settings.topology:
        yield fault("topology", f"SWW_TOPOLOGY is {settings.topology}", f"set SWW_TOPOLOGY={facts[TOPOLOGY]}")
    found = [row for (row,) in connection.execute("PRAGMA integrity_check(3)")]
    if found == ["ok"]:
        yield ok("integrity", "SQLite finds nothing wrong")
    else:
        yield fault(
            "integrity", f"the data is damaged: {'; '.join(found)}", "stop the server, and restore a backup: sww restore"
        )
    newest = newest_time(connection)
    if newest > now + AHEAD_MS:
        what = f"the newest message is of {shown(newest)}, after now: the clock was ahead, or is behind"
        yield warning("clock", what, "set the clock; new messages get times 1 ms apart until it has caught up")


def _log_size(path: Path) -> Finding:
    log = path.with_name(f"{FILE}-wal")
    size = log.stat().st_size if log.exists() else 0
    if size > 2 * MAX_IDLE_LOG_BYTES:
        what = f"the write-ahead log has {size:,} bytes"
        return warning("log", what, "another program keeps a read transaction open; end it, and the log shrinks")
    return ok("log", f"the write-ahead log has {size:,} bytes")


def _backup(data: Path, now: int) -> Finding:
    last = last_backup.read(data)
    if last is None:
        return warning("backup", "none is known", "sww backup --every 1h --to DIR, on another disk (docs/backup.md)")
    hours = (now - last.time) / 3_600_000
    what = f"all up to {shown(last.time)} is in {last.to}, {max(hours, 0):.1f} hours ago"
    if now - last.time > (BEHIND_MS if last.follows else OLD_BACKUP_MS):
        return warning("backup", what, "see whether sww backup --every still runs, and what it says")
    if not Path(last.to).exists():
        return warning("backup", f"{last.to} is gone", "make another one, on a disk that stays")
    if Path(last.to).stat().st_dev == data.stat().st_dev:
        return warning("backup", f"{what}, on the disk of the data", "keep backups on another disk")
    return ok("backup", what)


def _room(data: Path, path: Path) -> Finding:
    free = shutil.disk_usage(data).free
    size = path.stat().st_size if path.exists() else 0
    what = f"{free / 1e9:.1f} GB are free in {data}"
    do = "make room: on a full disk posts are refused until there is some"
    if free < LEAST_FREE_BYTES:
        return fault("room", what, do)
    if free < max(LOW_FREE_BYTES, 2 * size):
        return warning("room", what, do)
    return ok("room", what)


def _sync_time(data: Path) -> Finding:
    """How long a commit waits for the disk. It writes a file that has no name."""
    try:
        times = _syncs(data)
    except OSError as error:
        what = f"{data} cannot be written: {error.strerror or error}"
        return warning("disk", what, "run sww doctor as the server's user, or see to the directory's rights")
    what = f"an fsync takes {median(times):.1f} ms, the slowest of {SYNCS} {max(times):.1f} ms"
    if median(times) > SLOW_SYNC_MS:
        return warning("disk", what, "every commit waits for one: use a faster disk, or see what else writes to this one")
    return ok("disk", what)


def _syncs(data: Path) -> list[float]:
    part = data / f".doctor-{os.getpid()}"
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    times: list[float] = []
    try:
        part.unlink()
        for _ in range(SYNCS):
            os.write(descriptor, bytes(4_096))
            begun = time.perf_counter()
            os.fsync(descriptor)
            times.append((time.perf_counter() - begun) * 1_000)
    finally:
        os.close(descriptor)
    return times


def _tokens(settings: Settings) -> Iterator[Finding]:
    path = settings.data / tokens.FILE
    try:
        known = tokens.read_tokens(path)
    except tokens.WrongTokens as error:
        yield fault("tokens", str(error), "mend the file, or make its tokens again with sww token add")
        known = {}
    if settings.token is not None and len(settings.token) < MIN_PUBLIC_TOKEN:
        what = f"SWW_BOT_TOKEN has {len(settings.token)} characters"
        yield warning("tokens", what, f"use {MIN_PUBLIC_TOKEN} or more, or sww token add")
    elif settings.token is None and not known:
        yield ok("tokens", "none is set: only programs on this machine may answer and operate")
    else:
        yield ok("tokens", f"{len(known)} in {path}{', and SWW_BOT_TOKEN' if settings.token else ''}")
    file = Path(SETTINGS_FILE)
    if settings.token and file.exists() and file.stat().st_mode & _OTHERS_READ and "bot_token" in file.read_text():
        yield fault("tokens", f"others may read {file.absolute()}, which has the bot token", f"chmod 600 {file}")
