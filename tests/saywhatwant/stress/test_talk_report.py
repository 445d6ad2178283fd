"""The report of ``sww stress --talks``, on hand-made talks: it must find every fault."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saywhatwant.message import BotParams, Message
from saywhatwant.stress.memory import MemoryReport, report_on_talks
from saywhatwant.stress.talk import ASK, Talk, make_talks

TALKS, BETWEEN = 4, 2


def answer(text: str, number: int = 1) -> Message:
    return Message(
        id=f"answer{number:04d}",
        timestamp=number,
        text=text,
        username="Eliza",
        color="169080199",
        message_type="AI",
        reply_to="question",
        bot_params=BotParams(status="complete"),
    )


def held() -> list[Talk]:
    """Talks in which all went well."""
    talks = make_talks(TALKS, BETWEEN, Random(1))
    for talk in talks:
        for number, exchange in enumerate(talk.exchanges):
            exchange.id, exchange.seconds = f"question{talk.number}{number}", 0.5
            exchange.answers = [answer("I see.")]
        talk.exchanges[-1].answers = [answer(f"It is {talk.word.upper()}, of course.")]
    return talks


def figures(report: MemoryReport) -> tuple[int, int, int, int, int]:
    return report.remembered, report.forgotten, report.strangers, report.unanswered, report.doubled


def test_talks_that_went_well_have_no_misses() -> None:
    report = report_on_talks(held())
    assert figures(report) == (TALKS, 0, 0, 0, 0)
    assert (report.talks, report.messages, report.misses) == (TALKS, TALKS * (BETWEEN + 2), ())
    assert report.latency(0.5) == 0.5


def forget(talks: list[Talk]) -> None:
    talks[1].exchanges[-1].answers = [answer("I do not know.")]


def confuse(talks: list[Talk]) -> None:
    talks[1].exchanges[-1].answers = [answer(f"It is {talks[2].word}.")]


def gossip(talks: list[Talk]) -> None:
    talks[1].exchanges[1].answers = [answer(f"Somebody said {talks[2].word}.")]


def keep_silent(talks: list[Talk]) -> None:
    for exchange in talks[1].exchanges[1:]:
        exchange.id, exchange.answers, exchange.seconds = None, [], None
    talks[1].exchanges[1].id, talks[1].exchanges[1].error = "question11", "the model refused"


def answer_twice(talks: list[Talk]) -> None:
    talks[1].exchanges[0].answers.append(answer("I see.", 2))


@pytest.mark.parametrize(
    ("spoil", "expected", "words"),
    [
        (forget, (3, 1, 0, 0, 0), ["was forgotten"]),
        (confuse, (3, 1, 1, 0, 0), ["an answer has the fact of talk 3", "was forgotten"]),
        (gossip, (4, 0, 1, 0, 0), ["an answer has the fact of talk 3"]),
        (keep_silent, (3, 0, 0, 3, 0), ["has no answer: the model refused"]),
        (answer_twice, (4, 0, 0, 0, 1), ["has more than one answer"]),
    ],
)
def test_every_fault_is_found(
    spoil: Callable[[list[Talk]], None], expected: tuple[int, int, int, int, int], words: list[str]
) -> None:
    talks = held()
    spoil(talks)
    report = report_on_talks(talks)
    assert figures(report) == expected
    assert [miss.talk for miss in report.misses] == [1] * len(words)
    assert all(miss.what.endswith(end) for miss, end in zip(report.misses, words, strict=True))


@given(number=st.integers(1, 300), between=st.integers(0, 20), seed=st.integers())
def test_each_talk_has_its_own_visitor_and_its_own_fact_told_first_and_asked_last(number: int, between: int, seed: int) -> None:
    talks = make_talks(number, between, Random(seed))
    assert len({talk.word for talk in talks}) == len({(talk.username, talk.color) for talk in talks}) == len(talks) == number
    for talk in talks:
        assert len(talk.exchanges) == between + 2
        assert talk.word in talk.exchanges[0].text
        assert talk.exchanges[-1].text == ASK
        assert not any(other.word in exchange.text for other in talks[:10] for exchange in talk.exchanges[1:])
