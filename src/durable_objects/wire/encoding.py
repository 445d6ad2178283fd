"""What a disk holds, encoded and decoded on its way to objects."""

from durable_objects.codec import Codec
from durable_objects.disk import Change, Head

CHANGES = Codec(list[Change])
ENTRIES = Codec(list[tuple[str, bytes]])
ENTRY = Codec(bytes | None)
HEAD = Codec(Head)
ALARMS = Codec(list[tuple[str, int]])
