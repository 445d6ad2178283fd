"""QueueShard: one of the several objects of a wall, with what the wall over them needs to know."""

from hashlib import blake2b

import msgspec
from msgspec import UNSET, Raw, Struct
from msgspec.structs import replace

import durable_objects
from durable_objects import Context, KeyReused
from saywhatwant.limits import ID_LENGTH
from saywhatwant.message import ID_ALPHABET, Message, NewMessage, Posted, random_id
from saywhatwant.queue.batch import choose
from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.directory import ANYONE, DIRECTORY, Directory
from saywhatwant.queue.memory import turns_before
from saywhatwant.queue.object import MessageQueue
from saywhatwant.queue.restores import Gap, is_lost
from saywhatwant.queue.state import NEWEST_KEY
from saywhatwant.queue.stored import key_at, split
from saywhatwant.schemas import BatchRequest, BatchResponse

ROUTE_LENGTH = 2


def route_of(name: str) -> str:
    """The first characters of the ids that the object called ``name`` makes; objects may share them."""
    number = int.from_bytes(blake2b(name.encode(), digest_size=8).digest())
    first, second = divmod(number % len(ID_ALPHABET) ** ROUTE_LENGTH, len(ID_ALPHABET))
    return ID_ALPHABET[first] + ID_ALPHABET[second]


class ShardHead(Struct, frozen=True):
    """How far an object is: its last commit, and its floor. All its later timestamps are greater than the floor."""

    seq: int
    floor: int
    backlog: int
    """Its unfinished messages."""
    gaps: list[Gap] = []
    """Which of its commits were lost."""

    def knows(self, position: int) -> bool:
        """Whether all commits up to this one are commits of this object."""
        return position <= self.seq and not is_lost(self.gaps, position)


class Part(Struct, frozen=True):
    """An object's part of a page, read at the commit ``seq``; with its floor."""

    seq: int
    floor: int
    messages: list[Raw]
    cut_at: int | None = None
    """See ``read_cache.Page``."""


class Selection(Struct, frozen=True):
    """Which messages a page has; see ``MessageQueue.read``."""

    since: int = 0
    limit: int | None = None
    newest_first: bool = True
    before: int | None = None
    conversation: str | None = None


class _Named(Struct, frozen=True):
    id: str


_named = msgspec.json.Decoder(_Named).decode


class ReadyMessage(Struct, frozen=True):
    """A claimable message as a claim over several objects compares it."""

    urgency: int
    """The most urgent has the lowest; see ``index.Index.ready``."""
    priority: int
    id: str
    to_anyone: bool
    username: str
    color: str
    color_tail: str | None
    session_id: str | None
    assigned_entity: str | None


class QueueShard(MessageQueue):
    """A ``MessageQueue`` that has a part of the wall."""

    def __init__(self, ctx: Context, config: QueueConfig) -> None:
        super().__init__(ctx, config)
        self._route = route_of(ctx.name)

    def post(self, new: NewMessage, elsewhere: int = 0) -> Posted:
        """See ``MessageQueue.post``. Raises ``KeyReused`` for a message of another object: its key belongs to this one."""
        if new.message_type == "human" and self.ctx.name not in {ANYONE, ANYONE + (new.entity or "")}:
            raise KeyReused(f"this key was used for a message of {self.ctx.name!r}; use a new one for each message")
        return super().post(new, elsewhere)

    # -- Pages

    @durable_objects.read
    def head(self) -> ShardHead:
        """How far this object is."""
        return ShardHead(self.ctx.seq, self._index.last_timestamp, self._index.backlog, list(self._gaps))

    @durable_objects.read
    def part(self, selection: Selection) -> Part:
        """This object's part of a page: those of its messages that the page may have."""
        return self._part(selection, self.ctx.seq)

    def fence(self, floor: int, selection: Selection) -> Part:
        """Raise the floor to at least ``floor``, and return ``part``: it has all that there will ever be up to the floor.

        Writes only if the floor is lower.
        """
        if floor <= self._index.last_timestamp:
            return self._part(selection, self.ctx.seq)
        self._index.last_timestamp = floor
        self.ctx.storage.put(NEWEST_KEY, b"%d" % floor)
        return self._part(selection, self.ctx.seq + 1)

    def _part(self, wanted: Selection, seq: int) -> Part:
        messages, cut_at = self._index.between(
            wanted.since, wanted.before, wanted.limit, newest_first=wanted.newest_first, conversation=wanted.conversation
        )
        return Part(seq, self._index.last_timestamp, list(map(Raw, messages)), cut_at)

    # -- Work

    @durable_objects.read
    def ready(self, limit: int, entities: tuple[str, ...] | None = None, woken_for: tuple[str, ...] = ()) -> list[ReadyMessage]:
        """Up to ``limit`` messages that ``claim_next`` would take, in its order."""
        found = self._chosen(limit, None if entities is None else (*entities, None), woken_for)
        return [_ready(message, self._config.aging_ms) for message in found]

    @durable_objects.read
    def work(self, message_id: str) -> ReadyMessage:
        """The same of one message in any state; raises ``UnknownMessage``."""
        return _ready(self._known(message_id), self._config.aging_ms)

    @durable_objects.read
    def check_batch(self, request: BatchRequest) -> None:
        """Raise what ``batch`` would raise."""
        choose(self._index, request)

    def batch_some(self, request: BatchRequest, limit: int, by: str | None = None) -> BatchResponse:
        """The same as ``batch``, for up to ``limit`` messages."""
        chosen, more = choose(self._index, request)
        if not chosen[:limit]:
            return BatchResponse([], bool(chosen))
        some = replace(request, entity=None, all=None, message_ids=[message.id for message in chosen[:limit]])
        return BatchResponse(self.batch(some, by).changed, more or len(chosen) > limit)

    # -- Review

    def end_held(self, message_id: str) -> None:
        """See ``TakesReviewed``. An id that a client has made is free again in a day."""
        if not self._may_have_made(message_id):
            self.ctx.send(DIRECTORY, Directory.forget, message_id)

    # -- Talks

    @durable_objects.read
    def last_turns(self, conversations: tuple[str, ...]) -> list[int]:
        """The timestamp of the newest message of each of these talks; 0 if there is none. Exact for the newest of them."""
        return self._index.last_in_talks(conversations)

    @durable_objects.read
    def turns(self, conversation: str, before: int, limit: int) -> list[Raw]:
        """The turns of a talk before this time, as ``memory.talk_of`` has them."""
        return list(map(Raw, turns_before(self._index, conversation, before, limit)))

    # -- Changes

    def _remove(self, timestamp: int) -> None:
        stored = self.ctx.storage.get(key_at(timestamp))
        super()._remove(timestamp)
        if stored is not None:
            message_id = _named(split(stored)[0]).id
            if not self._may_have_made(message_id):
                self.ctx.send(DIRECTORY, Directory.forget, message_id)

    def _may_have_made(self, message_id: str) -> bool:
        return len(message_id) == ID_LENGTH and message_id.startswith(self._route)

    def _new_id(self) -> str:
        while (message_id := self._route + random_id(self.ctx.random)[ROUTE_LENGTH:]) in self._index:
            pass
        return message_id


def _ready(message: Message, aging_ms: int) -> ReadyMessage:
    params = message.bot_params
    return ReadyMessage(
        urgency=params.priority * aging_ms + message.timestamp,
        priority=params.priority,
        id=message.id,
        to_anyone=params.entity is None,
        username=message.username,
        color=message.color,
        color_tail=None if message.color_tail is UNSET else message.color_tail,
        session_id=None if params.session_id is UNSET else params.session_id,
        assigned_entity=None if params.assigned_entity is UNSET else params.assigned_entity,
    )
