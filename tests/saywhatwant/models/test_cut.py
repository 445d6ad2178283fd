"""An answer ends where its model goes on for the other side, in whatever pieces it streams."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles import examples
from saywhatwant.models.draft.cut import TEMPLATE_TOKENS, Cut

OWN, OTHERS = ("Zen", "My AI"), ("Ada", "B")
ROLES = ["Human", "HUMAN", "User", "USER"]
OWN_ROLES = ["Assistant", "ASSISTANT", "AI"]
BITS = [
    *("Zen", "My AI", "My", "Ada", "B", "Human", "Hum", "an", "User", "Assistant", "AI", "Instruction"),
    *(" Human:", "? ", "!"),
    *(":", "：", "\n", "\r\n", " ", "\t", "*", "**", "#", "###", ">", "_"),  # noqa: RUF001 - the colon of Chinese and Japanese
    *("<|im_end|>", "<|im", "_end|>", "<|", "</s>", "<", "END", "E", "ND", "Fine.", "a"),
]
texts = st.lists(st.sampled_from(BITS), max_size=14).map("".join)
stops = st.sampled_from([(), ("END",), ("\nB", "a\n"), ("\n\n",), ("a</s>a", "END</s>"), ("Human:",)])


def new_cut(stop: tuple[str, ...] = ()) -> Cut:
    return Cut(OWN, OTHERS, stop)


def whole(text: str, stop: tuple[str, ...] = ()) -> str:
    cut = new_cut(stop)
    return cut.push(text) + cut.finish()


@pytest.mark.parametrize(
    ("written", "answer"),
    [
        ("Fine.\nHuman: And you?\nZen: Good.", "Fine."),
        ("Fine.\n\nUSER : And you?", "Fine."),
        ("Fine.\n**Ada:** And you?", "Fine."),
        ("Fine.\r\n> _Ada_: And you?", "Fine."),
        ("Fine.\nZen: And more.", "Fine."),
        ("Fine.\n### Instruction: Go on.", "Fine."),
        ("Fine.\n###\nNext", "Fine."),
        ("Are you fine? Human: I am.", "Are you fine?"),
        ("What is Human: nature or culture?", "What is Human: nature or culture?"),
        ("Fine.<|im_end|>\n<|im_start|>user", "Fine."),
        ("Zen: Fine.", "Fine."),
        ("\n **Zen:** AI: *smiles*", "*smiles*"),
        ("Ada, that is fine.\nUsers like it: so do I.", "Ada, that is fine.\nUsers like it: so do I."),
        ("# Title\n### Part\nuser: root", "# Title\n### Part\nuser: root"),
        ("Human: And you?", ""),
        ("  Fine. \n\n", "Fine."),
    ],
)
def test_an_answer_ends_before_the_other_side_begins(written: str, answer: str) -> None:
    assert whole(written) == answer


def test_it_ends_before_a_stop_that_the_server_ignores() -> None:
    assert whole("One.\n\nTwo.", ("\n\n",)) == "One."
    assert whole("One. END Two.", ("END",)) == "One."
    assert whole("What is Human: nature or culture?", ("Human:",)) == "What is"


def test_of_two_marks_in_each_other_the_one_that_begins_first_counts() -> None:
    cut = new_cut(("One.</s> END",))
    assert cut.push("One.</s>") + cut.push(" END") + cut.finish() == ""


@settings(max_examples=examples(400))
@given(text=texts, stop=stops, at_limit=st.booleans(), data=st.data())
def test_the_answer_never_depends_on_its_pieces_and_is_never_taken_back(
    *, text: str, stop: tuple[str, ...], at_limit: bool, data: st.DataObject
) -> None:
    """What is shown while it streams is only ever added to."""
    at_once, in_pieces = new_cut(stop), new_cut(stop)
    expected = at_once.push(text) + at_once.finish(at_limit=at_limit)
    shown, rest = "", text
    while rest:
        size = data.draw(st.integers(1, 6))
        shown += in_pieces.push(rest[:size])
        rest = rest[size:]
        assert expected.startswith(shown)
    assert shown + in_pieces.finish(at_limit=at_limit) == expected
    assert in_pieces.is_over == at_once.is_over


@settings(max_examples=examples(400))
@given(texts)
def test_no_line_of_an_answer_begins_with_a_name_and_a_colon(text: str) -> None:
    answer = whole(text)
    names = "|".join(map(re.escape, [*OWN, *OTHERS, *ROLES, *OWN_ROLES]))
    assert not re.search(rf"^[ \t*_#>]*({names})[*_ \t]*[:：]", answer, re.MULTILINE)  # noqa: RUF001
    assert not any(token in answer for token in TEMPLATE_TOKENS)
    assert answer == answer.strip()


@given(st.text(alphabet=st.characters(exclude_characters=":：<[#*_\r", exclude_categories=["Cs"])))  # noqa: RUF001
def test_an_ordinary_text_stays_as_it_is(text: str) -> None:
    assert whole(text) == text.strip()


def test_at_the_limit_a_name_that_was_begun_is_left_out() -> None:
    """ "Hum" may have been about to be "Human:"."""
    cut = new_cut()
    assert cut.push("Fine.\nHum") + cut.finish(at_limit=True) == "Fine."
    assert whole("Fine.\nHum") == "Fine.\nHum"
