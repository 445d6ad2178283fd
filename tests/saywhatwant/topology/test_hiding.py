"""Operators hide messages, show them again and erase their texts, whatever the topology."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from msgspec import UNSET
from walls import SimulatedWall

from saywhatwant.errors import UnknownMessage, WrongState
from saywhatwant.message import Message, OriginalFields, decode
from saywhatwant.moderation.schemas import HiddenMessage
from saywhatwant.queue.hidden import ENDED, NAMELESS
from saywhatwant.schemas import BatchRequest, Reply
from saywhatwant.topology import START

TEXT = "a sentence that nobody may read"
LEASE: dict[str, Any] = {"lease_ms": 60_000, "max_wait_ms": 600_000, "backoff_ms": 1_000}


@pytest.fixture(params=["single", "per-entity", "hybrid"])
def wall(request: pytest.FixtureRequest) -> SimulatedWall:
    return SimulatedWall(request.param, **LEASE)


def stored(wall: SimulatedWall) -> bytes:
    """All that the objects store, the runtime's rows too."""
    disk = wall.runtime.disk
    return b"\n".join(value for name in disk._entries for _, value in disk.list(name, "", "", 10_000))


def hide(wall: SimulatedWall, message_id: str, reason: str = "rude", *, name: bool = False) -> Message:
    return decode(wall.run(wall.wall.hide(message_id, reason, name=name)).message)


def restore(wall: SimulatedWall, message_id: str) -> Message:
    return decode(wall.run(wall.wall.restore(message_id)).message)


def erase(wall: SimulatedWall, message_id: str, *, name: bool = False) -> Message:
    """As a server does it: a call from object to object may still have the text, until ``scrub``."""
    erased = wall.run(wall.wall.erase(message_id, name=name))
    assert wall.run(wall.runtime.scrub()) is None
    return decode(erased.message)


def hidden(wall: SimulatedWall, message_id: str) -> HiddenMessage:
    return wall.run(wall.wall.hidden(message_id))


def answered(wall: SimulatedWall, text: str = TEXT, answer: str = "Because.", **fields: Any) -> tuple[str, str]:
    """A question and its answer."""
    question = wall.post(text, **({"entity": "zen"} | fields)).id
    (claimed,) = wall.claim_next()
    answer_id = wall.complete(claimed, answer)
    assert answer_id is not None
    return question, answer_id


def test_a_hidden_message_keeps_its_place_and_its_answer_and_has_no_text(wall: SimulatedWall) -> None:
    question, answer = answered(wall)
    before = wall.message(question)
    shown = hide(wall, question)
    assert shown == wall.message(question)
    assert (shown.text, shown.hidden, shown.erased) == ("", True, UNSET)
    assert (shown.id, shown.timestamp, shown.bot_params) == (before.id, before.timestamp, before.bot_params)
    assert wall.message(answer).text == "Because.", "an answer that was there stays"
    assert [message.id for message in wall.read(newest_first=False)] == [question, answer]


def test_the_operator_reads_a_hidden_message_and_why_it_is_hidden(wall: SimulatedWall) -> None:
    question, _ = answered(wall)
    with pytest.raises(WrongState, match="not hidden"):
        hidden(wall, question)
    hide(wall, question, " rude ")
    found = hidden(wall, question)
    assert (found.text, found.username, found.reason) == (TEXT, "Human", "rude")
    assert found.hidden_at == wall.runtime.now_ms


def test_restored_it_is_exactly_what_it_was(wall: SimulatedWall) -> None:
    question, _ = answered(
        wall, color_tail="Ab3dE5gH1j", session_id="s1", ais="Me:255069000", original=OriginalFields(misc=TEXT, nom="4")
    )
    before = wall.message(question)
    shown = hide(wall, question, name=True)
    assert (shown.username, shown.color_tail, shown.original) == (NAMELESS, UNSET, UNSET)
    assert (shown.bot_params.session_id, shown.bot_params.ais) == (UNSET, UNSET)
    after = restore(wall, question)
    assert after.seq > shown.seq > before.seq
    assert [(name, getattr(after, name)) for name in Message.__struct_fields__ if name != "seq"] == [
        (name, getattr(before, name)) for name in Message.__struct_fields__ if name != "seq"
    ]
    assert b'"at":' not in stored(wall), "nothing is kept beside it any more"


def test_each_call_may_be_repeated(wall: SimulatedWall) -> None:
    question, _ = answered(wall)
    assert hide(wall, question) == hide(wall, question, "another reason")
    assert hidden(wall, question).reason == "rude", "the first one counts"
    named = hide(wall, question, name=True)
    assert (named.text, named.username) == ("", NAMELESS)
    assert hide(wall, question, name=True).username == hide(wall, question).username == NAMELESS
    assert hidden(wall, question).username == "Human"
    assert restore(wall, question) == restore(wall, question)
    assert wall.message(question).text == TEXT
    assert erase(wall, question) == erase(wall, question)
    assert erase(wall, question, name=True).username == NAMELESS
    assert erase(wall, question).username == NAMELESS


def test_what_is_erased_cannot_be_read_or_restored(wall: SimulatedWall) -> None:
    question, answer = answered(wall, answer="The answer.")
    for message_id, text in ((question, TEXT), (answer, "The answer.")):
        shown = erase(wall, message_id)
        assert (shown.text, shown.hidden, shown.erased) == ("", True, True)
        assert hide(wall, message_id) == shown, "it is hidden already"
        assert text.encode() not in stored(wall)
        with pytest.raises(WrongState, match="erased"):
            restore(wall, message_id)
        with pytest.raises(WrongState, match="erased"):
            hidden(wall, message_id)


def test_a_hidden_message_can_be_erased_and_takes_its_hidden_name_along(wall: SimulatedWall) -> None:
    question, _ = answered(wall, username="Ann Example")
    hide(wall, question, name=True)
    assert b"Ann Example" in stored(wall)
    assert erase(wall, question).username == NAMELESS
    assert b"Ann Example" not in stored(wall)


def test_unknown_messages_are_refused(wall: SimulatedWall) -> None:
    answered(wall)
    for call in (wall.wall.hide, wall.wall.restore, wall.wall.erase, wall.wall.hidden):
        with pytest.raises(UnknownMessage):
            wall.run(call("unknown"))


# -- Work


def test_p4_a_message_that_waits_fails_when_it_is_hidden(wall: SimulatedWall) -> None:
    question = wall.post(TEXT, entity="zen").id
    shown = hide(wall, question)
    assert (shown.bot_params.status, shown.bot_params.error) == ("failed", ENDED)
    assert wall.claim_next() == []
    with pytest.raises(WrongState, match="hidden"):
        wall.run(wall.wall.claim(question, "bot"))


def test_p3_the_bot_that_holds_a_hidden_message_is_refused(wall: SimulatedWall) -> None:
    question = wall.post(TEXT, entity="zen").id
    (held,) = wall.claim_next()
    assert hide(wall, question).bot_params.status == "failed"
    with pytest.raises(WrongState):
        wall.complete(held)
    with pytest.raises(WrongState):
        wall.post("Because.", message_type="AI", reply_to=question, worker_id="bot", attempt=1)
    with pytest.raises(WrongState):
        wall.run(wall.wall.extend(question, "bot", 1))
    assert [message.id for message in wall.read()] == [question]


def test_p4_an_answer_that_was_posted_before_stays_and_completes_the_question(wall: SimulatedWall) -> None:
    question = wall.post(TEXT, entity="zen").id
    wall.claim_next()
    answer = wall.post("Because.", message_type="AI", reply_to=question, worker_id="bot", attempt=1).id
    shown = hide(wall, question)
    assert (shown.bot_params.status, shown.bot_params.answered_by) == ("complete", answer)
    assert wall.message(answer).text == "Because."


def test_no_answer_comes_to_a_question_that_was_completed_without_one(wall: SimulatedWall) -> None:
    question = wall.post(TEXT, entity="zen").id
    (held,) = wall.claim_next()
    wall.run(wall.wall.complete(question, "bot", held.bot_params.attempt))
    hide(wall, question)
    with pytest.raises(WrongState, match="hidden"):
        wall.run(wall.wall.complete(question, "bot", held.bot_params.attempt, Reply("Because.")))
    with pytest.raises(WrongState, match="hidden"):
        wall.post("Because.", message_type="AI", reply_to=question, worker_id="bot", attempt=1)
    restore(wall, question)
    assert wall.post("Because.", message_type="AI", reply_to=question, worker_id="bot", attempt=1).id


def test_a_hidden_message_is_not_retried_until_it_is_shown_again(wall: SimulatedWall) -> None:
    question = wall.post(TEXT, entity="zen").id
    hide(wall, question)
    with pytest.raises(WrongState, match="hidden"):
        wall.run(wall.wall.retry(question))
    with pytest.raises(WrongState, match="hidden"):
        wall.run(wall.wall.batch(BatchRequest(action="retry", message_ids=[question])))
    assert wall.run(wall.wall.batch(BatchRequest(action="retry", all=True))).changed == []
    restore(wall, question)
    wall.run(wall.wall.retry(question))
    (claimed,) = wall.claim_next()
    assert (claimed.id, claimed.text) == (question, TEXT)
    assert wall.complete(claimed)


def test_hidden_turns_are_left_out_of_what_entities_remember(wall: SimulatedWall) -> None:
    first = answered(wall, "First.", "One.")
    second = answered(wall, "Second.", "Two.")
    wall.post("Third.", entity="zen")
    hide(wall, first[0])
    hide(wall, second[1])
    erase(wall, answered_later(wall)[0])
    assert remembered(wall) == ["One.", "Second.", "Late."]


def answered_later(wall: SimulatedWall) -> tuple[str, str]:
    """The question that waits is answered, and another one is asked."""
    (claimed,) = wall.claim_next()
    answer = wall.complete(claimed, "Late.")
    wall.post("Fourth.", entity="zen")
    return claimed.id, answer or ""


def remembered(wall: SimulatedWall) -> list[str]:
    claimed = wall.run(wall.wall.claim_next("bot", None, context=100))
    assert claimed.talks is not UNSET
    (talk,) = claimed.talks.values()
    return [decode(turn).text for turn in talk.turns]


# -- Crashes


@pytest.mark.parametrize("after_commit", [False, True])
@pytest.mark.parametrize("call", [hide, restore, erase])
def test_p1_a_crash_at_any_commit_leaves_nothing_half_done_and_the_call_can_be_made_again(
    wall: SimulatedWall, call: Callable[..., Message], *, after_commit: bool
) -> None:
    calls = {hide: wall.wall.hide, restore: wall.wall.restore, erase: wall.wall.erase}
    for commits in count():
        text = f"{TEXT}: {commits}."
        question = wall.post(text, entity="zen", context=("Eve: Hello.",)).id
        wall.post("Who said that?", entity="joy", context=(f"Human: {text}", "Eve: Indeed."))
        (held,) = wall.claim_next(entities=("zen",))
        if call is restore:
            hide(wall, question)
        wall.runtime.autocommit = False
        running = wall.runtime.start(calls[call](question))
        for _ in range(commits):
            wall.runtime.commit()
        if running.done:
            break
        wall.runtime.begin_commit()
        wall.runtime.crash(after_commit=after_commit)
        wall.runtime.autocommit = True
        wall.runtime.advance(2)

        shown = wall.message(question)
        assert shown.text == (text if shown.hidden is UNSET else "")
        if shown.hidden is not UNSET and shown.erased is UNSET:
            assert hidden(wall, question).text == text, "it is hidden, and nothing is lost"
            with pytest.raises(WrongState):
                wall.complete(held)
        again = call(wall, question)
        assert again == wall.message(question)
        assert again.text == (text if call is restore else "")
        if call is erase:
            assert text.encode() not in stored(wall)
        else:
            restore(wall, question)
            assert wall.message(question).text == text
        assert wall.message(question).bot_params.status == "failed"
    assert commits > 0


# -- What else has the text


def test_the_context_that_came_with_an_erased_question_is_gone(wall: SimulatedWall) -> None:
    question = wall.post("A question.", entity="zen", context=(f"Ann: {TEXT}",)).id
    assert TEXT.encode() in stored(wall)
    hide(wall, question)
    assert TEXT.encode() not in stored(wall), "it was for the answer, which never comes"


def test_what_other_questions_quote_of_an_erased_text_is_gone(wall: SimulatedWall) -> None:
    question, _ = answered(wall)
    for entity in ("zen", "joy", None):
        wall.post("Who said that?", entity=entity, context=("Eve: Hello.", f"Human: {TEXT}", "Eve: Indeed."))
    erase(wall, question)
    assert TEXT.encode() not in stored(wall)
    claimed = wall.run(wall.wall.claim_next("bot", None, 3, context=100))
    assert claimed.talks is not UNSET
    assert [talk.context for talk in claimed.talks.values()] == [["Eve: Hello.", "Eve: Indeed."]] * 3


def test_more_contexts_than_one_call_looks_through_are_all_cleaned(
    wall: SimulatedWall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saywhatwant.queue.memory.CONTEXTS_AT_ONCE", 2)
    question, _ = answered(wall)
    for _ in range(5):
        wall.post("Who said that?", entity="zen", context=(f"Human: {TEXT}",))
    erase(wall, question)
    assert TEXT.encode() not in stored(wall)


def test_what_a_provider_said_about_an_erased_message_is_gone(wall: SimulatedWall) -> None:
    question = wall.post("A question.", entity="zen").id
    wall.claim_next()
    wall.run(wall.wall.fail(question, "bot", 1, "no", retry=False, detail=f"I refuse: {TEXT}"))
    assert TEXT.encode() in stored(wall)
    hide(wall, question)
    assert TEXT.encode() in stored(wall), "for operators it stays while the message is only hidden"
    erase(wall, question)
    assert TEXT.encode() not in stored(wall)


def test_a_message_that_is_removed_takes_its_hidden_text_along() -> None:
    wall = SimulatedWall("single", retention=2, talk_retention=0, **LEASE)
    question = wall.post(TEXT, answer=False).id
    hide(wall, question)
    for number in range(4):
        wall.post(str(number), answer=False)
    assert question not in {message.id for message in wall.read()}
    assert TEXT.encode() not in stored(wall)


# -- Readers


def test_readers_who_follow_get_the_change_in_its_commit(wall: SimulatedWall) -> None:
    question, _ = answered(wall)
    before, _ = wall.all_changes(START)
    for act, text in ((hide, ""), (restore, TEXT), (erase, "")):
        shown = act(wall, question)
        before, changed = wall.all_changes(before)
        assert [(message.id, message.text) for message in changed] == [(question, text)]
        assert changed == [shown]


@pytest.mark.parametrize("act", [hide, erase])
def test_no_list_and_no_page_has_the_text(wall: SimulatedWall, act: Callable[..., Message]) -> None:
    question = wall.post(TEXT, entity="zen").id
    reads = (
        lambda: wall.run(wall.wall.read()).body,
        lambda: wall.run(wall.wall.read(0, 5, newest_first=False)).body,
        lambda: wall.run(wall.wall.changes(START)).messages,
        lambda: wall.run(wall.wall.pending(10)),
        lambda: [wall.run(wall.wall.listing(state, 10)) for state in ("pending", "waiting", "held", "failed")],
        lambda: wall.run(wall.another_gateway().wall.read()).body,
    )
    assert any(TEXT in repr(bytes(part)) for read in reads for part in flat(read()))
    act(wall, question)
    for read in reads:
        assert not [part for part in flat(read()) if TEXT.encode() in bytes(part)]


def flat(found: Any) -> list[Any]:
    return [part for one in found for part in flat(one)] if isinstance(found, list) else [found]
