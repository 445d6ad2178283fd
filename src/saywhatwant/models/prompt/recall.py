"""Finds what an earlier part of a talk has to do with a question, by the rare words that they share.

The measure is inverse document frequency (Spärck Jones, 1972), with each exchange as a document: of two words in a question the
rarer one decides. It needs no model, no index and no list of words, so it works in any language.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from math import log

from saywhatwant.models.prompt.exchanges import Exchange
from saywhatwant.models.prompt.tokens import PER_TURN, cut_end, tokens_of

_WORD = re.compile(r"[^\W_]+")
_UNSPACED = re.compile("[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]")
"""Scripts that put no space between words."""
_SENTENCE = re.compile(r"(?<=[.!?。！？\n])\s*")  # noqa: RUF001 - of other scripts
_STEM = 6
"""Letters that tell words apart: "remembered" and "remember" are one."""
_QUESTION = 0.5
"""What the words of a question count: a talk has the same one again and again, and the fact once."""


def words_of(text: str) -> set[str]:
    """The words of a text, in a form that is equal for words that belong together."""
    return {form for word in {*_WORD.findall(text.casefold())} for form in _forms_of(word)}


@lru_cache(maxsize=50_000)
def _forms_of(word: str) -> tuple[str, ...]:
    if _UNSPACED.search(word):
        return tuple(word[at : at + 2] for at in range(max(len(word) - 1, 1)))
    return ((word.removesuffix("s") or word)[:_STEM],)


def recall(exchanges: Sequence[Exchange], question: str, older: int, room: int) -> dict[int, Exchange]:
    """Those of the first ``older`` exchanges that share rare words with ``question``, best first, up to ``room`` tokens.

    Returns them by position; of one that is too long, only the sentences with those words.
    """
    wanted = words_of(question)
    found = [(wanted & words_of(said), wanted & words_of(answer)) for said, answer in exchanges]
    frequency = Counter(word for said, answer in found for word in said | answer)
    weights = {word: log((len(exchanges) + 1) / count) for word, count in frequency.items()}
    newest = {said: place for place, (said, _) in enumerate(exchanges[:older])}
    scores = {place: _score(exchanges[place].said, *found[place], weights) for place in newest.values() if any(found[place])}
    recalled: dict[int, Exchange] = {}
    for place in sorted(scores, key=lambda place: (scores[place], place), reverse=True):
        exchange = exchanges[place]
        if cost_of(exchange) > room:
            exchange = _excerpt(exchange, weights, room)
        if exchange.said and cost_of(exchange) <= room:
            recalled[place] = exchange
            room -= cost_of(exchange)
    return recalled


def cost_of(exchange: Exchange) -> int:
    """The estimated tokens of an exchange in a prompt."""
    return sum(tokens_of(text) + PER_TURN for text in exchange if text)


def _score(said: str, in_said: set[str], in_answer: set[str], weights: dict[str, float]) -> float:
    is_question = said.rstrip().endswith(("?", "？"))  # noqa: RUF001 - the question mark of Chinese and Japanese
    return max(_weight(in_said, weights) * (_QUESTION if is_question else 1), _weight(in_answer, weights) * _QUESTION)


def _weight(words: set[str], weights: dict[str, float]) -> float:
    return sum(weights.get(word, 0) for word in words)


def _excerpt(exchange: Exchange, weights: dict[str, float], room: int) -> Exchange:
    """The sentence of each side that has most to do with the question."""

    def best(text: str, tokens: int) -> str:
        sentences = _SENTENCE.split(text)
        return cut_end(max(sentences, key=lambda sentence: _weight(words_of(sentence), weights)), tokens)

    half = room // 2 - PER_TURN
    if half <= PER_TURN:
        return Exchange("")
    return Exchange(best(exchange.said, half), best(exchange.answer, half) if exchange.answer else "")
