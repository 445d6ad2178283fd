"""What refusals teach about a model's window, and how much room they leave."""

from hypothesis import given
from hypothesis import strategies as st

from saywhatwant.bot.writer import MAX_PROMPTS
from saywhatwant.models import WindowExceeded
from saywhatwant.models.prompt.room import MARGIN, Window


def test_a_known_window_has_room_for_the_answer_and_a_margin() -> None:
    attempt = Window().attempt(1_024, 200)
    assert (attempt.answer_tokens, attempt.room) == (200, int(824 / MARGIN))


def test_an_answer_takes_at_most_half_of_the_window() -> None:
    assert Window().attempt(1_024, 8_192).answer_tokens == 512


def test_an_unknown_window_has_no_bound_until_a_refusal() -> None:
    window = Window()
    assert window.attempt(None, 200).room is None
    attempt = window.attempt(None, 200)
    attempt.refused(WindowExceeded(1_024, 2_000), 1_500)
    assert attempt.room is not None
    assert attempt.room * 2_000 / 1_500 <= 1_024 - 200


def test_a_window_that_no_server_names_is_remembered() -> None:
    window = Window()
    window.attempt(None, 200).refused(WindowExceeded(None, None), 1_000)
    room = window.attempt(None, 200).room
    assert room is not None
    assert room <= 500


def test_what_one_odd_text_taught_is_forgotten() -> None:
    window = Window()
    window.attempt(1_024, 200).refused(WindowExceeded(1_024, 5_000), 500)
    assert window.scale == 1.5
    for _ in range(500):
        window.worked()
    assert window.scale < 1.01


def test_p4_refusals_that_name_nothing_leave_little_before_the_last_prompt() -> None:
    """A talk of a hundred long messages, and a model with 512 tokens."""
    attempt, estimate = Window().attempt(None, 200), 150_000
    for _ in range(MAX_PROMPTS - 1):
        attempt.refused(WindowExceeded(None, None), estimate)
        assert attempt.room is not None
        estimate = attempt.room
    assert estimate < 100


limits = st.none() | st.integers(64, 10_000)


@given(limits, st.lists(st.builds(WindowExceeded, limits, limits), min_size=1, max_size=10), st.integers(1, 5_000))
def test_each_refusal_leaves_less_room_whatever_it_says(
    tokens: int | None, refusals: list[WindowExceeded], estimate: int
) -> None:
    attempt = Window().attempt(tokens, 200)
    for refusal in refusals:
        sent = min(estimate, attempt.room or estimate)
        attempt.refused(refusal, sent)
        assert attempt.room is not None
        assert attempt.room < max(sent, 1)
