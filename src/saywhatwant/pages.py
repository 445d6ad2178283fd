"""Reads of the wall as they are on the wire, put together once for all who ask the same before the next commit."""

from collections.abc import Callable, Hashable, Iterable
from functools import cached_property

MAX_PAGES = 4
"""Pages kept; each may be as large as the wall."""


class Page:
    """Messages as they are on the wire, and the commit they were read at."""

    def __init__(self, seq: int, messages: Iterable[bytes]) -> None:
        self.seq = seq
        self.messages = tuple(messages)

    @cached_property
    def body(self) -> bytes:
        """All of them as a JSON list."""
        return b"[%b]" % b",".join(self.messages)


class Pages:
    """The last pages that were read, while they are still true."""

    def __init__(self) -> None:
        self._pages: dict[Hashable, Page] = {}

    def get(self, query: Hashable, seq: int, read: Callable[[], list[bytes]]) -> Page:
        """The page of ``query`` at the commit ``seq``, read anew where none is kept."""
        page = self._pages.get(query)
        if page is None or page.seq != seq:
            self._pages.pop(query, None)
            while len(self._pages) >= MAX_PAGES:
                del self._pages[next(iter(self._pages))]
            page = self._pages[query] = Page(seq, read())
        return page
