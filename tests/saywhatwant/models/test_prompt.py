"""The prompt: turns that every chat template takes, in which the question never lacks, and that fit the window."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from talking import answered, said, talk

from profiles import examples
from saywhatwant.entities import Entity
from saywhatwant.message import Message
from saywhatwant.models import Turn
from saywhatwant.models.prompt import Memory, build, tokens_of_turns
from saywhatwant.models.prompt.tokens import tokens_of

ZEN = Entity(display_name="Zen", color="070140180", model="fake", system_prompt="You are a Zen master.")
WALL_READER = Entity(display_name="Zen", color="070140180", model="fake", reads="wall")
SYSTEM = Turn("system", "You are a Zen master.")


def strings(*lines: str) -> Memory:
    return Memory(strings=lines)


def test_system_first_then_each_question_with_its_answer_and_the_question_once() -> None:
    question = said("What is my name?")
    turns = build(ZEN, question, Memory([*talk(("My name is Ada.", "Hello, Ada."), ("Why?", "Because.")), question]))
    assert turns == [
        SYSTEM,
        Turn("user", "My name is Ada."),
        Turn("assistant", "Hello, Ada."),
        Turn("user", "Why?"),
        Turn("assistant", "Because."),
        Turn("user", "What is my name?"),
    ]


def test_answers_that_came_out_of_order_stand_behind_their_questions() -> None:
    one, two = said("One?"), said("Two?")
    turns = build(ZEN, said("Three?"), Memory([one, two, answered(two, "2."), answered(one, "1.")]))
    assert [turn.content for turn in turns[1:]] == ["One?", "1.", "Two?", "2.", "Three?"]


def test_questions_without_an_answer_are_joined_with_the_next_one() -> None:
    turns = build(ZEN, said("What is my name?"), Memory(talk(("My name is Ada.", ""), ("Are you there?", ""))))
    assert turns[1:] == [Turn("user", "My name is Ada.\nAre you there?\nWhat is my name?")]


def test_an_answer_whose_question_is_gone_is_left_out() -> None:
    """Else the first turn would be an assistant's, which templates refuse."""
    (_, late), question = talk(("Gone.", "Late.")), said("Why?")
    assert build(ZEN, question, Memory([late])) == [SYSTEM, Turn("user", "Why?")]


def test_an_entity_that_reads_the_wall_sees_names() -> None:
    ada, bob = said("Hello.", "Ada"), said("Good day.", "Bob")
    eliza = answered(bob, "How do you feel?", "Eliza")
    turns = build(WALL_READER, said("And you?", "Ada"), Memory([ada, bob, answered(ada, "Welcome."), eliza]))
    assert turns == [
        Turn("user", "Ada: Hello."),
        Turn("assistant", "Welcome."),
        Turn("user", "Bob: Good day.\nEliza: How do you feel?\nAda: And you?"),
    ]


def test_what_a_client_sends_as_context_is_told_apart_by_its_names() -> None:
    memory = strings(
        "Zen: Before all.", "Ada: Hi, I am Ada.", "MyAI: Hello:", "Zen: Welcome.", "Bob: Me too.", "odd", "Ada: Who?"
    )
    turns = build(ZEN, said("Who?"), memory, own=["MyAI"])
    assert turns == [
        SYSTEM,
        Turn("user", "Hi, I am Ada."),
        Turn("assistant", "Hello:\nWelcome."),
        Turn("user", "Bob: Me too.\nodd\nWho?"),
    ]


names = st.sampled_from(["Ada", "Bob"])
words = st.lists(
    st.sampled_from(["My", "name", "is", "Ada.", "Why?", "Zen:", "\n", "sky" * 9, "日本"]), min_size=1, max_size=40
)
sentences = words.map(" ".join).map(str.strip).filter(bool)


@st.composite
def walls(draw: st.DrawFn) -> list[Message]:
    """Questions and answers in any order, some without the other."""
    messages: list[Message] = []
    for _ in range(draw(st.integers(0, 12))):
        question = said(draw(sentences), draw(names))
        messages += draw(st.sampled_from([[question], [question, answered(question, draw(sentences))]]))
    return draw(st.permutations(messages).map(lambda order: order[: draw(st.integers(0, 24))]))


@settings(max_examples=examples(400))
@given(walls(), sentences, st.sampled_from([ZEN, WALL_READER]), st.none() | st.integers(1, 400))
def test_turns_alternate_and_end_with_the_question_whatever_the_room(
    wall: list[Message], text: str, entity: Entity, room: int | None
) -> None:
    turns = build(entity, said(text), Memory(wall), room=room)
    assert turns[-1].role == "user"
    rest = turns[1:] if turns[0].role == "system" else turns
    assert rest[0].role == "user"
    assert all(one.role != next_one.role for one, next_one in pairwise(turns))
    assert all(turn.content for turn in turns)
    if room is None or room > 2 * tokens_of(text) + 60:
        assert turns[-1].content.endswith(text)
    if room is not None and room > 40:
        assert tokens_of_turns(turns) <= room


def long_talk(fact: str, exchanges: int = 170) -> list[Message]:
    """A talk whose first words are the fact; questions of 70 bytes, answers of 250, as those of real visitors."""
    topics = [
        "rivers",
        "clocks",
        "bread",
        "winter",
        "music",
        "trains",
        "maps",
        "sleep",
        "glass",
        "gardens",
        "salt",
        "ships",
        "fog",
    ]
    rest = []
    for number in range(exchanges):
        topic, other = topics[number % 13], topics[number * 7 % 11]
        question = f"What do you think of {topic} and {other} in the year {1800 + number}, my dear friend?"
        answer = (
            f"There is much to say of {topic} in that year: " + f"{other} and {topic} are what they are, and it is so. " * 4
        )
        rest.append((question, answer[:250]))
    return talk((fact, "I will remember."), *rest)


@pytest.mark.parametrize(
    ("fact", "question"),
    [
        ("My name is Ada.", "What is my name?"),
        ("My dog's name is Rex, by the way, and he is three.", "Do you still know the name of my dogs?"),
        ("The password of the day: Abendstern.", "Which was the password?"),
        ("Ich heiße Ada und wohne in Köln.", "Und wo wohne ich?"),
        ("私の名前はアダです。", "私の名前は何ですか?"),
        ("I will tell you a long story. " * 30 + "My name is Ada. " + "It goes on like this. " * 30, "What is my name?"),
    ],
    ids=["a name", "a plural", "a password", "German", "Japanese", "in a long text"],
)
def test_a_fact_survives_170_turns_and_a_window_of_1024_tokens(fact: str, question: str) -> None:
    """The answer may have 200 of them. The newest exchanges are there too."""
    messages = long_talk(fact)
    turns = build(ZEN, said(question), Memory(messages), room=740)
    assert tokens_of_turns(turns) <= 740
    text = "\n".join(turn.content for turn in turns)
    remembered = next(part for part in ("My name is Ada.", "Rex", "Abendstern", "Köln", "アダ") if part in fact)
    assert remembered in text
    assert messages[-1].text in text
    assert messages[-4].text in text
    assert turns[1].content.startswith(fact[:10]) or len(fact) > 200, "what is older stands first"


def test_the_same_question_asked_before_does_not_displace_the_fact() -> None:
    messages = [
        *long_talk("My name is Ada."),
        *talk(*[("Tell me my name.", "I do not know, and I am sorry. " * 4)] * 9),
    ]
    messages += long_talk("Hello.", 20)
    turns = build(ZEN, said("Tell me my name."), Memory(messages), room=740)
    assert "My name is Ada." in turns[1].content


def test_of_the_words_in_a_question_the_rare_ones_decide() -> None:
    """The others share more words with it, but so do all of them."""
    fillers = [
        (f"And what is it that you are and that you say about my {word}s?", "So it is. " * 20) for word in "abcdefgh" * 9
    ]
    messages = talk(("The gate has code 4711.", "I will not forget it. " * 20), *fillers)
    turns = build(ZEN, said("And what is it that you are to say about my code?"), Memory(messages), room=740)
    assert turns[1].content == "The gate has code 4711."


def test_a_fact_counts_more_than_the_questions_about_it() -> None:
    asked = [(f"What is the code of gate {number}?", "I do not know that, and I am sorry. " * 5) for number in range(20)]
    messages = talk(("The code is 4711.", "Good."), *asked, *[("Hm.", "Yes, it is so. " * 30)] * 20)
    turns = build(ZEN, said("What is the code?"), Memory(messages), room=740)
    assert turns[1].content == "The code is 4711."


def test_without_anything_in_common_all_the_room_is_for_the_newest() -> None:
    messages = long_talk("My name is Ada.")
    common = tokens_of_turns(build(ZEN, said("xyzzy"), Memory(messages), room=740))
    assert common > 740 - 2 * 80


def test_a_question_is_cut_in_the_middle_only_if_it_is_too_long_alone() -> None:
    text = "First of all, " + "and so on, " * 400 + "who am I?"
    persona = Entity(display_name="Zen", color="070140180", model="fake", system_prompt="You are Zen. " * 300)
    fits = build(persona, said(text), room=2_200)
    assert fits[-1].content == text, "the system prompt is cut instead"
    assert fits[0].content.startswith("You are Zen.")
    assert fits[0].content.endswith("…")
    cut = build(persona, said(text), Memory(talk(("Hi.", "Hello."))), room=400)
    assert cut[-1].content.startswith("First of all, ")
    assert cut[-1].content.endswith("who am I?")
    assert " … " in cut[-1].content
    assert cut[0].content.startswith("You are Zen.")
    assert tokens_of_turns(cut) <= 400


def test_a_long_run_of_spaces_is_not_free() -> None:
    """Else the question would be cut to nothing once a server has counted them."""
    assert tokens_of(f"a{' ' * 4_000}b") > 900
    assert tokens_of("a b c") == 3
