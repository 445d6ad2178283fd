"""The heads of objects that an import writes: until the import has ended, nobody can call them."""

from msgspec.structs import replace

from durable_objects.errors import DataExists, DataUnreadable
from durable_objects.restate.encoding import HEAD, Arrive, Imported, Restore, StoredHead

_NONCE_BYTES = 12


def restored_head(object_id: str, head: bytes | None, piece: Restore) -> bytes | None:
    """The head under which a piece is stored; None when this import has brought the whole object already.

    Raises ``DataExists`` for an object that was written otherwise, ``DataUnreadable`` for a piece without the one before.
    """
    stored: StoredHead | None = None if head is None else HEAD.decode(head)
    imported = None if stored is None else stored.imported
    if stored is not None and (imported is None or (imported.ended and imported.import_id != piece.import_id)):
        raise DataExists(f"{object_id} exists already")
    if imported is not None and imported.ended:
        return None
    if piece.head is not None:
        # Its rows are the same whenever this import comes again, so the head may be too.
        nonce = piece.import_id[:_NONCE_BYTES]
        return HEAD.encode(StoredHead(piece.head.seq, nonce, piece.head.alarm_at, imported=Imported(piece.import_id)))
    if head is None or imported is None or imported.import_id != piece.import_id:
        raise DataUnreadable(f"rows of {object_id} come without its head")
    return head


def arrived_head(object_id: str, head: bytes | None, arrive: Arrive) -> bytes:
    """The head of an object that can be called. Raises ``DataExists`` when it is not one of this import."""
    stored: StoredHead | None = None if head is None else HEAD.decode(head)
    if stored is None or stored.imported is None or stored.imported.import_id != arrive.import_id:
        raise DataExists(f"{object_id} is not what the import has written")
    return HEAD.encode(replace(stored, imported=Imported(arrive.import_id, ended=True)))


def check_unfinished(object_id: str, head: bytes | None) -> None:
    """Raises ``DataExists`` for an object that is more than a part of an import that has not ended."""
    if head is None:
        return
    imported = HEAD.decode(head).imported
    if imported is None or imported.ended:
        raise DataExists(f"{object_id} exists already")
