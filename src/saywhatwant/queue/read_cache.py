"""A cache of encoded reads: equal reads between two commits are encoded once."""

from collections.abc import Callable, Hashable, Iterable
from typing import Final

from msgspec import Raw, Struct

from saywhatwant.limits import MAX_CACHED_READS

NOTHING: Final = Raw(b"[]")
"""The body of a page without messages."""


class Page(Struct, frozen=True):
    """Messages as one JSON list, and the commit they were read at."""

    seq: int
    body: Raw
    cut_at: int | None = None
    """If ``MAX_ANSWER_BYTES`` cut the list, the timestamp of its last message, where the next page continues."""

    @property
    def etag(self) -> bytes:
        """The commit as a strong ETag."""
        return b'"%d"' % self.seq


class Changes(Struct, frozen=True):
    """Encoded messages, and the commit up to which they are all changes."""

    seq: int
    messages: list[Raw]
    more: bool = False
    """Whether later commits have changed more."""
    reset: bool = False
    """Whether these are all messages, because the position was of another time: what its reader knows is not what is here."""


class ReadCache:
    """The last pages that were read, until the next commit."""

    def __init__(self) -> None:
        self._seq = 0
        self._pages: dict[Hashable, Page] = {}

    def get(self, query: Hashable, seq: int, read: Callable[[], tuple[Iterable[bytes], int | None]]) -> Page:
        """The page of ``query`` at the commit ``seq``; ``read`` is called when it is not cached."""
        if seq != self._seq:
            self._seq = seq
            self._pages.clear()
        page = self._pages.pop(query, None)
        if page is None:
            if len(self._pages) >= MAX_CACHED_READS:
                del self._pages[next(iter(self._pages))]
            page = page_of(seq, *read())
        self._pages[query] = page
        return page


def page_of(seq: int, encoded: Iterable[bytes], cut_at: int | None = None) -> Page:
    """A page with these messages."""
    return Page(seq, as_list(encoded), cut_at)


def as_list(encoded: Iterable[bytes]) -> Raw:
    """These messages as one JSON list."""
    return Raw(b"[%b]" % b",".join(encoded))
