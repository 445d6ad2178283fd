"""How many tokens a text has, without the model's own tokenizer.

Close for English prose; too high or too low by up to a half for code, rare names and other scripts, about which tokenizers
differ as much among themselves. What a server counts corrects it (see ``Window``).
"""

import re
from collections.abc import Callable

PER_TURN = 8
"""Tokens that a chat template adds to each turn."""

_PARTS = re.compile(r"[A-Za-z]+|[0-9]|[^\sA-Za-z0-9\u0080-\U0010ffff]|\n")
_LONGER = re.compile(r"[A-Za-z]{6}(?=[A-Za-z])")
"""Each six letters of a word beyond the first ones are a token more."""
_NOISE = re.compile(r"[A-Za-z]{24,}")
"""No word of a language any more, but a key, a path or noise: two letters a token."""
_SPACES = re.compile(r"[^\S\n]{2,4}")
"""One space belongs to the word behind it; of a longer run each four are a token."""
_EXTRA_BYTES = 0.75
"""Tokens for each byte that UTF-8 needs beyond one per character."""


def tokens_of(text: str) -> int:
    """The estimated tokens of ``text``."""
    parts = sum(len(pattern.findall(text)) for pattern in (_PARTS, _LONGER, _SPACES))
    noise = sum(len(part) // 3 for part in _NOISE.findall(text))
    extra = len(text.encode(errors="replace")) - len(text)
    return parts + noise + int(extra * _EXTRA_BYTES)


def cut_end(text: str, tokens: int) -> str:
    """``text``, or as much of its beginning as has ``tokens``, with a mark where it is cut."""
    return _fitting(text, tokens, lambda kept: text[:kept].rstrip() + "…")


def cut_middle(text: str, tokens: int) -> str:
    """``text``, or as much of its beginning and end as has ``tokens``, with a mark where it is cut."""
    return _fitting(text, tokens, lambda kept: f"{text[: kept - kept // 2]} … {text[len(text) - kept // 2 :]}")


def _fitting(text: str, tokens: int, cut: Callable[[int], str]) -> str:
    """``text`` if it fits, else the longest ``cut(kept)`` that does; at least a mark."""
    if tokens_of(text) <= tokens:
        return text
    fits, too_long = 0, len(text)
    while too_long - fits > 1:
        kept = (fits + too_long) // 2
        if tokens_of(cut(kept)) <= tokens:
            fits = kept
        else:
            too_long = kept
    return cut(fits).strip()
