"""Erases from restored data what was erased later from the wall that it is a copy of."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final, cast

from msgspec import UNSET

from durable_objects import Stub
from durable_objects.embedded import EmbeddedRuntime
from durable_objects.embedded.store import FILE as DATA_FILE
from saywhatwant.commands.backup_facts import facts_of
from saywhatwant.commands.data_upgrade import UPGRADES
from saywhatwant.commands.erasures import Erasures
from saywhatwant.commands.moved import TOPOLOGY
from saywhatwant.commands.restored import newest_message
from saywhatwant.entities import Entities
from saywhatwant.errors import NotHeld, UnknownMessage
from saywhatwant.history import open_history
from saywhatwant.message import decode
from saywhatwant.moderation.object import Moderation
from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.erased import Erased
from saywhatwant.queue.hidden import NAMELESS
from saywhatwant.settings import Settings
from saywhatwant.topology import Topology, Wall, moderation_of, open_wall

BY: Final = "sww restore"
"""Who it was, in the audit log."""
REASON: Final = "erased before; a backup had the text"
_ENDLESS: Final = 1 << 45
"""Milliseconds, and messages: no deadline is moved, and nothing is removed but what is erased."""


async def erase_again(data: Path, erasures: Erasures, settings: Settings) -> list[str]:
    """Erase these messages from data that no server uses; returns the ids of those that it had.

    It reaches what an erase reaches, and posts that wait for review. Afterwards no file there has a byte of those texts.
    Nothing else changes: for the objects it is the time of their newest message, so no deadline passes. It may be repeated.
    Data of an earlier version is converted. Raises as ``EmbeddedRuntime``, and ``CommitFailed``.
    """
    if not erasures:
        return []
    with closing(sqlite3.connect(data / DATA_FILE)) as connection:
        topology, now = cast("Topology", facts_of(connection)[TOPOLOGY]), newest_message(connection)
    runtime = EmbeddedRuntime(data, clock=lambda: now, upgrades=UPGRADES)
    wall, moderation = open_wall(runtime, _patient(settings), topology), moderation_of(runtime)
    open_history(runtime)
    async with runtime:
        await moderation.settle()
        found = [one.id for one in erasures.values() if await _erase(one, wall, moderation)]
        await moderation.settle()
        await runtime.scrub()
    (data / "lock").unlink(missing_ok=True)
    return found


async def _erase(one: Erased, wall: Wall, moderation: Stub[Moderation]) -> bool:
    """Erase one message, or reject the post that it will be; returns whether there was something to erase."""
    try:
        message = decode(await wall.message(one.id))
    except UnknownMessage:
        return await _reject(one, wall, moderation)
    is_done = message.erased is not UNSET and (not one.name or message.username == NAMELESS)
    if message.timestamp > one.at or is_done:
        return False
    await wall.erase(one.id, REASON, name=one.name, by=BY)
    return True


async def _reject(one: Erased, wall: Wall, moderation: Stub[Moderation]) -> bool:
    try:
        held = await moderation.call(Moderation.held, one.id)
    except NotHeld:
        return False
    if held is None or held.at > one.at:
        return False
    await moderation.call(Moderation.reject, one.id, await wall.place_of(held), BY, REASON)
    return True


def _patient(settings: Settings) -> QueueConfig:
    return QueueConfig(
        lease_ms=_ENDLESS,
        socket_lease_ms=_ENDLESS,
        max_hold_ms=_ENDLESS,
        max_backoff_ms=_ENDLESS,
        max_wait_ms=_ENDLESS,
        retention=_ENDLESS,
        talk_retention=_ENDLESS,
        talk_ms=_ENDLESS,
        max_kept=_ENDLESS,
        backlog_limit=_ENDLESS,
        entities=tuple(Entities(settings.entities).current),
    )
