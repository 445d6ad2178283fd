"""Converts the data of one topology to another: what every object of it stores, as entries.

It keeps every message with its state, context and details, the answers to keyed posts, and the circuits. What only helps an
object to wake is made again by the objects; claims and bots on sockets that waited are gone, since no server runs.
"""

from collections.abc import Collection, Iterator, Mapping
from itertools import count

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from durable_objects.idempotency import KeptKey, kept_keys, key_rows
from durable_objects.inbox import INBOX
from durable_objects.outbox import number_of, receiver_of
from durable_objects.storage import OUTBOX, RUNTIME_PREFIX
from saywhatwant.errors import ExpectedError
from saywhatwant.limits import ID_LENGTH, MAX_QUEUES
from saywhatwant.message import Message, Posted, decode, encode
from saywhatwant.overview import EndedAttempt
from saywhatwant.queue import attempts, erased, restores, standing
from saywhatwant.queue.directory import ANYONE, DIRECTORY, Place, count_entry, gone_entries, id_entry, place_entry, places_in
from saywhatwant.queue.outcomes import OUTCOMES_KEY, moved
from saywhatwant.queue.restores import Gap
from saywhatwant.queue.shard import route_of
from saywhatwant.queue.state import EXPIRIES_KEY, NEWEST_KEY
from saywhatwant.queue.stored import key_at, split
from saywhatwant.topology.record import Recorded
from saywhatwant.topology.single import NAMESPACE, QUEUE_NAME

DIRECTORY_ID = f"{DIRECTORY.namespace}/{DIRECTORY.name}"
CONVERTED = (f"{NAMESPACE}/", f"{DIRECTORY.namespace}/")
"""What the names of all converted objects begin with."""
_MESSAGES = "message/"
_OF_MESSAGES = ("context/", "detail/", "hidden/")
_OF_ALL = ("circuits", EXPIRIES_KEY, OUTCOMES_KEY)
_MADE_AGAIN = (RUNTIME_PREFIX, "waiting/", standing.PREFIX, "archive/", NEWEST_KEY, attempts.PREFIX, attempts.ENDED_KEY)

_decode_posted = msgspec.json.Decoder(Posted).decode


class CannotMigrate(ExpectedError):
    """The data has something that cannot be converted."""


class Stored(Struct):
    """All that an object stores."""

    seq: int = 0
    alarm_at: int | None = None
    entries: dict[str, bytes] = {}


Data = dict[str, Stored]
"""The objects by id."""


class Converted(Struct):
    """Converted data, and what there is to report of it."""

    data: Data
    recorded: Recorded
    messages: int
    moved: int = 0
    """How many messages have another timestamp, because several had the same."""


class _Part(Struct):
    """What an object stores, by what it is."""

    messages: list[Message]
    beside: dict[int, dict[str, bytes]]
    """Entries that belong to messages, by timestamp and prefix."""
    common: dict[str, bytes]
    keys: list[KeptKey]
    newest: int
    seq: int
    alarm_at: int | None
    ended: int = 0
    """How many attempts have ended without an answer."""
    attempts: list[EndedAttempt] = []
    """The last ones of those, oldest first."""
    gaps: list[Gap] = []
    """What restores have left out."""


def others(data: Data) -> Data:
    """What objects of other namespaces store, without what they have taken from converted objects, whose calls begin again.

    Raises ``CannotMigrate`` if calls from or to these objects are on their way, which would be lost.
    """
    kept: Data = {}
    for object_id, stored in data.items():
        is_converted = object_id.startswith(CONVERTED)
        sent = [key for key in stored.entries if key.startswith(OUTBOX)]
        if any(
            not (is_converted and receiver_of(key).startswith(CONVERTED)) and _is_on_its_way(data, object_id, key)
            for key in sent
        ):
            raise CannotMigrate(
                f"a call of {object_id} is on its way; start the server once more, and stop it when it is ready"
            )
        if not is_converted:
            taken = tuple(INBOX + namespace for namespace in CONVERTED)
            entries = {key: value for key, value in stored.entries.items() if not key.startswith(taken)}
            kept[object_id] = replace(stored, entries=entries)
    return kept


def _is_on_its_way(data: Data, sender: str, key: str) -> bool:
    """Whether the receiver has not taken the call with this row."""
    receiver = data.get(receiver_of(key), Stored())
    return number_of(key) > int(receiver.entries.get(INBOX + sender, 0))


def to_per_entity(data: Data, recorded: Recorded, *, served: Collection[str], now: int) -> Converted:
    """The data of ``single`` with an object for each of the entities ``served``; ``now`` is in milliseconds since 1970."""
    whole = _part(data.get(f"{NAMESPACE}/{QUEUE_NAME}", Stored()))
    homes: dict[str, str] = {}
    names = {ANYONE: None}
    for message in whole.messages:
        entity = message.bot_params.entity
        home = homes.get(message.reply_to or "") if message.message_type == "AI" else None
        if home is None:
            own = ANYONE + (entity if entity is not None and entity in served else "")
            home = own if own in names or len(names) < MAX_QUEUES else ANYONE
        names[home] = None
        homes[message.id] = home
    places = [Place(number, name, is_open=True) for number, name in zip(count(recorded.next_source), names, strict=False)]
    source_of = {place.name: place.source for place in places}
    parts = {name: _Part([], {}, {}, [], whole.newest, whole.seq, whole.alarm_at, gaps=whole.gaps) for name in names}
    for message in whole.messages:
        part = parts[homes[message.id]]
        part.messages.append(message)
        part.beside[message.timestamp] = whole.beside.get(message.timestamp, {})
    first, others = _outcomes([whole], whole.newest)
    for part in parts.values():
        part.common = {OUTCOMES_KEY: others}
    parts[ANYONE].common = whole.common | {OUTCOMES_KEY: first}
    _divide_attempts(whole, parts, homes)
    ids = {message.id: homes[message.id] for message in whole.messages if not _shows(message.id, homes[message.id])}
    gone: dict[str, str] = {}
    bound: list[KeptKey] = []
    for key in whole.keys:
        posted = _decode_posted(key.result)
        home = homes.get(posted.id, ANYONE)
        parts[home].keys.append(key)
        if not key.key.startswith(" "):
            bound.append(key._replace(result=b"%d" % source_of[home], fingerprint=b""))
        elif posted.id not in homes:
            gone[posted.id] = home
    directory: dict[str, bytes] = dict(map(place_entry, places))
    directory |= dict(id_entry(name, source_of[home]) for name, home in ids.items())
    for name, home in gone.items():
        directory |= gone_entries(name, source_of[home], now)
    directory |= [count_entry(len(ids) + len(gone))]
    directory |= key_rows(bound)
    converted = {f"{NAMESPACE}/{name}": _stored(part) for name, part in parts.items()}
    converted[DIRECTORY_ID] = Stored(1, None, directory)
    new = Recorded("per-entity", single_seq=whole.seq, next_source=places[-1].source + 1)
    return Converted(converted, new, len(whole.messages))


def _divide_attempts(whole: _Part, parts: Mapping[str, _Part], homes: Mapping[str, str]) -> None:
    """Each attempt goes where its message is."""
    for attempt in whole.attempts:
        parts[homes.get(attempt.message_id, ANYONE)].attempts.append(attempt)
    for part in parts.values():
        part.ended = len(part.attempts)
    parts[ANYONE].ended += whole.ended - len(whole.attempts)


def to_single(data: Data, recorded: Recorded) -> Converted:
    """The data of ``per-entity`` in one object."""
    places = places_in(data.get(DIRECTORY_ID, Stored()).entries)
    parts = [_part(data.get(f"{NAMESPACE}/{place.name}", Stored())) for place in places]
    times = _different_times(parts)
    whole = _Part([], {}, {}, [], max((part.newest for part in parts), default=0), recorded.single_seq, None)
    whole.gaps = _gaps(parts, recorded.single_seq)
    ordered = [(at, number, message) for number, part in enumerate(parts) for at, message in _by_change(part)]
    for _, number, message in sorted(ordered, key=lambda one: one[:2]):
        whole.seq += 1
        params, timestamp = message.bot_params, times[message.id]
        if params.answered_by is not None and params.answered_by in times:
            params = replace(params, answered_at=times[params.answered_by])
        whole.messages.append(replace(message, timestamp=timestamp, seq=whole.seq, bot_params=params))
        whole.beside[timestamp] = parts[number].beside.get(message.timestamp, {})
        whole.newest = max(whole.newest, timestamp)
    expiries = sum(int(part.common.get(EXPIRIES_KEY, 0)) for part in parts)
    for part in parts:
        whole.common = part.common | whole.common
        whole.keys += part.keys
    whole.common |= {EXPIRIES_KEY: b"%d" % expiries} if expiries else {}
    whole.common[OUTCOMES_KEY], _ = _outcomes(parts, whole.newest)
    whole.ended = sum(part.ended for part in parts)
    whole.attempts = sorted((one for part in parts for one in part.attempts), key=lambda attempt: attempt.ended_at)
    whole.keys.sort(key=lambda key: key.at)
    whole.alarm_at = min((part.alarm_at for part in parts if part.alarm_at is not None), default=None)
    moved = sum(times[message.id] != message.timestamp for part in parts for message in part.messages)
    next_source = max((place.source for place in places), default=0) + 1
    new = Recorded("single", next_source=max(next_source, recorded.next_source))
    return Converted({f"{NAMESPACE}/{QUEUE_NAME}": _stored(whole)}, new, len(whole.messages), moved)


def _outcomes(parts: Collection[_Part], newest: int) -> tuple[bytes, bytes]:
    """The counts of outcomes, for one object; and none, for each of the others."""
    return moved([(part.common.get(OUTCOMES_KEY), part.messages) for part in parts], newest)


def _gaps(parts: Collection[_Part], seq: int) -> list[Gap]:
    """The gaps of one object whose numbers go on from ``seq``.

    Those of an earlier life as one object stay. The others count in numbers that end here: one gap without any number keeps
    their fence, so that no attempt has the number of a lost one (P3).
    """
    gaps = {gap for part in parts for gap in part.gaps}
    earlier = sorted((gap for gap in gaps if gap.first <= seq), key=lambda gap: gap.first)
    if len(earlier) == len(gaps):
        return earlier
    return [*earlier, Gap(seq, seq, max(gap.floor for gap in gaps), max(gap.number for gap in gaps))]


def _part(stored: Stored) -> _Part:
    part = _Part([], {}, {}, kept_keys(stored.entries), int(stored.entries.get(NEWEST_KEY, 0)), stored.seq, stored.alarm_at)
    part.ended, part.attempts = attempts.attempts_in(stored.entries)
    for key, value in sorted(stored.entries.items()):
        kind = next((prefix for prefix in _OF_MESSAGES if key.startswith(prefix)), None)
        if key.startswith(_MESSAGES):
            part.messages.append(decode(split(value)[0]))
        elif kind is not None:
            part.beside.setdefault(int(key.removeprefix(kind)), {})[kind] = value
        elif key in _OF_ALL or key.startswith(erased.PREFIX):
            part.common[key] = value
        elif key == restores.KEY:
            part.gaps = restores.decode(value)
        elif not key.startswith(_MADE_AGAIN):
            raise CannotMigrate(f"the data has an entry {key!r}, which sww migrate does not know")
    part.newest = max([part.newest, *(message.timestamp for message in part.messages)])
    return part


def _stored(part: _Part) -> Stored:
    entries = {key_at(message.timestamp): encode(message) for message in part.messages}
    for timestamp, beside in part.beside.items():
        entries |= {f"{kind}{timestamp:015d}": value for kind, value in beside.items()}
    entries |= part.common | key_rows(part.keys) | attempts.attempt_entries(part.ended, part.attempts)
    entries[NEWEST_KEY] = b"%d" % part.newest
    if part.gaps:
        entries[restores.KEY] = restores.encode(part.gaps)
    return Stored(part.seq, part.alarm_at, entries)


def _shows(message_id: str, home: str) -> bool:
    return len(message_id) == ID_LENGTH and message_id.startswith(route_of(home))


def _by_change(part: _Part) -> Iterator[tuple[int, Message]]:
    """The messages in the order of their last changes, each with a time that is not before the last one's."""
    at = 0
    for message in sorted(part.messages, key=lambda message: (message.seq, message.timestamp)):
        params = message.bot_params
        at = max(at, message.timestamp, params.completed_at or 0, params.claimed_at or 0)
        yield at, message


def _different_times(parts: Collection[_Part]) -> Mapping[str, int]:
    """A timestamp for each message, which no other one has.

    Of several with the same one, the first keeps it. Another one gets the millisecond before, if no message has that: a
    reader has seen both or none of them. Else it gets the next free one, so that a reader may get it once more.
    """
    messages = [message for part in parts for message in part.messages]
    taken = {message.timestamp for message in messages}
    times: dict[str, int] = {}
    given: set[int] = set()
    for message in sorted(messages, key=lambda message: message.timestamp):
        timestamp = message.timestamp
        if timestamp in given:
            free = (at for at in count(timestamp - 1) if at not in taken and at not in given)
            timestamp = next(free)
        given.add(timestamp)
        times[message.id] = timestamp
    return times
