"""What an archive stores: rows of columns, which decode quickly, and a head. Both are MessagePack."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise

import msgspec
from msgspec import Struct

from saywhatwant.queue.talks import Finish


class Archived(Struct, frozen=True, gc=False):
    """A finished message that is not kept in memory: what its object must know of it without reading it."""

    id: str
    finish: Finish
    entity: str | None
    assigned: str | None
    """The entity that was assigned, if it names none."""
    failed: bool
    cost: int
    """How many messages it counts as (see ``retention``)."""
    hidden: bool = False
    """Whether its text has an entry of its own (see ``hidden``)."""


class Gone(Struct, frozen=True, array_like=True, gc=False):
    """An archived message that was removed, or is not archived any more because it changed."""

    timestamp: int
    entity: str | None
    failed: bool


class Head(Struct, frozen=True, array_like=True):
    """The archive as a whole, as of its last row."""

    floor: int = 0
    """Every message that is not archived is newer than this, or one of ``outside``."""
    seq: int = 0
    """No archived message has changed after this commit."""
    first: int = 0
    """The number of the first row."""
    next: int = 0
    """The number of the next row."""
    entries: int = 0
    """Messages in the rows, including outdated ones."""
    outside: int = 0
    """The number of rows that list the messages up to ``floor`` which are not archived."""
    complete: int = 0
    failed: int = 0
    entities: list[tuple[str | None, int, int]] | None = msgspec.field(default_factory=list)
    """How many messages of each entity are complete and failed; None when there are too many entities to list."""


class _Row(Struct, frozen=True, array_like=True):
    gone: list[int]
    ids: list[str]
    seqs: list[int]
    times: list[int]
    names: list[str | None]
    """All strings that occur more than once."""
    talks: list[int]
    entities: list[int]
    assigned: list[int]
    failed: list[bool]
    costs: list[int]
    hidden: list[int] = []
    """The timestamps of those that are hidden."""


_encode = msgspec.msgpack.Encoder().encode
_decode_row = msgspec.msgpack.Decoder(_Row).decode
_decode_times = msgspec.msgpack.Decoder(list[int]).decode
encode_head = _encode
decode_head = msgspec.msgpack.Decoder(Head).decode


def encode_row(gone: Iterable[int], messages: Sequence[Archived]) -> bytes:
    """A row: the timestamps of messages of earlier rows that are not archived any more, then further messages."""
    names: dict[str | None, int] = {}

    def numbers(of: Iterable[str | None]) -> list[int]:
        return [names.setdefault(name, len(names)) for name in of]

    talks = numbers(message.finish[2] for message in messages)
    entities = numbers(message.entity for message in messages)
    assigned = numbers(message.assigned for message in messages)
    return _encode(
        _Row(
            gone=_deltas(sorted(gone)),
            ids=[message.id for message in messages],
            seqs=_deltas([message.finish[0] for message in messages]),
            times=_deltas([message.finish[1] for message in messages]),
            names=list(names),
            talks=talks,
            entities=entities,
            assigned=assigned,
            failed=[message.failed for message in messages],
            costs=[message.cost for message in messages],
            hidden=[message.finish[1] for message in messages if message.hidden],
        )
    )


def decode_row(value: bytes) -> tuple[Iterable[int], Sequence[int], Iterator[Archived]]:
    """A row's removed timestamps, then the timestamps of its messages, and these."""
    row = _decode_row(value)
    name = row.names.__getitem__
    times = list(accumulate(row.times))
    finishes = zip(accumulate(row.seqs), times, map(name, row.talks), strict=True)
    hidden = map(set(row.hidden).__contains__, times)
    columns = (row.ids, finishes, map(name, row.entities), map(name, row.assigned), row.failed, row.costs, hidden)
    messages = map(Archived, *columns)
    return accumulate(row.gone), times, messages


def encode_times(times: Sequence[int]) -> bytes:
    """Ascending timestamps."""
    return _encode(_deltas(times))


def decode_times(value: bytes) -> Iterable[int]:
    """The timestamps of ``encode_times``."""
    return accumulate(_decode_times(value))


def _deltas(numbers: Sequence[int]) -> list[int]:
    return [*numbers[:1], *(later - earlier for earlier, later in pairwise(numbers))]
