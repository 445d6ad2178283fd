"""JSON that is nested too deep, found before it is decoded.

The decoder calls itself for each level. Elsewhere it stops in time with an error; in WebAssembly the stack ends without a
warning, and with it the interpreter of all requests (P8). Nothing here nests more than a few levels.
"""

import re

from saywhatwant.errors import MalformedBody

MAX_DEPTH = 100
"""Levels of arrays and objects. About 1,000 were still decoded on workerd, and 3,000 were not."""

_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]|"', re.DOTALL)


class Nesting:
    """Counts the levels of one text in UTF-8 that comes in pieces."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._opened = 0

    def check(self, piece: bytes) -> None:
        """Take the next piece; raises ``MalformedBody``."""
        self._pieces.append(piece)
        self._opened += piece.count(b"[") + piece.count(b"{")
        if self._opened > MAX_DEPTH:  # else it is not deep, and most texts have not so many
            whole = b"".join(self._pieces)
            self._pieces = [whole]
            if _depth(whole) > MAX_DEPTH:
                raise MalformedBody("it is JSON nested too deep")


def _depth(text: bytes) -> int:
    """The most levels that are open at one place, brackets in strings aside."""
    depth = deepest = 0
    for token in _TOKENS.finditer(text):
        match token[0]:
            case b"[" | b"{":
                depth += 1
                deepest = max(deepest, depth)
            case b"]" | b"}":
                depth = max(depth - 1, 0)
            case b'"':  # a string that has not ended yet
                break
    return deepest
