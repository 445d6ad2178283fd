"""Marks in a text that arrives in pieces, each of which may end in the middle of a mark."""

import re
from collections.abc import Iterable
from string import ascii_lowercase, ascii_uppercase
from typing import NamedTuple

_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
"""Unlike ``str.lower`` it never changes the length."""


class Mark(NamedTuple):
    """A mark that was found, in lower case if the case does not matter, and where it stands."""

    text: str
    start: int
    end: int


class Marks:
    """Some literal marks. With ``any_case`` the case of ASCII letters does not matter."""

    def __init__(self, marks: Iterable[str], *, any_case: bool = False) -> None:
        self._any_case = any_case
        self._marks = sorted({self._plain(mark) for mark in marks if mark}, key=len, reverse=True)
        # Without marks this pattern matches nothing.
        self._pattern = re.compile("|".join(map(re.escape, self._marks)) or "(?!)")
        self._first = {mark[0] for mark in self._marks}
        self._longest = max(map(len, self._marks), default=0)

    def find(self, text: str, *, is_end: bool) -> tuple[int, Mark | None]:
        """How far ``text`` is free of marks, and the mark that ends this part, if one does.

        Unless ``is_end``, that part also ends where a mark may have begun that the next piece decides.
        """
        plain = self._plain(text)
        found = self._pattern.search(plain)
        open_from = len(text) if is_end else self._open_from(plain)
        if found and found.start() < open_from:
            return found.start(), Mark(found.group(), *found.span())
        return open_from, None

    def _plain(self, text: str) -> str:
        return text.translate(_LOWER) if self._any_case else text

    def _open_from(self, text: str) -> int:
        """Where the longest end of ``text`` begins that is the beginning of a mark, and not the whole of it."""
        for start in range(max(len(text) - self._longest + 1, 0), len(text)):
            if text[start] in self._first:
                end = text[start:]
                if any(mark.startswith(end) and mark != end for mark in self._marks):
                    return start
        return len(text)
