"""The backlog: no group can close the wall for others (P6), and unclaimed messages fail with a reason (P4)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queue_wall import Wall

from listening import listen
from saywhatwant.errors import BacklogFull, WrongState
from saywhatwant.limits import MAX_DUE_PER_CALL
from saywhatwant.message import decode
from saywhatwant.queue import MessageQueue
from saywhatwant.schemas import Reply

DAY = 24 * 60 * 60
GROUPS = st.sampled_from(["zen", "rude", None, "unknown-1", "unknown-2", "unknown-3"])


def fill(wall: Wall, entity: str | None) -> int:
    """Post to this entity until it is refused; how many were taken."""
    count = 0
    while True:
        try:
            wall.ask(entity=entity)
        except BacklogFull:
            return count
        count += 1


@pytest.mark.parametrize("entity", ["zen", "nobody-serves-this", None])
def test_p6_one_entity_takes_half_of_the_backlog_and_the_others_still_get_in(entity: str | None) -> None:
    wall = Wall(backlog_limit=100, entities=("zen", "rude"))
    assert fill(wall, entity) == 50
    for other in {"zen", "rude", None, "unknown"} - {entity, "unknown" if entity == "nobody-serves-this" else entity}:
        wall.ask(entity=other)


def test_p6_unknown_names_have_one_share_together() -> None:
    wall = Wall(backlog_limit=100, entities=("zen",))
    taken = sum(1 for number in range(100) if _is_taken(wall, f"unknown-{number}"))
    assert taken == 50
    with pytest.raises(BacklogFull, match="unknown entities"):
        wall.ask(entity="another")
    wall.ask(entity="zen")
    wall.ask()


def _is_taken(wall: Wall, entity: str | None) -> bool:
    try:
        wall.ask(entity=entity)
    except BacklogFull:
        return False
    return True


@pytest.mark.parametrize(("entity", "named"), [("zen", "to 'zen'"), (None, "to no entity"), ("x", "unknown entities")])
def test_p8_a_refusal_names_the_group_whose_share_is_used_up(entity: str | None, named: str) -> None:
    wall = Wall(backlog_limit=2, entities=("zen",))
    wall.ask(entity=entity)
    with pytest.raises(BacklogFull, match=named):
        wall.ask(entity=entity)


@given(posts=st.lists(GROUPS, max_size=80), limit=st.integers(1, 30))
def test_p6_a_group_with_nothing_waiting_always_gets_in_and_the_limit_holds(posts: list[str | None], limit: int) -> None:
    """With a limit beyond the number of groups, which halve what is left: 4 groups need 2 ** 4."""
    wall = Wall(backlog_limit=limit, entities=("zen", "rude"))
    waiting = {"zen": 0, "rude": 0, None: 0, "unknown": 0}
    for entity in posts:
        group = "unknown" if entity is not None and entity.startswith("unknown") else entity
        room = limit - sum(waiting.values())
        taken = _is_taken(wall, entity)
        assert taken == (waiting[group] < room)
        waiting[group] += taken
    assert wall.call(MessageQueue.stats).backlog == sum(waiting.values()) <= limit
    if limit >= 2**4:
        assert all(count > 0 or _is_taken(wall, None if group is None else f"{group}") for group, count in waiting.items())


def test_p6_what_was_accepted_is_safe_and_room_comes_back() -> None:
    wall = Wall(backlog_limit=6, retention=1)
    asked = [wall.ask(f"question {n}") for n in range(3)]
    wall.claim(asked[0])
    with pytest.raises(BacklogFull):
        wall.ask("one too many")
    for n in range(5):
        wall.answer(None, f"thought {n}")
    assert [message.id for message in wall.messages()][:3] == asked
    wall.call(MessageQueue.complete, asked[0])
    wall.ask("room again")
    assert wall.call(MessageQueue.stats).backlog == 3


def test_p6_an_ai_post_needs_no_room() -> None:
    wall = Wall(backlog_limit=1)
    wall.ask()
    wall.answer(None)
    assert wall.call(MessageQueue.stats).messages == 2


def test_p4_an_unclaimed_message_fails_in_time_with_a_reason() -> None:
    wall = Wall(max_wait_ms=1_000 * DAY)
    asked = wall.ask(entity="nobody-serves-this")
    events = listen(wall.stub)
    wall.runtime.advance(DAY - 1)
    assert (wall.params(asked).status, events.heard()) == ("pending", [])
    wall.runtime.advance(1)
    params = wall.params(asked)
    assert (params.status, params.error, params.completed_at) == (
        "failed", "nobody answered within 1 day", wall.runtime.now_ms,
    )  # fmt: skip
    assert len(events.heard()) == 1
    assert [decode(encoded).id for encoded in wall.call(MessageQueue.listing, "failed", 10)] == [asked]


@pytest.mark.parametrize(("seconds", "words"), [(1, "1 second"), (90, "90 seconds"), (7_200, "2 hours"), (1.5, "1.5 seconds")])
def test_p4_the_reason_names_the_time_in_words(seconds: float, words: str) -> None:
    wall = Wall(max_wait_ms=round(seconds * 1_000))
    asked = wall.ask()
    wall.runtime.advance(seconds)
    assert wall.params(asked).error == f"nobody answered within {words}"


def test_p6_a_backlog_that_nobody_serves_opens_by_itself() -> None:
    wall = Wall(backlog_limit=1_000)
    assert fill(wall, "nobody-serves-this") == 500
    wall.runtime.advance(DAY)
    assert wall.call(MessageQueue.stats).backlog == 0
    assert wall.ask(entity="nobody-serves-this")


def test_p4_a_returned_unclaimed_message_fails_with_both_reasons() -> None:
    wall = Wall(max_wait_ms=60_000, lease_ms=10_000)
    asked = wall.ask()
    wall.claim(asked)
    wall.runtime.advance(10)
    assert wall.params(asked).status == "pending"
    wall.runtime.advance(60)
    params = wall.params(asked)
    assert (params.status, params.error) == (
        "failed", "nobody answered within 1 minute; before that: the lease of 'bot' ran out",
    )  # fmt: skip


def test_p4_the_wait_begins_again_after_a_backoff_and_after_an_operators_retry() -> None:
    wall = Wall(max_wait_ms=60_000, backoff_ms=50_000, max_attempts=9)
    asked = wall.ask()
    wall.runtime.advance(59)
    retry_at = wall.call(MessageQueue.fail, asked, "bot", wall.claim(asked).bot_params.attempt, "no").retry_at
    assert retry_at is not None
    wall.runtime.advance((retry_at - wall.runtime.now_ms) / 1_000 + 59)
    assert wall.params(asked).status == "pending"
    wall.runtime.advance(1)
    assert wall.params(asked).status == "failed"
    wall.call(MessageQueue.retry, asked)
    wall.runtime.advance(59)
    assert wall.params(asked).status == "pending"
    wall.runtime.advance(1)
    assert wall.params(asked).status == "failed"


def test_p4_a_claimed_message_does_not_fail_for_its_wait() -> None:
    wall = Wall(max_wait_ms=5_000, lease_ms=60_000)
    asked = wall.ask()
    wall.claim(asked)
    wall.runtime.advance(30)
    assert wall.params(asked).status == "processing"


def test_p4_one_wait_over_ends_also_when_the_alarm_was_lost() -> None:
    wall = Wall(max_wait_ms=5_000)
    asked = wall.ask()
    wall.forget_alarms()
    wall.runtime.advance(5)
    assert wall.params(asked).status == "pending"
    assert wall.claim_next() == []
    assert wall.params(asked).status == "failed"
    with pytest.raises(WrongState):
        wall.claim(asked)


def test_p4_more_waits_than_one_call_ends_all_end() -> None:
    wall = Wall(max_wait_ms=5_000)
    for n in range(2 * MAX_DUE_PER_CALL + 10):
        wall.ask(f"question {n}")
    wall.runtime.advance(6)
    assert wall.call(MessageQueue.stats).backlog == 0


def test_p4_messages_stored_before_there_were_waits_get_one() -> None:
    wall = Wall(max_wait_ms=5_000)
    asked = wall.ask()
    ((key, encoded),) = wall.runtime.disk.list("Queue/wall", "message/", "", 10)
    wall.runtime.disk._entries["Queue/wall"][key] = encoded.replace(b'"expiresAt":1700000005000', b'"expiresAt":null')
    wall.runtime.crash()
    assert wall.params(asked).expires_at is None
    wall.runtime.advance(1)
    assert wall.params(asked).expires_at == 1_700_000_005_000
    wall.runtime.advance(5)
    assert wall.params(asked).status == "failed"


AGING = 10_000


@given(posts=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 30_000)), max_size=12), limit=st.integers(1, 12))
def test_p4_the_most_urgent_comes_first_and_what_waits_grows_more_urgent(posts: list[tuple[int, int]], limit: int) -> None:
    wall = Wall(aging_ms=AGING)
    asked: list[tuple[int, int, str]] = []
    for number, (priority, pause) in enumerate(posts):
        wall.runtime.advance(pause / 1_000)
        message = wall.message(wall.ask(f"question {number}", priority=priority))
        asked.append((priority * AGING + message.timestamp, message.timestamp, message.id))
    order = [message_id for _, _, message_id in sorted(asked)]
    assert [decode(encoded).id for encoded in wall.call(MessageQueue.pending, limit)] == order[:limit]
    claimed: list[str] = []
    for _ in asked:
        claimed += [message.id for message in wall.claim_next(limit)]
    assert claimed == order


def test_p4_nobody_starves_behind_a_stream_of_urgent_posts() -> None:
    wall = Wall(aging_ms=AGING)
    patient = wall.ask("patient", priority=99)
    claimed: list[str] = []
    for number in range(1_000):
        wall.ask(f"urgent {number}", priority=0)
        (message,) = wall.claim_next()
        wall.call(MessageQueue.complete, message.id, "bot", 1)
        claimed.append(message.id)
        if message.id == patient:
            break
        wall.runtime.advance(1)
    assert claimed.index(patient) in range(980, 1_000)


def test_a_bot_that_holds_work_is_no_reason_to_refuse_it_to_others() -> None:
    """Unfinished work counts, claimed or not: else a group could hold the whole limit."""
    wall = Wall(backlog_limit=4, entities=("zen", "rude"))
    wall.claim(wall.ask(entity="zen"))
    wall.claim(wall.ask(entity="zen"))
    with pytest.raises(BacklogFull, match="zen"):
        wall.ask(entity="zen")
    wall.ask(entity="rude")


def test_p6_contexts_of_one_entity_leave_room_for_those_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after a restart, and the room is free again when the work ends."""
    monkeypatch.setattr("saywhatwant.queue.backlog.MAX_CONTEXTS_BYTES", 800)
    wall = Wall(max_context_bytes=100, entities=("zen", "eliza"))

    def ask(entity: str | None, *, context: bool = True) -> str:
        return wall.ask(entity=entity, context=("a",) if context else None)

    first = [ask("zen") for _ in range(4)]
    with pytest.raises(BacklogFull, match="4; the remaining room is for others"):
        ask("zen")
    ask("zen", context=False)
    wall.runtime.crash()
    ask("eliza")
    ask("no-such-one")
    ask(None)
    with pytest.raises(BacklogFull):
        ask("another-unknown")
    wall.claim(first[0])
    wall.call(MessageQueue.complete, first[0], "bot", 1, Reply("Yes."))
    ask("eliza")
    assert wall.call(MessageQueue.stats).backlog == 8
