"""Which messages were erased: their ids, and no word of them, for the backups that have their texts.

A restore from a backup that is older erases them again. The ids stay when the messages are removed: a backup may be kept for
long.
"""

from typing import Final

import msgspec
from msgspec import Struct

from durable_objects import Storage

PREFIX: Final = "erased/"
"""What the keys of their rows begin with, in the storage of the object that had the message."""


class Erased(Struct, frozen=True, omit_defaults=True):
    """A message that was erased."""

    id: str
    at: int
    """When it was last asked for, in milliseconds since 1970. A later message with this id is another one."""
    name: bool = False
    """Whether who wrote it is erased too."""


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Erased).decode


def keep(storage: Storage, erased: Erased) -> None:
    """Store that a message was erased."""
    storage.put(PREFIX + erased.id, encode(erased))
