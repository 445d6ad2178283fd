"""The chatbots and unusual texts (P4)."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from profiles import examples
from saywhatwant.entities import Entities
from saywhatwant.message import Color, clean_text, clean_username
from saywhatwant.models import MAX_ANSWER, ModelFailed
from saywhatwant.models.chatbot import answer, personality

ENTITIES = Entities().current
WORDS = st.sampled_from(
    ["I", "am", "you", "why", "because", "my", "mother", "%1", "%", "quit", "(", ".*", "\\", "\n", "?", "!"]
)
CHARACTERS = st.characters(codec="utf-8", exclude_categories=["Cc"])
TEXTS = st.one_of(
    st.text(CHARACTERS, min_size=1, max_size=200),
    st.lists(WORDS, min_size=1, max_size=20).map(" ".join),
    st.text(CHARACTERS, min_size=1).map(lambda text: f"I am {text}"),
).filter(lambda text: bool(text.strip()))
"""Texts that the wall takes."""


@pytest.mark.parametrize("entity", ENTITIES)
def test_p4_an_odd_text_gets_an_answer_that_the_wall_takes_or_a_reason(entity: str) -> None:
    @settings(max_examples=examples(1_000), phases=[Phase.generate])
    @given(TEXTS)
    def answers(text: str) -> None:
        with suppress(ModelFailed):
            reply = answer(entity, text)
            assert clean_text(reply, 2 * MAX_ANSWER) == reply

    answers()


@pytest.mark.parametrize("entity", ENTITIES)
@pytest.mark.parametrize("text", ["I am 100%", "I feel %1", "Why are %s and %9 the same?", "I need %1 %1 %1", "You are %"])
def test_p4_a_percent_sign_is_a_character_like_any_other(entity: str, text: str) -> None:
    """The chatbots mark with it where to repeat what they are asked."""
    for _ in range(20):  # they choose an answer at random
        assert answer(entity, text)


def test_a_sentence_that_is_repeated_within_another_has_lost_its_full_stop() -> None:
    for _ in range(50):  # as above
        reply = answer("eliza", "I worry that the bridge will fall!.. ")
        assert not any(f"fall{end}" in reply for end in ("!", "..", ".,", ".?"))
    assert answer("eliza", "...")


@pytest.mark.parametrize("name", ENTITIES)
def test_p4_every_entity_has_a_chatbot_and_a_name_and_colour_that_the_wall_takes(name: str) -> None:
    entity = ENTITIES[name]
    assert personality(name).respond("Hello")
    assert clean_username(entity.display_name) == entity.display_name
    assert msgspec.convert(entity.color, Color) == entity.color
