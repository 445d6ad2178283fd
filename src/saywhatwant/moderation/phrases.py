"""Words and phrases in a text.

Text is compared as words, after Unicode normalization: compatibility forms are made the same (NFKC), and so are upper and
lower case (``casefold``); characters that nobody sees are dropped. Whatever stands between two words counts as one space.
Scripts that put no spaces between words (Han, Kana, Thai, Lao, Burmese, Khmer) have a word for each character.

What this does not find: other spellings (``sp4m``, ``s p a m``, a Cyrillic letter that looks like a Latin one), other forms of
a word (``spammer``), letters with other accents, and words inside longer ones.

Operators give no regular expressions. Python's ``re`` backtracks, so that one post could keep a server busy for years with a
pattern such as ``(a+)+b``, and the engines that take linear time do not run on Pyodide. Here each word of a text is looked up
in a table, a bounded number of times: the time grows with the text, and not with the number of phrases.
"""

import re
from collections.abc import Iterable
from unicodedata import normalize

_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0]"
)
"""The common ones of what Unicode calls default ignorable: soft hyphen, joiners, zero-width spaces, directions, variations."""

_ALONE = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Characters of scripts without spaces."""

_WORD = re.compile(rf"[{_ALONE}]|(?:[^\W_{_ALONE}][\u0300-\u036f]*)+")


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, in the form in which they are compared."""
    if text.isascii():
        return tuple(_WORD.findall(text.lower()))
    plain = normalize("NFKC", normalize("NFKC", _UNSEEN.sub("", text)).casefold())
    return tuple(_WORD.findall(plain))


class Phrases:
    """A set of phrases, each of one or more words as ``words_of`` gives them."""

    def __init__(self, phrases: Iterable[tuple[str, ...]]) -> None:
        self._phrases = frozenset(phrases)
        self._lengths: dict[str, tuple[int, ...]] = {}
        """How many words the phrases have that begin with a word."""
        for phrase in self._phrases:
            self._lengths[phrase[0]] = tuple(sorted({*self._lengths.get(phrase[0], ()), len(phrase)}))

    def __len__(self) -> int:
        return len(self._phrases)

    def find(self, words: tuple[str, ...]) -> tuple[str, ...] | None:
        """The first of the phrases that these words have, next to each other and in order."""
        if self._lengths.keys().isdisjoint(words):
            return None
        for start, word in enumerate(words):
            for length in self._lengths.get(word, ()):
                phrase = words[start : start + length]
                if phrase in self._phrases:
                    return phrase
        return None
