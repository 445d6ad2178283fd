"""A model's reasoning is never part of its answer, however it comes; an answer that goes on shows it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles import examples
from saywhatwant.models import MAX_ANSWER
from saywhatwant.models.draft import Draft
from saywhatwant.models.draft.cut import Cut
from saywhatwant.models.model import MAX_WRITTEN

BITS = [
    *("<think>", "</think>", "<thi", "nk>", "[THINK]", "[/THINK]", "<reasoning>", "</Reasoning>", "`"),
    *("<|channel|>", "analysis", "final", "<|message|>", "<|end|>", "<|start|>", "assistant", "<|return|>", "<|"),
    *("Zen:", "\n", "Human:", "a ", ".", "<"),
]
texts = st.lists(st.sampled_from(BITS), max_size=14).map("".join)


def new_draft(*, begins_inside: bool = False) -> Draft:
    return Draft(lambda: Cut(["Zen"], ["Ada"]), begins_inside=begins_inside)


def written(text: str, *, begins_inside: bool = False, at_limit: bool = False) -> tuple[str, str]:
    """The answer and the reasoning in a text."""
    draft = new_draft(begins_inside=begins_inside)
    draft.write(text)
    return draft.finish(at_limit=at_limit), draft.reasoning


@pytest.mark.parametrize(
    ("text", "answer", "reasoning"),
    [
        ("<think>Hm.\nHuman: x</think>\n\nZen: Yes.", "Yes.", "Hm.\nHuman: x"),
        ("<THINKING>Hm.</Thinking>Yes.", "Yes.", "Hm."),
        ("<reasoning>Hm.</reasoning>Yes.", "Yes.", "Hm."),
        ("[THINK]Hm.[/THINK]Yes.", "Yes.", "Hm."),
        ("Hm.\nHuman: x</think>Yes.", "Yes.", "Hm.\nHuman: x"),
        ("<think>Hm.</think>More.</think>Yes.", "Yes.", "Hm.More."),
        ("Yes. <think>Hm.", "Yes.", "Hm."),
        ("<think>Hm.", "", "Hm."),
        (
            "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.<|return|>",
            "Yes.",
            "Hm.",
        ),
        ("<|start|>assistant<|channel|>commentary<|message|>Hm.<|end|>", "", "Hm."),
        ("Write `<think>` first.", "Write `<think>` first.", ""),
    ],
)
def test_reasoning_in_the_text_is_not_part_of_the_answer(text: str, answer: str, reasoning: str) -> None:
    assert written(text) == (answer, reasoning)


@settings(max_examples=examples(400))
@given(text=texts, begins_inside=st.booleans(), at_limit=st.booleans(), data=st.data())
def test_answer_and_reasoning_never_depend_on_the_pieces(
    *, text: str, begins_inside: bool, at_limit: bool, data: st.DataObject
) -> None:
    draft, rest = new_draft(begins_inside=begins_inside), text
    while rest:
        size = data.draw(st.integers(1, 6))
        draft.write(rest[:size])
        rest = rest[size:]
    answer = draft.finish(at_limit=at_limit)
    assert (answer, draft.reasoning) == written(text, begins_inside=begins_inside, at_limit=at_limit)


def test_what_was_shown_turns_out_to_be_reasoning() -> None:
    """The opening tag was in the prompt. The next answer of the same model shows nothing before the closing one."""
    first = new_draft()
    first.write("Okay, the user")
    assert first.text == "Okay, the user"
    first.write(" asks.</think>")
    assert (first.text, first.begins_inside) == ("", True)
    first.write("Yes.")
    assert first.finish(at_limit=False) == "Yes."

    second = new_draft(begins_inside=first.begins_inside)
    second.write("Okay, the user")
    assert second.text == ""
    second.write(" asks.</think>Yes.")
    assert (second.text, second.begins_inside) == ("Yes.", True)


def test_a_model_that_does_not_think_this_time_has_answered() -> None:
    """It used to begin inside its reasoning. Stopped at its limit it may be in the middle of it."""
    assert written("Yes.", begins_inside=True) == ("Yes.", "")
    assert written("Okay, the user", begins_inside=True, at_limit=True) == ("", "Okay, the user")


def test_reasoning_that_comes_apart_shows_that_the_text_is_the_answer() -> None:
    draft = new_draft(begins_inside=True)
    draft.think("Hm.")
    draft.write("Yes")
    assert (draft.text, draft.reasoning) == ("Yes", "Hm.")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Once upon a time", "Once upon a time…"),
        ("It ends. It goes", "It ends. It goes…"),
        ("It ends.", "It ends."),
        ('"It ends!" ', '"It ends!"'),
        ("结束。", "结束。"),
        ("Fine.\nHuman: And", "Fine."),
        ("<think>Hm", ""),
    ],
)
def test_an_answer_that_was_stopped_ends_at_a_sentence_or_shows_that_it_goes_on(text: str, answer: str) -> None:
    assert written(text, at_limit=True)[0] == answer


def test_endless_reasoning_takes_no_more_memory_than_the_longest_answer() -> None:
    draft = new_draft()
    for _ in range(3):
        draft.think("h" * MAX_WRITTEN)
        draft.write("</think>")
    assert len(draft.reasoning) == MAX_WRITTEN


def test_an_endless_answer_is_bounded_and_shows_that_it_goes_on() -> None:
    draft = new_draft()
    while not draft.is_over:
        draft.write("ha " * 100)
    answer = draft.finish(at_limit=False)
    assert len(answer) <= MAX_ANSWER
    assert answer.endswith("…")
