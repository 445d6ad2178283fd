"""An operator's batch: all of a call or nothing, bounded, and no promise is broken by it (P3, P4, P5, P6)."""

from typing import Any, Literal, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from queue_wall import Wall

from profiles import examples
from saywhatwant.errors import UnknownMessage, WrongState
from saywhatwant.limits import MAX_BATCH
from saywhatwant.message import Message
from saywhatwant.queue import MessageQueue
from saywhatwant.schemas import BatchRequest, BatchResponse, Reply

Action = Literal["retry", "fail", "discard"]
ACTIONS = st.sampled_from(get_args(Action))
SECOND = 1_000


def batch(wall: Wall, action: Action, **chosen: Any) -> BatchResponse:
    return wall.call(MessageQueue.batch, BatchRequest(action=action, **chosen))


def failed(wall: Wall, **fields: Any) -> str:
    asked = wall.ask(**fields)
    wall.call(MessageQueue.fail, asked, "bot", wall.claim(asked).bot_params.attempt, "no words", retry=False, detail="why")
    return asked


def fits(message: Message, action: Action) -> bool:
    return message.bot_params.status in ({"pending", "processing"} if action == "fail" else {"failed"})


STATES = st.sampled_from(["pending", "waiting", "held", "answered", "complete", "failed"])


def bring_into(wall: Wall, state: str, entity: str | None) -> str:
    asked = wall.ask(entity=entity)
    if state == "pending":
        return asked
    attempt = wall.claim(asked).bot_params.attempt
    match state:
        case "waiting" | "failed":
            wall.call(MessageQueue.fail, asked, "bot", attempt, "no words", retry=state == "waiting", detail="why")
        case "answered":
            wall.answer(asked)
        case "complete":
            wall.call(MessageQueue.complete, asked, "bot", attempt, Reply("Because."))
    return asked


@settings(max_examples=examples(100))
@given(
    posts=st.lists(st.tuples(STATES, st.sampled_from(["zen", "rude", None])), min_size=1, max_size=12),
    action=ACTIONS,
    entity=st.sampled_from(["zen", None]),
    crashing=st.booleans(),
)
def test_p4_a_batch_changes_what_fits_and_nothing_else(
    posts: list[tuple[str, str | None]], action: Action, entity: str | None, *, crashing: bool
) -> None:
    wall = Wall(retention=1_000)
    for state, to in posts:
        bring_into(wall, state, to)
    before = {message.id: message for message in wall.messages()}
    chosen = {key for key, m in before.items() if fits(m, action) and entity in {None, m.bot_params.entity}}
    done = batch(wall, action, **({"all": True} if entity is None else {"entity": entity}))
    assert (set(done.changed), done.more) == (chosen, False)
    if crashing:
        wall.runtime.crash()
    after = {message.id: message for message in wall.messages()}
    assert {key: after.get(key) for key in before if key not in chosen} == {
        key: message for key, message in before.items() if key not in chosen
    }, "no other message is touched"
    for key in chosen:
        match action:
            case "discard":
                assert key not in after
            case "retry":
                params = after[key].bot_params
                assert (params.status, params.tries, params.error) == ("pending", 0, None)
                assert params.attempt == before[key].bot_params.attempt, "P3: the fence stays"
            case "fail":
                params = after[key].bot_params
                answered = before[key].bot_params.answered_by is not None
                assert params.status == ("complete" if answered else "failed"), "P4: an answered message never fails"
                assert params.error == (None if answered else "ended by an operator")
    assert batch(wall, action, all=True).more is False


@pytest.mark.parametrize("action", get_args(Action))
def test_p8_one_wrong_id_and_nothing_changes(action: Action) -> None:
    wall = Wall()
    fitting = wall.ask() if action == "fail" else failed(wall)
    other = failed(wall) if action == "fail" else wall.ask()
    before = wall.messages()
    with pytest.raises(WrongState, match=other) as wrong:
        batch(wall, action, message_ids=[fitting, other])
    assert wrong.value.fields["field"] == "messageIds"
    with pytest.raises(UnknownMessage, match="nosuchid00"):
        batch(wall, action, message_ids=[fitting, "nosuchid00"])
    assert wall.messages() == before
    assert batch(wall, action, message_ids=[fitting, fitting]).changed == [fitting]


def test_p3_the_bot_whose_message_was_failed_is_over() -> None:
    wall = Wall()
    asked = wall.ask()
    attempt = wall.claim(asked).bot_params.attempt
    batch(wall, "fail", message_ids=[asked], reason=" the model is gone ")
    before = wall.message(asked)
    assert (before.bot_params.status, before.bot_params.error) == ("failed", "the model is gone")
    with pytest.raises(WrongState):
        wall.call(MessageQueue.complete, asked, "bot", attempt, Reply("Too late."))
    with pytest.raises(WrongState):
        wall.answer(asked, worker_id="bot", attempt=attempt)
    with pytest.raises(WrongState):
        wall.call(MessageQueue.release, asked, "bot", attempt)
    assert wall.message(asked) == before
    assert wall.answers_to(asked) == []


@pytest.mark.parametrize("crashing", [False, True])
def test_p5_after_the_newest_message_was_discarded_no_timestamp_comes_again(*, crashing: bool) -> None:
    """A reader that has seen it pages on from its timestamp."""
    wall = Wall()
    wall.ask("first")
    since = wall.message(failed(wall)).timestamp
    batch(wall, "discard", all=True)
    if crashing:
        wall.runtime.crash()
    wall.runtime.now_ms -= 5 * SECOND
    later = wall.ask("later")
    assert wall.message(later).timestamp == since + 1


def test_p6_a_batch_is_bounded_and_says_that_there_is_more() -> None:
    wall = Wall()
    count = MAX_BATCH + 5
    for _ in range(count):
        wall.ask(entity="zen")
    first, second = batch(wall, "fail", entity="zen"), batch(wall, "fail", entity="zen")
    assert (len(first.changed), first.more, len(second.changed), second.more) == (MAX_BATCH, True, 5, False)
    assert wall.call(MessageQueue.stats).backlog == 0


def test_p6_the_largest_batch_fits_one_call() -> None:
    """Every message has a context and a detail, and retention was lowered, so that each one removes others."""
    wall = Wall(retention=1_000, max_wait_ms=10**9)
    for _ in range(4 * MAX_BATCH):
        failed(wall)
    for _ in range(MAX_BATCH):
        asked = wall.ask(entity="zen", context=("Remember this.",))
        wall.call(MessageQueue.fail, asked, "bot", wall.claim(asked).bot_params.attempt, "no words", detail="why")
    wall.runtime.crash(configs={"Queue": replace(wall.config, retention=1)})
    assert len(batch(wall, "fail", all=True).changed) == MAX_BATCH
