"""Directory: which objects a wall has, and which of them has a message whose id does not show it.

An object is registered before its first message, and never removed. Each has a number, which is not given twice. An id that its
client has made is registered before the message, for as long as the wall has the message and a day beyond, because until then a
retry gets the first answer (P7).
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

import durable_objects
from durable_objects import Context, DurableObject, KeysFull, ObjectId
from durable_objects.limits import KEY_SECONDS
from saywhatwant.limits import MAX_IDS, MAX_IDS_FORGOTTEN, MAX_QUEUES

DIRECTORY = ObjectId("Directory", "directory")
"""Where it is."""
ANYONE = "queue:"
"""The object of the messages that name no entity, and of those to entities without an object of their own."""

FIRST_KEY = "first"
"""The number of the first object, if numbers were given before this directory was made."""

_PLACES = "place/"
_IDS = "id/"
_GONE = "gone/"
_COUNT = "ids"

_encode = msgspec.json.Encoder().encode


class Place(Struct, frozen=True, array_like=True):
    """An object of the wall."""

    source: int
    """Its number."""
    name: str
    is_open: bool = False
    """Whether messages may be posted to it: its timestamps continue from those of the objects before it."""


class _Id(Struct, frozen=True, array_like=True):
    source: int
    gone_at: int | None = None
    """When the wall removed the message."""
    is_shared: bool = False
    """Whether several posts have named it: one that is refused does not free it."""


class Found(Struct, frozen=True):
    """The object of a message, if the directory knows it; and the places after those that the caller knows."""

    source: int | None
    places: list[Place]


_decode_place = msgspec.json.Decoder(Place).decode
_decode_id = msgspec.json.Decoder(_Id).decode


def place_key(number: int) -> str:
    """The key of the entry of the place with this number."""
    return f"{_PLACES}{number:06d}"


def id_entry(message_id: str, source: int) -> tuple[str, bytes]:
    """The entry of an id whose message is on the wall."""
    return _IDS + message_id, _encode(_Id(source))


def place_entry(place: Place) -> tuple[str, bytes]:
    """The entry of a place."""
    return place_key(place.source), _encode(place)


def gone_entries(message_id: str, source: int, now: int) -> dict[str, bytes]:
    """The entries of an id whose message the wall removes now."""
    return {_IDS + message_id: _encode(_Id(source, now)), f"{_GONE}{now:015d}/{message_id}": b""}


def places_in(entries: Mapping[str, bytes]) -> list[Place]:
    """The places in a directory's entries."""
    return [_decode_place(value) for key, value in sorted(entries.items()) if key.startswith(_PLACES)]


def count_entry(ids: int) -> tuple[str, bytes]:
    """The entry with the number of ids."""
    return _COUNT, b"%d" % ids


class Reserved(Struct, frozen=True):
    """The object that has an id."""

    source: int
    is_new: bool
    """Whether it was reserved by this call."""
    was_gone: bool = False
    """Whether the wall had removed its message. It is kept now as if there were another: the caller finds out."""


class Directory(DurableObject):
    """The places of a wall's messages."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self._places = [_decode_place(stored) for _, stored in ctx.storage.list(_PLACES)]
        self._ids = int(ctx.storage.get(_COUNT) or 0)

    # -- Objects

    @durable_objects.read
    def places(self, known: int = 0) -> list[Place]:
        """The places after the first ``known``."""
        return self._places[known:]

    def place(self, entity: str, known: int) -> list[Place]:
        """Register the object of an entity (empty for messages that name none); returns the places after the first ``known``.

        There are up to ``MAX_QUEUES``. Beyond that, messages to an entity go to the object of those that name none.
        """
        if not self._places:
            self._register(ANYONE, is_open=True)
        name = ANYONE + entity
        if len(self._places) < MAX_QUEUES and all(place.name != name for place in self._places):
            self._register(name)
        return self._places[known:]

    def open(self, source: int) -> None:
        """From now on messages may be posted to this object."""
        for index, place in enumerate(self._places):
            if place.source == source and not place.is_open:
                self._places[index] = self._stored(Place(source, place.name, is_open=True))

    def _register(self, name: str, *, is_open: bool = False) -> None:
        source = self._places[-1].source + 1 if self._places else int(self.ctx.storage.get(FIRST_KEY) or 1)
        place = self._stored(Place(source, name, is_open))
        self._places.append(place)
        self.ctx.publish(_encode(place))

    def _stored(self, place: Place) -> Place:
        self.ctx.storage.put(*place_entry(place))
        return place

    # -- Keys and ids

    def bind(self, source: int) -> int:
        """The object of a post with an Idempotency-Key: called with that key, it returns the first answer each time."""
        return source

    @durable_objects.read
    def find(self, message_id: str, known: int) -> Found:
        """Where a message is, if its client has made its id; and the places after the first ``known``."""
        stored = self.ctx.storage.get(_IDS + message_id)
        return Found(None if stored is None else _decode_id(stored).source, self._places[known:])

    def reserve(self, message_id: str, source: int) -> Reserved:
        """Register an id that its client has made; returns the object that it is registered for.

        Raises ``KeysFull`` beyond ``MAX_IDS``.
        """
        stored = self.ctx.storage.get(_IDS + message_id)
        if stored is not None and not self._is_over((known := _decode_id(stored)).gone_at):
            if known.gone_at is not None or not known.is_shared:
                self.ctx.storage.put(_IDS + message_id, _encode(_Id(known.source, is_shared=True)))
            return Reserved(known.source, is_new=False, was_gone=known.gone_at is not None)
        self._drop_old()
        if self._ids >= MAX_IDS:
            raise KeysFull(f"{MAX_IDS} ids are remembered; no new ones are accepted until some of their messages are removed")
        is_listed = self.ctx.storage.get(_IDS + message_id) is not None
        self.ctx.storage.put(*id_entry(message_id, source))
        if not is_listed:
            self._count(1)
        return Reserved(source, is_new=True)

    def release(self, message_id: str) -> None:
        """The message was refused, so its id is free again, unless another post has named it too."""
        stored = self.ctx.storage.get(_IDS + message_id)
        if stored is not None and not _decode_id(stored).is_shared:
            self.ctx.storage.delete(_IDS + message_id)
            self._count(-1)

    def forget(self, message_id: str) -> None:
        """The wall has removed the message; its id is free in a day."""
        stored = self.ctx.storage.get(_IDS + message_id)
        if stored is not None and (known := _decode_id(stored)).gone_at is None:
            for key, value in gone_entries(message_id, known.source, self.ctx.now()).items():
                self.ctx.storage.put(key, value)
            self._drop_old()

    def _drop_old(self) -> None:
        for key, _ in self.ctx.storage.list(_GONE, limit=MAX_IDS_FORGOTTEN):
            gone_at, _, message_id = key.removeprefix(_GONE).partition("/")
            if not self._is_over(int(gone_at)):
                return
            self.ctx.storage.delete(key)
            stored = self.ctx.storage.get(_IDS + message_id)
            if stored is not None and _decode_id(stored).gone_at == int(gone_at):
                self.ctx.storage.delete(_IDS + message_id)
                self._count(-1)

    def _is_over(self, gone_at: int | None) -> bool:
        return gone_at is not None and gone_at + KEY_SECONDS * 1_000 <= self.ctx.now()

    def _count(self, change: int) -> None:
        self._ids += change
        self.ctx.storage.put(*count_entry(self._ids))
