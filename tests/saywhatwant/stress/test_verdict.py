"""The verdict of ``sww stress``, on observations made by hand: it must be able to say no."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saywhatwant.message import BotParams, Message
from saywhatwant.stress.observation import Asked, Seen
from saywhatwant.stress.verdict import Verdict, judge

TABS = 3
Observations = list[list[Seen]]


def question(number: int, *, message_id: str | None = None, text: str | None = None, at: float = 1.0) -> Seen:
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
    return Seen(at, message)


def answer(number: int, *, message_id: str | None = None, to: str | None = None, at: float = 2.0) -> Seen:
    message = Message(
        id=message_id or f"answer{number:04d}",
        timestamp=100 + number,
        # What an entity repeats is not the message itself.
        text=f"message {number}",
        username="Eliza",
        color="169080199",
        message_type="AI",
        reply_to=to or f"question{number:02d}",
        bot_params=BotParams(status="complete"),
    )
    return Seen(at, message)


def asked(number: int = 0, *, tab: int = 0, accepted: bool = True) -> Asked:
    return Asked(
        number=number,
        tab=tab,
        text=f"message {number}",
        begun=0.5,
        begun_ms=500,
        id=f"question{number:02d}" if accepted else None,
    )


def whole(messages: int = 1) -> Observations:
    """What the tabs see when all is well."""
    return [[seen for number in range(messages) for seen in (question(number), answer(number))] for _ in range(TABS)]


def figures(verdict: Verdict) -> tuple[int, int, int, int]:
    return verdict.delivered, verdict.answered_once, verdict.doubled, verdict.missed


def told(verdict: Verdict) -> list[tuple[str, tuple[int, ...]]]:
    return [(miss.what, miss.tabs) for miss in verdict.misses]


def test_p4_all_is_well_when_every_tab_saw_every_message_and_one_answer() -> None:
    verdict = judge([asked(0), asked(1, tab=2)], whole(2))
    assert figures(verdict) == (2, 2, 0, 0)
    assert verdict.misses == ()
    assert verdict.latencies == (1.5, 1.5)


def test_p5_a_message_that_one_tab_did_not_see_is_missed() -> None:
    tabs = whole()
    tabs[1].remove(question(0))
    verdict = judge([asked()], tabs)
    assert figures(verdict) == (0, 1, 0, 1)
    assert told(verdict) == [("was not seen", (1,))]


def test_p4_an_answer_that_one_tab_did_not_see_is_missed() -> None:
    tabs = whole()
    tabs[2].remove(answer(0))
    verdict = judge([asked()], tabs)
    assert figures(verdict) == (1, 0, 0, 1)
    assert told(verdict) == [("has no answer", (2,))]


def test_p5_a_message_that_one_tab_saw_twice_is_doubled() -> None:
    tabs = whole()
    tabs[1].append(question(0))
    verdict = judge([asked()], tabs)
    assert figures(verdict) == (0, 1, 1, 0)
    assert told(verdict) == [("is there more than once", (1,))]


def test_p7_a_repeated_post_that_made_two_messages_is_doubled() -> None:
    """Though each has its answer, once."""
    tabs = [[*tab, question(0, message_id="second"), answer(1, to="second")] for tab in whole()]
    verdict = judge([asked()], tabs)
    assert figures(verdict) == (0, 0, 1, 0)
    assert told(verdict) == [("is there more than once", (0, 1, 2)), ("has more than one answer", (0, 1, 2))]


def test_p4_two_answers_are_doubled() -> None:
    tabs = [[*tab, answer(0, message_id="second")] for tab in whole()]
    verdict = judge([asked()], tabs)
    assert figures(verdict) == (1, 0, 1, 0)
    assert told(verdict) == [("has more than one answer", (0, 1, 2))]


def test_p4_the_same_answer_twice_in_one_tab_is_doubled() -> None:
    tabs = whole()
    tabs[0].append(answer(0))
    assert figures(judge([asked()], tabs)) == (1, 0, 1, 0)


def test_p2_an_answer_that_was_taken_back_and_given_anew_is_doubled() -> None:
    """No tab saw more than one, but they did not see the same one."""
    tabs = whole()
    tabs[2] = [question(0), answer(0, message_id="anew")]
    assert figures(judge([asked()], tabs)) == (1, 0, 1, 0)


@pytest.mark.parametrize(
    "changed",
    [question(0, text="other words"), question(0, message_id="other")],
    ids=["text", "id"],
)
def test_p1_a_message_that_is_not_as_it_was_acknowledged_is_missed(changed: Seen) -> None:
    verdict = judge([asked()], [[changed, answer(0)] for _ in range(TABS)])
    assert verdict.delivered == 0
    assert verdict.missed == 1


def test_p1_a_message_that_was_never_accepted_is_a_miss_whoever_saw_it() -> None:
    verdict = judge([asked(accepted=False)], whole())
    assert verdict.delivered == 0
    assert told(verdict) == [("was not accepted", ())]


def test_p4_what_others_say_meanwhile_is_no_matter() -> None:
    tabs = [[*tab, question(7), question(7, message_id="again"), answer(7), answer(7)] for tab in whole()]
    assert figures(judge([asked()], tabs)) == (1, 1, 0, 0)


def test_p4_without_tabs_there_is_no_verdict() -> None:
    with pytest.raises(ValueError, match="tab"):
        judge([asked()], [])


def test_p4_the_latency_is_that_of_the_tab_that_posted() -> None:
    tabs = [[question(0), answer(0, at=2.0 + tab)] for tab in range(TABS)]
    assert judge([asked(tab=1)], tabs).latencies == (2.5,)


@pytest.mark.parametrize(("share", "latency"), [(0.0, 1.0), (0.5, 2.0), (0.75, 3.0), (0.99, 4.0), (1.0, 4.0)])
def test_p4_a_share_of_the_latencies_is_one_of_them(share: float, latency: float) -> None:
    many = [asked(number) for number in range(4)]
    tabs = [[question(number) for number in range(4)] + [answer(number, at=4.5 - number) for number in range(4)]]
    assert judge(many, tabs).latency(share) == latency
    assert judge(many, [[]]).latency(share) is None


@given(
    messages=st.integers(1, 6),
    lost=st.sets(st.tuples(st.integers(0, TABS - 1), st.integers(0, 11))),
    doubled=st.sets(st.tuples(st.integers(0, TABS - 1), st.integers(0, 11))),
    random=st.randoms(use_true_random=False),
)
def test_p4_whatever_is_lost_or_comes_twice_is_told_and_nothing_else(
    messages: int, lost: set[tuple[int, int]], doubled: set[tuple[int, int]], random: Random
) -> None:
    """Every other observation of a message is its question, every other one its answer; in whatever order they came."""
    tabs: Observations = []
    bad_questions: set[int] = set()
    bad_answers: set[int] = set()
    missed: set[int] = set()
    twice: set[int] = set()
    for tab, seen in enumerate(whole(messages)):
        view: list[Seen] = []
        for place, each in enumerate(seen):
            times = 0 if (tab, place) in lost else 2 if (tab, place) in doubled else 1
            view += [each] * times
            if times != 1:
                (bad_answers if place % 2 else bad_questions).add(place // 2)
                (twice if times else missed).add(place // 2)
        random.shuffle(view)
        tabs.append(view)
    verdict = judge([asked(number, tab=number % TABS) for number in range(messages)], tabs)
    assert figures(verdict) == (messages - len(bad_questions), messages - len(bad_answers), len(twice), len(missed))
    assert {miss.asked.number for miss in verdict.misses} == bad_questions | bad_answers
