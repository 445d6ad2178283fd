"""One answer to every message (P4), and one message per key (P7), by any way and in any order."""

from collections.abc import Callable

import pytest
from queue_wall import Wall, again, answer_to

from durable_objects import KeyReused
from saywhatwant.errors import BacklogFull, NotTheHolder, UnknownMessage, WrongState
from saywhatwant.message import NewMessage, encode
from saywhatwant.queue import MessageQueue
from saywhatwant.schemas import Reply

QUESTION = NewMessage(text="Why?", username="Human", color="169080199", entity="fear")


def test_p4_a_reply_and_its_completion_are_one_write() -> None:
    wall = Wall()
    question = wall.ask(entity="fear", priority=7)
    attempt = wall.claim(question).bot_params.attempt
    before = wall.runtime.meter.commits
    completed = wall.call(MessageQueue.complete, question, "bot", attempt, Reply(" Because. ".strip()))
    assert wall.runtime.meter.commits == before + 1
    assert completed.id is not None
    reply, params = wall.message(completed.id), wall.params(question)
    assert (params.status, params.answered_by, params.answered_at) == ("complete", reply.id, completed.timestamp)
    assert (reply.text, reply.username, reply.message_type, reply.reply_to) == ("Because.", "fear", "AI", question)
    assert (reply.bot_params.status, reply.bot_params.entity, reply.bot_params.priority) == ("complete", "fear", 7)
    assert reply.seq == wall.message(question).seq


def complete_with_reply(wall: Wall, question: str) -> str | None:
    return wall.call(MessageQueue.complete, question, "bot", 1, Reply("Another one.", "fear")).id


def complete_without_reply(wall: Wall, question: str) -> str | None:
    return wall.call(MessageQueue.complete, question).id


def reply_again(wall: Wall, question: str) -> str | None:
    return wall.answer(question, "Another one.").id


def fail(wall: Wall, question: str) -> None:
    assert wall.call(MessageQueue.fail, question, "bot", 1, "too late", retry=False).status == "complete"


def let_the_lease_run_out(wall: Wall, _: str) -> None:
    wall.runtime.advance(60)


def lose_the_alarm(wall: Wall, question: str) -> None:
    wall.forget_alarms()
    wall.runtime.advance(60)
    with pytest.raises(WrongState, match="about to be finished"):
        wall.claim(question)
    assert wall.claim_next() == []


@pytest.mark.parametrize(
    "then",
    [complete_with_reply, complete_without_reply, reply_again, fail, let_the_lease_run_out, lose_the_alarm],
)
@pytest.mark.parametrize("crashing", [False, True])
def test_p4_after_a_reply_in_two_steps_nothing_makes_a_second_one(
    then: Callable[[Wall, str], str | None], *, crashing: bool
) -> None:
    wall = Wall()
    question = wall.ask(entity="fear")
    wall.claim(question)
    first = wall.answer(question, worker_id="bot", attempt=1)
    if crashing:
        wall.runtime.crash()
    assert then(wall, question) in {None, first.id}
    wall.runtime.advance(60)
    params = wall.params(question)
    assert (params.status, params.answered_by, params.error) == ("complete", first.id, None)
    assert wall.answers_to(question) == [first.id]
    assert wall.answer(question, "However late it comes.") == again(first)


def test_p4_a_reply_to_a_message_that_nobody_holds_is_refused() -> None:
    wall = Wall(max_attempts=1)
    question = wall.ask()
    with pytest.raises(WrongState, match="pending"):
        wall.answer(question)
    wall.claim(question)
    wall.forget_alarms()
    wall.runtime.advance(60)
    with pytest.raises(NotTheHolder, match="ran out"):
        wall.answer(question)
    assert wall.claim_next() == []
    with pytest.raises(WrongState, match="failed"):
        wall.answer(question)
    with pytest.raises(UnknownMessage) as refusal:
        wall.answer("0000000000")
    assert refusal.value.fields["field"] == "replyTo"
    assert wall.answers_to(question) == []


def test_p4_a_bot_that_completes_first_may_reply_afterwards_once() -> None:
    wall = Wall()
    question = wall.ask()
    wall.claim(question)
    wall.call(MessageQueue.complete, question, "bot", 1)
    with pytest.raises(NotTheHolder):
        wall.answer(question, worker_id="bot", attempt=2)
    first = wall.answer(question)
    assert wall.answer(question) == again(first)
    assert wall.params(question).answered_by == first.id


def test_p4_a_reply_that_retention_removes_with_its_question_leaves_nothing_behind() -> None:
    wall = Wall(retention=1)
    question = wall.ask()
    wall.claim(question)
    wall.call(MessageQueue.complete, question)
    reply = wall.answer(question)
    assert [message.id for message in wall.messages()] == [reply.id]
    assert wall.runtime.disk.list("Queue/wall", "message/", "", 10) == [
        (f"message/{reply.timestamp:015d}", encode(wall.messages()[0]))
    ]


def test_p7_a_repeated_key_gets_the_first_answer_and_makes_no_second_message() -> None:
    wall = Wall(backlog_limit=1)
    first = wall.post(QUESTION, "key")
    wall.runtime.crash()
    assert wall.post(QUESTION, "key") == again(first), "though the backlog is full"
    with pytest.raises(KeyReused):
        wall.post(answer_to(None), "key")
    assert [message.id for message in wall.messages()] == [first.id]


def test_p7_a_refused_post_does_not_use_up_its_key() -> None:
    wall = Wall(backlog_limit=1)
    other = wall.ask()
    with pytest.raises(BacklogFull):
        wall.post(QUESTION, "key")
    wall.claim(other)
    wall.call(MessageQueue.complete, other)
    posted = wall.post(QUESTION, "key")
    assert wall.message(posted.id).text == QUESTION.text


def test_p7_a_key_makes_a_bots_reply_safe_to_repeat_after_its_lease_has_passed_on() -> None:
    wall = Wall()
    question = wall.ask()
    wall.claim(question)
    reply = answer_to(question, worker_id="bot", attempt=1)
    first = wall.post(reply, "key")
    wall.runtime.advance(60)
    assert wall.post(reply, "key") == again(first)
    assert wall.answers_to(question) == [first.id]


@pytest.mark.parametrize("crashing", [False, True])
@pytest.mark.parametrize("reply", [None, Reply("Because.")])
def test_p7_a_completion_that_is_repeated_gets_its_first_answer(reply: Reply | None, *, crashing: bool) -> None:
    """Its first answer may have got lost; the bot must not take its reply on the wall for a dropped one."""
    wall = Wall()
    question = wall.ask()
    wall.claim(question)
    first = wall.call(MessageQueue.complete, question, "bot", 1, reply)
    before = wall.messages()
    if crashing:
        wall.runtime.crash()
    assert wall.call(MessageQueue.complete, question, "bot", 1, reply) == first
    assert wall.messages() == before
    with pytest.raises(WrongState):
        wall.call(MessageQueue.complete, question, "another", 1, reply)
    with pytest.raises(NotTheHolder):
        wall.call(MessageQueue.complete, question, "bot", 2, reply)


def test_p7_a_completion_after_the_lease_ended_with_an_answer_gets_that_answer() -> None:
    wall = Wall()
    question = wall.ask()
    wall.claim(question)
    first = wall.answer(question, worker_id="bot", attempt=1)
    wall.runtime.advance(60)
    assert wall.call(MessageQueue.complete, question, "bot", 1, Reply("Again.")).id == first.id
    assert wall.answers_to(question) == [first.id]


def test_p4_a_reply_that_comes_with_a_second_completion_is_not_lost() -> None:
    wall = Wall()
    question = wall.ask()
    wall.claim(question)
    wall.call(MessageQueue.complete, question, "bot", 1)
    first = wall.call(MessageQueue.complete, question, "bot", 1, Reply("After all."))
    assert wall.answers_to(question) == [first.id]
    assert wall.params(question).answered_by == first.id
    assert wall.call(MessageQueue.complete, question, "bot", 1, Reply("Twice.")) == first


@pytest.mark.parametrize("retry", [True, False])
@pytest.mark.parametrize("crashing", [False, True])
def test_p7_a_failure_that_is_repeated_gets_its_first_answer(*, retry: bool, crashing: bool) -> None:
    wall = Wall()
    question = wall.ask()
    wall.claim(question)
    first = wall.call(MessageQueue.fail, question, "bot", 1, " no words ", retry=retry)
    before = wall.messages()
    if crashing:
        wall.runtime.crash()
    assert wall.call(MessageQueue.fail, question, "bot", 1, "no words", retry=retry) == first
    assert wall.messages() == before


def test_p3_a_failure_that_comes_after_its_lease_ended_is_refused() -> None:
    wall = Wall(max_attempts=2)
    question = wall.ask()
    for attempt in (1, 2):
        wall.claim(question)
        wall.runtime.advance(60)
        with pytest.raises(WrongState, match="pending" if attempt == 1 else "failed"):
            wall.call(MessageQueue.fail, question, "bot", attempt, "no words")


def test_p3_a_failure_for_another_reason_is_no_repetition() -> None:
    wall = Wall()
    question = wall.ask()
    wall.claim(question)
    wall.call(MessageQueue.fail, question, "bot", 1, "no words")
    with pytest.raises(WrongState):
        wall.call(MessageQueue.fail, question, "bot", 1, "other words")
    wall.call(MessageQueue.fail, question, "bot", 1, "no words", retry=False)
    assert wall.params(question).status == "pending"


def test_p3_a_repetition_by_another_worker_is_refused() -> None:
    wall = Wall()
    question = wall.ask()
    wall.claim(question)
    wall.call(MessageQueue.fail, question, "bot", 1, "no words", retry=False)
    with pytest.raises(WrongState):
        wall.call(MessageQueue.fail, question, "another", 1, "no words", retry=False)


def test_p4_a_failure_of_what_the_bot_completed_returns_complete() -> None:
    wall = Wall()
    question = wall.ask()
    wall.claim(question)
    wall.call(MessageQueue.complete, question, "bot", 1, Reply("Because."))
    assert wall.call(MessageQueue.fail, question, "bot", 1, "the answer got lost").status == "complete"
    with pytest.raises(WrongState):
        wall.call(MessageQueue.fail, question, "another", 1, "the answer got lost")


def test_p3_a_late_worker_cannot_answer_what_another_completed_without_a_reply() -> None:
    wall = Wall()
    question = wall.ask()
    wall.claim(question, "late")
    wall.runtime.advance(60)
    wall.claim(question, "bot")
    wall.call(MessageQueue.complete, question, "bot", 2)
    for fence in ({"worker_id": "late"}, {"worker_id": "late", "attempt": 1}, {"worker_id": "bot", "attempt": 1}):
        with pytest.raises(NotTheHolder):
            wall.answer(question, **fence)
    answer = wall.answer(question, worker_id="bot", attempt=2)
    assert wall.answers_to(question) == [answer.id]


@pytest.mark.parametrize("attempt", [None, 1], ids=["unfenced", "fenced"])
def test_p3_another_worker_cannot_answer_what_the_holder_completed_without_a_reply(attempt: int | None) -> None:
    wall = Wall()
    question = wall.ask()
    wall.claim(question, "bot")
    wall.call(MessageQueue.complete, question, "bot", 1)
    with pytest.raises(NotTheHolder, match="completed by 'bot', not by 'another'"):
        wall.answer(question, worker_id="another", attempt=attempt)
    assert wall.answers_to(question) == []
