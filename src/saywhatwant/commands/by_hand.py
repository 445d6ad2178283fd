"""What ``sww restore`` does, for data that was copied from a backup by hand: the first start of a server on it does it."""

import logging
from functools import partial

from durable_objects.embedded.restore import is_copy, restore_in_place
from durable_objects.embedded.snapshot import now
from saywhatwant.commands import erasures
from saywhatwant.commands.restored import begin_again
from saywhatwant.settings import Settings

log = logging.getLogger("saywhatwant")


async def end_restore(settings: Settings) -> None:
    """Make the copy the wall of another time, and erase what the list beside it names; nothing if the data is no copy.

    After a crash the next start does the rest. Raises as ``restore_in_place`` and ``erase_again``.
    """
    data = settings.data
    if is_copy(data):
        log.info("the data in %s was copied from a backup: its numbers go on above those of the lost wall", data)
        restore_in_place(data, partial(begin_again, now=now()))
    if (data / erasures.FILE).exists():
        from saywhatwant.commands.erasing import erase_again

        erased = await erase_again(data, erasures.read_list(data), settings)
        log.info("erased again what a backup still had: %s", " ".join(erased) or "nothing")
        (data / erasures.FILE).unlink()
