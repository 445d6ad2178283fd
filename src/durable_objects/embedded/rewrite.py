"""Changes of data that no runtime uses at the time."""

from collections.abc import Mapping
from pathlib import Path

from durable_objects.embedded.lock import DirectoryLock
from durable_objects.embedded.store import Store, Upgrade


def rewrite(directory: Path, change: Upgrade, upgrades: Mapping[int, Upgrade] | None = None) -> None:
    """Run ``change`` on the data in ``directory``, in one transaction: after an error or a crash the data is what it was.

    The tables are ``entries`` (object, key, value) and ``heads`` (object, seq, alarm_at). ``upgrades`` as for the runtime.
    Raises ``DataLocked`` while a runtime uses the data, ``DataUnreadable``, and what ``change`` raises.
    """
    lock, store = DirectoryLock(directory), Store(directory, upgrades)
    lock.acquire()
    try:
        store.open()
        store.rewrite(change)
    finally:
        store.close()
        lock.release()
