"""What the rules say of a post, from memory."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from msgspec import UNSET

from saywhatwant.errors import Banned, RequestRefused, WordNotAllowed
from saywhatwant.message import NewMessage
from saywhatwant.moderation.phrases import Phrases, words_of
from saywhatwant.moderation.prefixes import PrefixTable, network_of
from saywhatwant.moderation.rules import Ban, Filter, FilterAction, Rules

Person = tuple[str, str, str | None]
"""Name, color and tail; None for every tail."""


class Verdict(NamedTuple):
    """A post is refused, or waits for review because it has a phrase."""

    refusal: RequestRefused | None = None
    held_for: str | None = None


PASSED = Verdict()


class Ruleset:
    """The rules of one moment, in tables: a post costs a few look-ups, however many rules there are."""

    def __init__(self, rules: Rules = Rules(), now: int = 0) -> None:  # noqa: B008 - a frozen default
        """Take over the rules that are in force at ``now``, in milliseconds since 1970."""
        self.rules = rules
        bans = [ban for ban in rules.bans if ban.until > now]
        self.changes_at = min((ban.until for ban in bans), default=None)
        """When the next ban ends."""
        self._persons: dict[Person, Ban] = {(*_named(ban), ban.color_tail or None): ban for ban in bans if ban.address is UNSET}
        self._networks = PrefixTable([(network_of(ban.address), ban) for ban in bans if ban.address is not UNSET])
        self._filters = {words_of(found.phrase): found for found in rules.filters}
        self._phrases: dict[FilterAction, Phrases] = {
            action: Phrases(words for words, found in self._filters.items() if found.action == action)
            for action in ("refuse", "hold")
        }
        self.is_empty = not (bans or self._filters or rules.slow_seconds)

    def judge(self, new: NewMessage, host: str | None) -> Verdict:
        """What becomes of a post from this address; slow mode is another matter."""
        if ban := self._ban(new, host):
            return Verdict(
                refusal=Banned("from this name and color" if ban.address is UNSET else "from here", _time(ban.until))
            )
        if not self._filters:
            return PASSED
        texts = [(field, words_of(text)) for field, text in _texts(new)]
        for field, words in texts:
            if found := self._phrases["refuse"].find(words):
                return Verdict(refusal=WordNotAllowed(field, self._filters[found].phrase))
        for _, words in texts:
            if found := self._phrases["hold"].find(words):
                return Verdict(held_for=self._filters[found].phrase)
        return PASSED

    def _ban(self, new: NewMessage, host: str | None) -> Ban | None:
        named = (new.username, new.color)
        of_person = self._persons.get((*named, None)) or self._persons.get((*named, new.color_tail))
        return of_person or (None if host is None else self._networks.find(host))


def _named(ban: Ban) -> tuple[str, str]:
    return ban.username or "", ban.color or ""


def _texts(new: NewMessage) -> Iterator[tuple[str, str]]:
    """What others would read of a post, by the names of the fields."""
    yield "text", new.text
    yield "username", new.username
    if new.ais is not None:
        yield "botParams.ais", new.ais.rpartition(":")[0]


def _time(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%Y-%m-%d %H:%M} UTC"


def filter_of(rules: Rules, phrase: str) -> Filter | None:
    """The filter for a phrase, however it is written."""
    words = words_of(phrase)
    return next((found for found in rules.filters if words_of(found.phrase) == words), None)
