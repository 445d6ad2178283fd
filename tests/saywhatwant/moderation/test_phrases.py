"""Which texts have a phrase, and which have not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saywhatwant.moderation.phrases import Phrases, words_of


def finds(phrase: str, text: str) -> bool:
    return Phrases([words_of(phrase)]).find(words_of(text)) is not None


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("spam", "This is SPAM!"),
        ("Spam", "spam"),
        ("spam", "no-spam_please"),
        ("buy now", "Buy,\n  now."),
        ("buy now", "buy buy now"),
        ("a b", "a a b"),
        ("straße", "STRASSE"),
        ("cafe\u0301", "CAFÉ"),
        ("ﬁne", "FINE"),
        ("spam", "\uff53\uff50\uff41\uff4d"),
        ("spam", "sp\u200bam, sp\u00adam, s\u2060pam"),
        ("spam", "𝓼𝓹𝓪𝓶"),
        ("坏话", "这是坏话吗"),
        ("ห้าม", "นี่คือห้ามพูด"),
        ("ﷺ", "صلى الله عليه وسلم"),
        ("007", "agent 007"),
        ("ὀδυσσεύς", "ὈΔΥΣΣΕΎΣ"),
    ],
)
def test_a_phrase_is_found_however_it_is_written(phrase: str, text: str) -> None:
    assert finds(phrase, text)


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("spam", "spammer"),
        ("ass", "assassin"),
        ("buy now", "now buy"),
        ("buy now", "buy it now"),
        ("spam", "s p a m"),
        ("spam", "sp4m"),
        ("spam", "\u0455pam"),  # a Cyrillic letter
        ("cafe", "café"),
        ("spam", ""),
        ("坏话", "坏的话"),
    ],
)
def test_what_is_not_found_is_what_the_module_says(phrase: str, text: str) -> None:
    assert not finds(phrase, text)


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), min_size=1, max_size=5), st.text("abc ", max_size=40))
def test_it_finds_what_a_comparison_at_each_place_finds(phrases: list[list[str]], text: str) -> None:
    words = words_of(text)
    wanted = [tuple(phrase) for phrase in phrases]
    there = {phrase for phrase in wanted for at in range(len(words)) if words[at : at + len(phrase)] == phrase}
    found = Phrases(wanted).find(words)
    assert (found in there) if there else found is None


@given(st.text(max_size=200))
def test_a_text_and_its_words_are_compared_alike(text: str) -> None:
    """So a phrase is the same filter however it is written."""
    words = words_of(text)
    assert words_of(" ".join(words)) == words


def test_a_word_is_looked_up_a_bounded_number_of_times() -> None:
    """However many phrases begin with it: else a post could be made to take as long as there are phrases."""

    class Counting(frozenset[tuple[str, ...]]):
        looked = 0

        def __contains__(self, phrase: object) -> bool:
            type(self).looked += 1
            return super().__contains__(phrase)

    phrases = Phrases([("a",) * length + (str(number),) for number in range(200) for length in range(1, 6)])
    phrases._phrases = Counting(phrases._phrases)
    assert phrases.find(("a",) * 1_000) is None
    assert Counting.looked <= 1_000 * 5
