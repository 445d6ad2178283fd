"""Talks: a claim brings what one person and one entity said to each other, and nobody else's words."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET
from queue_wall import Wall

from profiles import examples
from saywhatwant.message import Message, conversation_of, decode, decode_list
from saywhatwant.queue import MessageQueue
from saywhatwant.queue.talks import Talks
from saywhatwant.schemas import Reply

ANN: dict[str, Any] = {"username": "Ann", "color": "200100000"}
BOB: dict[str, Any] = {"username": "Bob", "color": "000100200"}


def exchange(wall: Wall, person: dict[str, Any], text: str, entity: str = "zen") -> list[str]:
    """One question and its answer; returns what the entity remembered for it."""
    wall.ask(text, entity=entity, **person)
    ((message, talk),) = wall.recall(entities=(entity,))
    assert message.text == text
    wall.reply(message, f"answer to {text}")
    return talk


def rows(wall: Wall, prefix: str = "") -> int:
    return len(wall.runtime.disk.list("Queue/wall", prefix, "", 1_000))


# -- What a claim brings


def test_a_claim_brings_its_own_talk_and_no_word_of_another() -> None:
    """Failure 35: a private talk was answered with strangers' words in it."""
    wall = Wall()
    assert exchange(wall, ANN, "I am Ann.") == []
    exchange(wall, BOB, "I am Bob.")
    exchange(wall, ANN, "I like tea.", entity="eliza")
    assert exchange(wall, ANN, "Who am I?") == ["I am Ann.", "answer to I am Ann."]
    assert exchange(wall, ANN, "Well?")[2:] == ["Who am I?", "answer to Who am I?"]


@pytest.mark.parametrize(
    "other",
    [{"username": "Anne"}, {"color": "200100001"}, {"session_id": "s1"}, {"color_tail": "abcdefghi0"}],
    ids=str,
)
def test_a_person_is_a_name_a_color_its_tail_and_a_session(other: dict[str, Any]) -> None:
    wall = Wall()
    exchange(wall, ANN, "I am Ann.")
    assert exchange(wall, ANN | other, "Who am I?") == []
    assert exchange(wall, ANN | other, "Who?") == ["Who am I?", "answer to Who am I?"]


def test_a_fact_from_before_170_turns_and_among_other_talks_is_in_the_claim() -> None:
    wall = Wall(retention=1_000)
    exchange(wall, ANN, "My name is Ann.")
    for n in range(85):
        exchange(wall, ANN, f"question {n}")
        exchange(wall, BOB | {"username": f"Bob {n}"}, "I am somebody else.")
    talk = exchange(wall, ANN, "What is my name?")
    assert len(talk) == 172
    assert talk[:2] == ["My name is Ann.", "answer to My name is Ann."]
    assert not any("else" in text for text in talk)


def test_a_talk_costs_exactly_as_many_rows_as_it_has_messages() -> None:
    wall = Wall(retention=1_000)
    for n in range(85):
        exchange(wall, ANN, f"question {n}")
    assert rows(wall, "message/") == 170
    assert rows(wall) == 171, "and one row has the counts of outcomes, however many there are"


def test_a_burst_of_questions_is_remembered_in_the_order_in_which_they_were_asked() -> None:
    """Failure 34: answers come later than the questions behind them; each is remembered with its own question."""
    wall = Wall()
    exchange(wall, ANN, "My name is Ann.")
    for n in range(30):
        wall.ask(f"question {n}", entity="zen", **ANN)
    for n in range(30):
        ((message, talk),) = wall.recall()
        assert message.text == f"question {n}"
        assert talk == [
            "My name is Ann.",
            "answer to My name is Ann.",
            *(f"question {earlier}" for earlier in range(n)),
            *(f"answer to question {earlier}" for earlier in range(n)),
        ]
        wall.reply(message, f"answer to question {n}")


def test_an_answer_that_came_late_counts_as_one_of_the_turns_asked_for() -> None:
    wall = Wall()
    for n in range(3):
        wall.ask(f"question {n}", entity="zen", **ANN)
    for n in range(2):
        wall.reply(wall.claim_next()[0], f"answer to question {n}")
    assert wall.recall(context=3)[0][1] == ["question 1", "answer to question 0", "answer to question 1"]


def test_a_claim_that_asks_for_no_talk_gets_none() -> None:
    wall = Wall()
    wall.ask(entity="zen")
    assert wall.call(MessageQueue.claim_next, "bot").talks is UNSET


def test_a_talk_is_cut_at_its_bytes_and_the_newest_turns_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = Wall()
    for n in range(5):
        exchange(wall, ANN, f"question {n}")
    size = max(len(encoded) for _, encoded in wall.runtime.disk.list("Queue/wall", "message/", "", 1_000))
    monkeypatch.setattr("saywhatwant.queue.memory.talk_of.__defaults__", (3 * size,))
    assert exchange(wall, ANN, "And?") == ["answer to question 3", "question 4", "answer to question 4"]


def test_a_claim_of_many_talks_holds_only_what_fits_into_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others stay pending; nothing is held that the bot does not get."""
    monkeypatch.setattr("saywhatwant.queue.claims.MAX_ANSWER_BYTES", 3_000)
    wall = Wall()
    for n in range(10):
        wall.ask("why? " * 100, entity="zen", username=f"Ann {n}")
    claimed = wall.recall(limit=10)
    assert 1 < len(claimed) < 10
    assert len(wall.call(MessageQueue.pending, 10)) == 10 - len(claimed)
    assert wall.recall(limit=10)


# -- The naive talk


def naive_talk(messages: list[Message], question: Message, limit: int) -> list[str]:
    """By looking at every message: the last of those before the question, and the answers to these."""
    before = [m for m in messages if m.conversation == question.conversation and m.timestamp < question.timestamp]
    last = {m.id for m in before[-limit:]}
    answers = [m for m in messages if m.reply_to in last and m.message_type == "AI"]
    found = {m.timestamp: m.text for m in before[-limit:] + answers}
    return [found[at] for at in sorted(found)][-limit:]


STEPS = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(["Ann", "Bob"]), st.sampled_from(["zen", "eliza", None])),
    st.tuples(st.just("claim"), st.integers(1, 3), st.integers(1, 6)),
    st.tuples(st.just("reply"), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("fail"), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("rebuild"), st.none(), st.none()),
)


@settings(max_examples=examples(100))
@given(steps=st.lists(STEPS, max_size=40))
def test_a_claim_brings_what_a_look_at_every_message_finds(steps: list[tuple[str, Any, Any]]) -> None:
    wall = Wall(retention=10_000, lease_ms=3_600_000)
    held: list[Message] = []
    for number, (step, first, second) in enumerate(steps):
        if step == "ask":
            wall.ask(f"question {number}", username=first, entity=second)
        elif step == "claim":
            for message, talk in wall.recall(first, ("zen", "eliza"), context=second):
                assert message.conversation is not UNSET
                assert talk == naive_talk(wall.messages(), message, second)
                held.append(message)
        elif step == "rebuild":
            wall.runtime.crash()
        elif held:
            message = held.pop(first % len(held))
            if step == "reply" and second:
                wall.reply(message, f"answer {number}")
            elif step == "reply":
                wall.answer(message.id, f"answer {number}", worker_id="bot", attempt=message.bot_params.attempt)
            else:
                wall.call(MessageQueue.fail, message.id, "bot", message.bot_params.attempt, "no", retry=second)
    for conversation in {message.conversation for message in wall.messages() if message.conversation is not UNSET}:
        of_talk = [message for message in wall.messages() if message.conversation == conversation]
        page = wall.call(MessageQueue.read, newest_first=False, conversation=conversation)
        assert decode_list(page.body) == of_talk


@given(
    put=st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 30)), unique_by=lambda pair: pair[1]),
    since=st.integers(0, 30),
    before=st.none() | st.integers(0, 30),
    newest_first=st.booleans(),
    removed=st.integers(0, 10),
)
def test_the_index_of_talks_answers_like_a_list(
    put: list[tuple[str, int]], since: int, before: int | None, removed: int, *, newest_first: bool
) -> None:
    talks = Talks()
    for talk, at in put:
        talks.add(talk, at)
    for talk, at in put[:removed]:
        talks.remove(talk, at)
    left = put[removed:]
    for name in "ab":
        times = sorted(at for talk, at in left if talk == name)
        assert talks.last(name) == max(times, default=0)
        found = [at for at in times if since < at and (before is None or at < before)]
        assert list(talks.between(name, since, before, newest_first=newest_first)) == (found[::-1] if newest_first else found)
    assert len(talks) == len({talk for talk, _ in left})


# -- Messages to anyone


def test_a_message_to_anyone_joins_the_talk_that_its_author_had_last() -> None:
    wall = Wall()
    exchange(wall, ANN, "I am Ann.", entity="zen")
    exchange(wall, ANN, "I like tea.", entity="eliza")
    exchange(wall, BOB, "I am Bob.", entity="zen")
    for entities in (("zen", "eliza"), ("eliza", "zen")):
        asked = wall.ask("What do I like?", **ANN)
        ((message, talk),) = wall.recall(entities=entities)
        assert (message.id, message.bot_params.entity, message.bot_params.assigned_entity) == (asked, None, "eliza")
        assert talk[0] == "I like tea."
        wall.reply(message, "Tea.")
    answer = wall.messages()[-1]
    assert answer.conversation == message.conversation == conversation_of("eliza", "Ann", "200100000")


def test_messages_to_anyone_go_to_each_entity_in_turn_also_across_a_restart() -> None:
    wall = Wall()
    assigned = []
    for n in range(9):
        wall.ask(username=f"visitor {n}")
        ((message, _),) = wall.recall(entities=("zen", "eliza", "rude"))
        assigned.append(message.bot_params.assigned_entity)
        wall.reply(message, "Yes?")
        if n % 2:
            wall.runtime.crash()
    assert assigned == ["zen", "eliza", "rude"] * 3


def test_many_messages_to_anyone_in_one_claim_go_to_each_entity_in_turn() -> None:
    wall = Wall()
    for n in range(6):
        wall.ask(username=f"visitor {n}")
    claimed = wall.claim_next(6, ("zen", "eliza"))
    assert [message.bot_params.assigned_entity for message in claimed] == ["zen", "eliza"] * 3


def test_a_message_to_anyone_goes_to_the_last_talk_also_where_the_bot_asks_for_that_entity_in_another_call() -> None:
    wall = Wall()
    wall.ask("My name is Ann.", entity="zen", **ANN)
    wall.claim_next(entities=("zen",))
    ann, ben = wall.ask("Anyone?", **ANN), wall.ask("Anyone?", username="Ben")
    claimed = wall.call(MessageQueue.claim_next, "bot", ("eliza", "rude"), 2, also=("zen", "eliza")).messages
    assigned = {message.id: message.bot_params.assigned_entity for message in map(decode, claimed)}
    assert assigned == {ann: "zen", ben: "eliza"}


def test_a_message_to_anyone_keeps_its_entity_unless_the_next_claim_does_not_name_it() -> None:
    wall = Wall(backoff_ms=1, max_attempts=9)
    asked = wall.ask("Anyone?", **ANN)
    wall.ask("And you?", entity="eliza", **ANN)
    seen = []
    for entities in (("zen",), ("eliza", "zen"), ("eliza",), None):
        message = decode(wall.call(MessageQueue.claim, asked, "bot", entities=entities).message)
        seen.append(message.bot_params.assigned_entity)
        wall.call(MessageQueue.fail, asked, "bot", message.bot_params.attempt, "no")
        wall.runtime.advance(60)
    assert seen == ["zen", "zen", "eliza", "eliza"]
    assert wall.message(asked).conversation == conversation_of("eliza", "Ann", "200100000")
    gone = wall.call(MessageQueue.read, conversation=conversation_of("zen", "Ann", "200100000"))
    assert bytes(gone.body) == b"[]"


# -- What a post may bring


def test_a_context_takes_the_place_of_the_talk_for_this_one_answer() -> None:
    wall = Wall()
    exchange(wall, ANN, "I am Ann.")
    wall.ask("Who am I?", entity="zen", context=("Eve: I am Eve.", "Zen: Hello Eve."), **ANN)
    claimed = wall.call(MessageQueue.claim_next, "bot", context=100)
    message = decode(claimed.messages[0])
    assert claimed.talks is not UNSET
    assert claimed.talks[message.id].turns == []
    assert claimed.talks[message.id].context == ["Eve: I am Eve.", "Zen: Hello Eve."]
    assert message.bot_params.has_context is True
    assert b"Eve" not in bytes(wall.call(MessageQueue.read).body)
    wall.reply(message, "Ann.")
    assert exchange(wall, ANN, "And now?")[0] == "I am Ann."


@pytest.mark.parametrize("end", ["complete", "two steps", "fail", "lease ends", "nobody comes"])
@pytest.mark.parametrize("restart", [False, True])
def test_a_context_is_removed_when_the_work_ends_however_it_ends(end: str, *, restart: bool) -> None:
    wall = Wall(max_attempts=1)
    asked = wall.ask(entity="zen", context=("secret",))
    attempt = 1
    if end != "nobody comes":
        wall.claim(asked)
    if restart:
        wall.runtime.crash()
    assert rows(wall, "context/") == 1
    match end:
        case "complete":
            wall.call(MessageQueue.complete, asked, "bot", attempt, Reply("Yes."))
        case "two steps":
            wall.answer(asked, worker_id="bot", attempt=attempt)
            assert rows(wall, "context/") == 1, "it is work until it is completed"
            wall.runtime.advance(61)
        case "fail":
            wall.call(MessageQueue.fail, asked, "bot", attempt, "no")
        case "lease ends":
            wall.runtime.advance(61)
        case _:
            wall.runtime.advance(86_401)
    assert wall.params(asked).status in {"complete", "failed"}
    assert wall.params(asked).has_context is UNSET
    assert rows(wall, "context/") == 0
    if wall.params(asked).status == "failed":
        wall.call(MessageQueue.retry, asked)
        assert wall.recall()[0][1] == [], "an operator's retry remembers the talk"


def test_a_post_that_asks_for_no_answer_is_never_work() -> None:
    wall = Wall(backlog_limit=1)
    wall.ask("Waits.")
    asked = wall.ask("No answer, please.", answer=False)
    params = wall.params(asked)
    assert (params.status, params.answer) == ("complete", False)
    assert wall.message(asked).conversation is UNSET
    assert [message.text for message in wall.claim_next(10)] == ["Waits."]


def test_the_tail_of_a_replys_color_is_kept_apart() -> None:
    wall = Wall()
    asked = wall.ask(entity="zen")
    wall.claim(asked)
    wall.call(MessageQueue.complete, asked, "bot", 1, Reply("Yes.", color="255069000-Ab3dE5gH1j"))
    answer = wall.messages()[-1]
    assert (answer.color, answer.color_tail) == ("255069000", "Ab3dE5gH1j")
