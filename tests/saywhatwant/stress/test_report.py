"""The report of ``sww stress``, on hand-made observations: it must find every fault."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saywhatwant.message import BotParams, Message
from saywhatwant.stress.observation import Observation, Probe
from saywhatwant.stress.report import Report, report_on

TABS = 3
Observations = list[list[Observation]]


def question(number: int, *, message_id: str | None = None, text: str | None = None, at: float = 1.0) -> Observation:
    message = Message(
        id=message_id or f"question{number:02d}",
        timestamp=number,
        text=text or f"message {number}",
        username="Tab",
        color="169080199",
        message_type="human",
        reply_to=None,
        bot_params=BotParams(status="pending"),
    )
    return Observation(at, message)


def answer(number: int, *, message_id: str | None = None, to: str | None = None, at: float = 2.0) -> Observation:
    message = Message(
        id=message_id or f"answer{number:04d}",
        timestamp=100 + number,
        # An entity may repeat the message.
        text=f"message {number}",
        username="Eliza",
        color="169080199",
        message_type="AI",
        reply_to=to or f"question{number:02d}",
        bot_params=BotParams(status="complete"),
    )
    return Observation(at, message)


def probe(number: int = 0, *, tab: int = 0, accepted: bool = True) -> Probe:
    return Probe(
        number=number,
        tab=tab,
        text=f"message {number}",
        begun=0.5,
        begun_ms=500,
        id=f"question{number:02d}" if accepted else None,
    )


def whole(messages: int = 1) -> Observations:
    """What the tabs read when nothing goes wrong."""
    return [[seen for number in range(messages) for seen in (question(number), answer(number))] for _ in range(TABS)]


def figures(report: Report) -> tuple[int, int, int, int]:
    return report.delivered, report.answered_once, report.doubled, report.missed


def misses(report: Report) -> list[tuple[str, tuple[int, ...]]]:
    return [(miss.what, miss.tabs) for miss in report.misses]


def test_p4_no_miss_when_every_tab_saw_every_message_and_one_answer() -> None:
    report = report_on([probe(0), probe(1, tab=2)], whole(2))
    assert figures(report) == (2, 2, 0, 0)
    assert report.misses == ()
    assert report.latencies == (1.5, 1.5)


def test_p5_a_message_that_one_tab_did_not_see_is_missed() -> None:
    tabs = whole()
    tabs[1].remove(question(0))
    report = report_on([probe()], tabs)
    assert figures(report) == (0, 1, 0, 1)
    assert misses(report) == [("was not seen", (1,))]


def test_p4_an_answer_that_one_tab_did_not_see_is_missed() -> None:
    tabs = whole()
    tabs[2].remove(answer(0))
    report = report_on([probe()], tabs)
    assert figures(report) == (1, 0, 0, 1)
    assert misses(report) == [("has no answer", (2,))]


def test_p5_a_message_that_one_tab_saw_twice_is_doubled() -> None:
    tabs = whole()
    tabs[1].append(question(0))
    report = report_on([probe()], tabs)
    assert figures(report) == (0, 1, 1, 0)
    assert misses(report) == [("was seen more than once", (1,))]


def test_p7_a_repeated_post_that_made_two_messages_is_doubled() -> None:
    """Though each has its answer, once."""
    tabs = [[*tab, question(0, message_id="second"), answer(1, to="second")] for tab in whole()]
    report = report_on([probe()], tabs)
    assert figures(report) == (0, 0, 1, 0)
    assert misses(report) == [("was seen more than once", (0, 1, 2)), ("has more than one answer", (0, 1, 2))]


def test_p4_two_answers_are_doubled() -> None:
    tabs = [[*tab, answer(0, message_id="second")] for tab in whole()]
    report = report_on([probe()], tabs)
    assert figures(report) == (1, 0, 1, 0)
    assert misses(report) == [("has more than one answer", (0, 1, 2))]


def test_p4_the_same_answer_twice_in_one_tab_is_doubled() -> None:
    tabs = whole()
    tabs[0].append(answer(0))
    assert figures(report_on([probe()], tabs)) == (1, 0, 1, 0)


def test_p2_an_answer_that_was_taken_back_and_replaced_is_doubled() -> None:
    """No tab saw more than one, but they did not see the same one."""
    tabs = whole()
    tabs[2] = [question(0), answer(0, message_id="again")]
    assert figures(report_on([probe()], tabs)) == (1, 0, 1, 0)


@pytest.mark.parametrize(
    "changed",
    [question(0, text="other words"), question(0, message_id="other")],
    ids=["text", "id"],
)
def test_p1_a_message_that_is_not_as_it_was_acknowledged_is_missed(changed: Observation) -> None:
    report = report_on([probe()], [[changed, answer(0)] for _ in range(TABS)])
    assert report.delivered == 0
    assert report.missed == 1


def test_p1_a_message_that_was_never_accepted_is_a_miss_even_if_it_was_seen() -> None:
    report = report_on([probe(accepted=False)], whole())
    assert report.delivered == 0
    assert misses(report) == [("was not accepted", ())]


def test_p4_other_messages_do_not_matter() -> None:
    tabs = [[*tab, question(7), question(7, message_id="again"), answer(7), answer(7)] for tab in whole()]
    assert figures(report_on([probe()], tabs)) == (1, 1, 0, 0)


def test_p4_a_report_needs_tabs() -> None:
    with pytest.raises(ValueError, match="tab"):
        report_on([probe()], [])


def test_p4_the_latency_is_that_of_the_tab_that_posted() -> None:
    tabs = [[question(0), answer(0, at=2.0 + tab)] for tab in range(TABS)]
    assert report_on([probe(tab=1)], tabs).latencies == (2.5,)


@pytest.mark.parametrize(("share", "latency"), [(0.0, 1.0), (0.5, 2.0), (0.75, 3.0), (0.99, 4.0), (1.0, 4.0)])
def test_p4_a_share_of_the_latencies_is_one_of_them(share: float, latency: float) -> None:
    many = [probe(number) for number in range(4)]
    tabs = [[question(number) for number in range(4)] + [answer(number, at=4.5 - number) for number in range(4)]]
    assert report_on(many, tabs).latency(share) == latency
    assert report_on(many, [[]]).latency(share) is None


@given(
    messages=st.integers(1, 6),
    lost=st.sets(st.tuples(st.integers(0, TABS - 1), st.integers(0, 11))),
    doubled=st.sets(st.tuples(st.integers(0, TABS - 1), st.integers(0, 11))),
    random=st.randoms(use_true_random=False),
)
def test_p4_exactly_what_is_lost_or_doubled_is_reported(
    messages: int, lost: set[tuple[int, int]], doubled: set[tuple[int, int]], random: Random
) -> None:
    """Observations alternate between a question and its answer, then are shuffled."""
    tabs: Observations = []
    bad_questions: set[int] = set()
    bad_answers: set[int] = set()
    missed: set[int] = set()
    twice: set[int] = set()
    for tab, seen in enumerate(whole(messages)):
        view: list[Observation] = []
        for place, each in enumerate(seen):
            times = 0 if (tab, place) in lost else 2 if (tab, place) in doubled else 1
            view += [each] * times
            if times != 1:
                (bad_answers if place % 2 else bad_questions).add(place // 2)
                (twice if times else missed).add(place // 2)
        random.shuffle(view)
        tabs.append(view)
    report = report_on([probe(number, tab=number % TABS) for number in range(messages)], tabs)
    assert figures(report) == (messages - len(bad_questions), messages - len(bad_answers), len(twice), len(missed))
    assert {miss.probe.number for miss in report.misses} == bad_questions | bad_answers
