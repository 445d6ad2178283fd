"""Posts that wait for an operator's review."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import Literal

import msgspec
from msgspec import Struct

from durable_objects import DurableObject, Storage
from saywhatwant.limits import MAX_DECISIONS
from saywhatwant.message import NewMessage

Decision = Literal["approved", "rejected"]

_POSTS = "held/"
_ORDER = "waiting/"
_COUNT = "held"
_DECIDED = "decided"


class HeldPost(Struct, frozen=True, kw_only=True):
    """A post, with the id that its message will have."""

    id: str
    at: int
    """When it was posted, in milliseconds since 1970."""
    phrase: str
    """What it is held for."""
    new: NewMessage


class TakesReviewed(DurableObject, ABC):
    """What an object with messages takes once a post is reviewed. It is sent, so each is taken once."""

    @abstractmethod
    def post_held(self, new: NewMessage) -> None:
        """The post is approved: make its message."""

    @abstractmethod
    def end_held(self, message_id: str) -> None:
        """The post is rejected: there will be no message with this id."""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(HeldPost).decode
_decode_decided = msgspec.json.Decoder(list[tuple[str, Decision]]).decode


class HeldPosts:
    """Those of one ``Moderation``. Nothing is read before it is needed: most calls are about the rules."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def __len__(self) -> int:
        return self._count

    @cached_property
    def _count(self) -> int:
        return int(self._storage.get(_COUNT) or 0)

    @cached_property
    def _decided(self) -> dict[str, Decision]:
        """What was decided lately, the last one at the end."""
        return dict(_decode_decided(self._storage.get(_DECIDED) or b"[]"))

    def get(self, message_id: str) -> HeldPost | None:
        """The post with this id, if it waits."""
        stored = self._storage.get(_POSTS + message_id)
        return None if stored is None else _decode(stored)

    def decision(self, message_id: str) -> Decision | None:
        """What was decided of it, if that was one of the last ``MAX_DECISIONS``."""
        return self._decided.get(message_id)

    def oldest(self, limit: int) -> Iterator[HeldPost]:
        """Up to ``limit`` of them, the one that has waited longest first."""
        after = ""
        while limit and (page := self._storage.list(_ORDER, after=after, limit=limit)):
            for after, _ in page:
                post = self.get(after.rpartition("/")[2])
                # Rows of earlier versions may have lost their post: an id held twice replaced the first one.
                if post is not None and _order(post) == after:
                    limit -= 1
                    yield post

    def add(self, post: HeldPost) -> None:
        """Keep a post until its review. None with its id may wait."""
        if self._decided.pop(post.id, None) is not None:  # of an earlier post with the same id, more than a day ago
            self._store_decided()
        self._storage.put(_POSTS + post.id, _encode(post))
        self._storage.put(_order(post), b"")
        self._change_count(1)

    def end(self, post: HeldPost, decision: Decision) -> None:
        """The post does not wait any more."""
        self._storage.delete(_POSTS + post.id)
        self._storage.delete(_order(post))
        self._change_count(-1)
        self._decided[post.id] = decision
        if len(self._decided) > MAX_DECISIONS:
            del self._decided[next(iter(self._decided))]
        self._store_decided()

    def _change_count(self, change: int) -> None:
        self._count += change
        self._storage.put(_COUNT, b"%d" % self._count)

    def _store_decided(self) -> None:
        self._storage.put(_DECIDED, _encode(list(self._decided.items())))


def _order(post: HeldPost) -> str:
    return f"{_ORDER}{post.at:015d}/{post.id}"
