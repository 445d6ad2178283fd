"""The report on talks: whether each entity remembered its visitor's fact, and no other's."""

import re
from collections.abc import Iterable, Sequence
from itertools import chain

from msgspec import Struct

from saywhatwant.stress.report import share_of
from saywhatwant.stress.talk import Exchange, Talk

_WORD = re.compile(r"\w+")


class TalkMiss(Struct, frozen=True):
    """One failure in one talk."""

    talk: int
    message_id: str | None
    what: str


class MemoryReport(Struct, frozen=True):
    """``misses`` is empty only if every message has one answer, every fact was remembered, and none was told to a stranger."""

    talks: int
    messages: int
    remembered: int
    """Talks whose last answer has the fact that the first message told."""
    forgotten: int
    """Talks whose last answer does not have it."""
    strangers: int
    """Answers that have a fact of another talk."""
    unanswered: int
    """Messages without an answer; those that were never posted count too."""
    doubled: int
    """Messages with more than one answer."""
    latencies: tuple[float, ...]
    """Seconds from the first attempt to post a message until its answer was read, shortest first."""
    misses: tuple[TalkMiss, ...]

    def latency(self, share: float) -> float | None:
        """The latency that this share of the answers did not exceed; None without any answer."""
        return share_of(self.latencies, share)


def report_on_talks(talks: Sequence[Talk]) -> MemoryReport:
    """The report on what came back."""
    owners = {talk.word: talk.number for talk in talks}
    exchanges = [exchange for talk in talks for exchange in talk.exchanges]
    strangers = [
        (talk, exchange, told) for talk in talks for exchange in talk.exchanges for told in _told(talk, exchange, owners)
    ]
    asked = [talk for talk in talks if talk.exchanges[-1].answers]
    forgotten = [talk for talk in asked if talk.word not in _words(talk.exchanges[-1])]
    return MemoryReport(
        talks=len(talks),
        messages=len(exchanges),
        remembered=len(asked) - len(forgotten),
        forgotten=len(forgotten),
        strangers=len({exchange.id for _, exchange, _ in strangers}),
        unanswered=sum(not exchange.answers for exchange in exchanges),
        doubled=sum(len(exchange.answers) > 1 for exchange in exchanges),
        latencies=tuple(sorted(exchange.seconds for exchange in exchanges if exchange.seconds is not None)),
        misses=tuple(
            chain(
                (
                    TalkMiss(talk.number, exchange.id, f"an answer has the fact of talk {owner + 1}")
                    for talk, exchange, owner in strangers
                ),
                (TalkMiss(talk.number, talk.exchanges[-1].id, f"{talk.word!r} was forgotten") for talk in forgotten),
                *(_faults(talk) for talk in talks),
            )
        ),
    )


def _words(exchange: Exchange) -> set[str]:
    return {word for answer in exchange.answers for word in _WORD.findall(answer.text.casefold())}


def _told(talk: Talk, exchange: Exchange, owners: dict[str, int]) -> list[int]:
    """The other talks whose facts are in the answer."""
    return sorted(owners[word] for word in _words(exchange) & owners.keys() if word != talk.word)


def _faults(talk: Talk) -> Iterable[TalkMiss]:
    for exchange in talk.exchanges:
        if not exchange.answers:
            what = "has no answer" if exchange.id else "was not accepted"
            yield TalkMiss(
                talk.number, exchange.id, f"{exchange.text!r} {what}{f': {exchange.error}' if exchange.error else ''}"
            )
            return  # what comes after it was not posted
        if len(exchange.answers) > 1:
            yield TalkMiss(talk.number, exchange.id, f"{exchange.text!r} has more than one answer")
