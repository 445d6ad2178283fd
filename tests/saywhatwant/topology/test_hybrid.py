"""One object with every message and one for the work of each entity: what one does, the other shows."""

from typing import Any

import pytest
from msgspec import UNSET
from walls import SimulatedWall, a_post

from durable_objects import KeyReused
from durable_objects.simulated import SimulatedRuntime
from listening import listen
from saywhatwant.errors import IdTaken, NotTheHolder, UnknownMessage, WrongState
from saywhatwant.message import decode, decode_list
from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.waiting import Wait
from saywhatwant.queue.whole_wall import WholeWall
from saywhatwant.queue.work_queue import WorkQueue
from saywhatwant.schemas import BatchRequest, Reply
from saywhatwant.topology import START, open_wall
from saywhatwant.topology.hybrid import HybridWall

LEASE = {"lease_ms": 60_000, "max_wait_ms": 600_000, "backoff_ms": 1_000}


@pytest.fixture
def wall() -> SimulatedWall:
    return SimulatedWall("hybrid", entities=("zen", "joy"), **LEASE)


def rows(runtime: SimulatedRuntime, object_id: str) -> list[str]:
    return [key for key, _ in runtime.disk.list(object_id, "", "", 1_000) if not key.startswith("\x01")]


def test_readers_see_one_wall_and_each_entity_has_its_work(wall: SimulatedWall) -> None:
    for number, entity in enumerate(["zen", "joy", None, "zen"]):
        wall.post(str(number), entity=entity)
    assert wall.texts() == ["3", "2", "1", "0"]
    counts = [len(rows(wall.runtime, f"WorkQueue/queue:{name}")) for name in ("zen", "joy", "")]
    assert counts == [2, 1, 1]


def test_p4_the_answer_and_the_end_of_the_work_are_one_commit_of_the_wall(wall: SimulatedWall) -> None:
    wall.post(entity="zen")
    (claimed,) = wall.claim_next()
    assert (claimed.text, claimed.bot_params.status) == ("Why is space black?", "processing")
    before, _ = wall.all_changes(START)
    answer = wall.complete(claimed)
    _, changed = wall.all_changes(before)
    assert [(message.message_type, message.bot_params.status) for message in changed] == [
        ("human", "complete"),
        ("AI", "complete"),
    ]
    assert len({message.seq for message in changed}) == 1
    assert changed[0].bot_params.answered_by == changed[1].id == answer
    assert rows(wall.runtime, "WorkQueue/queue:zen") == []


def test_p7_repeated_calls_get_the_first_answers_though_the_work_is_forgotten(wall: SimulatedWall) -> None:
    wall.post(entity="zen")
    (claimed,) = wall.claim_next()
    first = wall.complete(claimed, "one")
    assert wall.complete(claimed, "one") == first
    late = wall.post("two", message_type="AI", reply_to=claimed.id, worker_id="bot", attempt=1)
    assert (late.id, late.repeated) == (first, True)
    with pytest.raises(WrongState, match="complete, not pending"):
        wall.run(wall.another_gateway().wall.claim(claimed.id, "bot"))
    assert len(wall.read()) == 2


def test_p4_an_answer_posted_first_and_completed_later_is_one_answer(wall: SimulatedWall) -> None:
    wall.post(entity="zen")
    (claimed,) = wall.claim_next()
    answer = wall.post("Dark.", message_type="AI", reply_to=claimed.id, worker_id="bot", attempt=1, key="k")
    assert wall.message(claimed.id).bot_params.answered_by == answer.id
    assert wall.message(answer.id).timestamp == answer.timestamp
    assert wall.complete(claimed, "Other.") == answer.id
    assert wall.message(claimed.id).bot_params.answered_at == answer.timestamp
    assert [message.text for message in wall.read(newest_first=False)] == ["Why is space black?", "Dark."]
    with pytest.raises(KeyReused):
        wall.post("Else.", message_type="AI", reply_to=claimed.id, key="k")


def test_an_answer_that_comes_while_its_question_is_hidden_is_hidden_too(wall: SimulatedWall) -> None:
    """The work queue has answered its bot, so the answer is kept (P1); but nobody sees it."""
    question = wall.post(entity="zen").id
    wall.claim_next()
    zen = wall.runtime.namespace("WorkQueue", WorkQueue, wall.config).get("queue:zen")
    whole = wall.runtime.namespace("Wall", WholeWall, wall.config).get("wall")
    wall.runtime.autocommit = False
    answering = wall.runtime.start(zen.call(WorkQueue.complete, question, "bot", 1, Reply("Because.")))
    hiding = wall.runtime.start(whole.call(WholeWall.hide, question))
    wall.runtime.autocommit = True
    wall.runtime.commit()
    wall.runtime.advance(2)

    assert answering.result().success
    assert decode(hiding.result().message).hidden is True
    asked, answer = wall.read(newest_first=False)
    assert (asked.hidden, asked.bot_params.status, asked.bot_params.answered_by) == (True, "complete", answer.id)
    assert (answer.text, answer.hidden) == ("", True)
    assert wall.run(wall.wall.hidden(answer.id)).text == "Because."
    assert decode(wall.run(wall.wall.restore(answer.id)).message).text == "Because."


def test_nobody_gets_work_or_sees_progress_of_a_message_that_is_being_hidden(wall: SimulatedWall) -> None:
    question = wall.post(entity="zen").id
    whole = wall.runtime.namespace("Wall", WholeWall, wall.config).get("wall")
    signals = listen(whole)
    wall.runtime.autocommit = False
    hiding = wall.runtime.start(whole.call(WholeWall.hide, question))
    offered = wall.runtime.start(whole.call(WholeWall.offer, None, (), 5, None))
    claimed = wall.runtime.start(whole.call(WholeWall.offered, question, None, ()))
    shown = wall.runtime.start(whole.call(WholeWall.show_progress, question, 1, "It begins", "writing"))
    wall.runtime.autocommit = True
    wall.runtime.commit()
    wall.runtime.advance(2)

    assert decode(hiding.result().message).bot_params.status == "pending", "its work queue has not heard of it yet"
    assert offered.result() == []
    with pytest.raises(WrongState, match="hidden"):
        claimed.result()
    assert shown.result() is None
    assert not [event for event in signals.take() if b"It begins" in event]
    assert wall.message(question).bot_params.status == "failed"
    assert rows(wall.runtime, "WorkQueue/queue:zen") == [], "its work is over there too"


def test_p2_a_call_is_answered_once_readers_see_what_it_did() -> None:
    runtime = SimulatedRuntime(autocommit=False)
    wall = open_wall(runtime, QueueConfig(), "hybrid")
    asked = runtime.run(wall.post(a_post(entity="zen"))).id
    runtime.run(wall.claim(asked, "bot"))
    release = runtime.start(wall.release(asked, "bot", 1))
    done = []
    for _ in range(2):
        runtime.commit()
        done.append(release.done)
    assert done == [False, True]
    (message,) = decode_list(runtime.run(wall.read()).body)
    assert message.bot_params.status == "pending"


def test_p3_an_attempt_that_is_over_is_refused_at_its_work_queue(wall: SimulatedWall) -> None:
    wall.post(entity="zen")
    (first,) = wall.claim_next()
    wall.runtime.advance(61)
    (second,) = wall.claim_next()
    assert (first.id, second.bot_params.attempt) == (second.id, 2)
    with pytest.raises(NotTheHolder):
        wall.complete(first, "late")
    with pytest.raises(NotTheHolder):
        wall.run(wall.wall.progress(first.id, "bot", 1, "la"))
    assert wall.complete(second, "in time") is not None
    assert wall.run(wall.wall.stats()).lease_expiries == 1


def test_p4_what_nobody_claims_fails_and_what_fails_can_be_retried(wall: SimulatedWall) -> None:
    asked = wall.post(entity="zen", id="mine").id
    wall.runtime.advance(600)
    assert wall.message(asked).bot_params.error == "nobody answered within 10 minutes"
    wall.run(wall.wall.retry(asked))
    (claimed,) = wall.claim_next()
    failed = wall.run(wall.wall.fail(asked, "bot", claimed.bot_params.attempt, "no model", detail="secret"))
    assert failed.status == "pending"
    (listed,) = wall.run(wall.wall.listing("waiting", 10))
    assert b'"detail":"secret"' in bytes(listed)
    wall.runtime.advance(2)
    (claimed,) = wall.claim_next()
    assert wall.complete(claimed) is not None


def test_operators_end_unfinished_work_and_discard_what_failed(wall: SimulatedWall) -> None:
    ids = [wall.post(entity=entity).id for entity in ("zen", "joy", None)]
    wall.claim_next(entities=("zen",))
    ended = wall.run(wall.wall.batch(BatchRequest(action="fail", reason="closed")))
    assert sorted(ended.changed) == sorted(ids)
    assert {message.bot_params.error for message in wall.read()} == {"closed"}
    with pytest.raises(WrongState):
        wall.run(wall.wall.batch(BatchRequest(action="fail", message_ids=ids)))
    wall.run(wall.wall.batch(BatchRequest(action="retry", message_ids=ids[:1])))
    assert [message.id for message in wall.claim_next(5)] == ids[:1]
    wall.run(wall.wall.batch(BatchRequest(action="discard", message_ids=ids[1:])))
    assert [message.id for message in wall.read()] == ids[:1]


def test_a_batch_lists_only_what_it_has_changed(wall: SimulatedWall) -> None:
    ids = [wall.post(entity=entity).id for entity in ("zen", "joy")]
    wall.claim_next(2)
    gateway: Any = wall.wall
    at = gateway._at

    async def after_an_answer(message_id: str, method: Any, *args: Any) -> Any:
        if message_id == ids[0]:
            await at(message_id, WorkQueue.complete, message_id, "bot", 1, Reply("Yes."))
        return await at(message_id, method, *args)

    gateway._at = after_an_answer
    assert wall.run(wall.wall.batch(BatchRequest(action="fail", all=True))).changed == ids[1:]
    assert [wall.message(one).bot_params.status for one in ids] == ["complete", "failed"]


def test_p3_a_message_with_the_id_of_an_earlier_one_is_at_the_work_queue_of_its_own_entity() -> None:
    wall = SimulatedWall("hybrid", retention=1, talk_retention=0)
    wall.post("Mine.", id="mine", entity="zen")
    (claimed,) = wall.claim_next()
    wall.complete(claimed)
    for _ in range(30):
        wall.runtime.advance(3_600)
        wall.post("Later.", key="later", answer=False)
    other = wall.another_gateway()
    other.post("Mine.", id="mine", entity="joy")
    (claimed,) = other.claim_next()
    assert wall.complete(claimed) is not None
    assert rows(wall.runtime, "WorkQueue/queue:joy") == []


def test_a_waiting_claim_is_woken_at_the_wall_and_finds_the_work(wall: SimulatedWall) -> None:
    wait = Wait("g/1/1", 30_000)
    assert wall.claim_next(entities=("zen",), wait=wait) == []
    stream = wall.wall.events()
    asked = wall.post(entity="zen").id
    events = b" ".join(data for event in [wall.run(anext(stream))] for data in event.data)
    assert b'"type":"work"' in events
    woken = Wait("g/1/1", 29_000, 1, (asked,))
    assert [message.id for message in wall.claim_next(entities=("zen",), wait=woken)] == [asked]


def test_a_claim_that_others_were_always_faster_than_waits(wall: SimulatedWall, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: object) -> list[Any]:
        return []

    wall.post(entity="zen")
    monkeypatch.setattr(HybridWall, "_hold_all", nothing)
    assert wall.claim_next(entities=("zen",), wait=Wait("g/1/1", 30_000)) == []
    assert wall.run(wall.wall.stats(("zen", "joy"))).waited_for == ["zen"]


def test_p4_an_answer_whose_id_another_gateway_gave_meanwhile_gets_another_one(wall: SimulatedWall) -> None:
    hybrid = wall.wall
    assert isinstance(hybrid, HybridWall)
    questions = [wall.post(entity=entity).id for entity in ("zen", "joy")]
    wall.claim_next(2)
    for question in questions:  # both have looked whether the id is free before either was posted
        new = a_post(message_type="AI", reply_to=question, worker_id="bot", attempt=1, id="same")
        wall.run(hybrid._post_answer(new, question))
    answers = {message.reply_to: message.id for message in wall.read() if message.message_type == "AI"}
    assert set(answers) == set(questions)
    assert answers[questions[0]] == "same" != answers[questions[1]]


def test_messages_to_anyone_go_to_the_entity_that_their_author_talked_with(wall: SimulatedWall) -> None:
    wall.post("one", entity="joy")
    (claimed,) = wall.claim_next(entities=("joy",))
    wall.complete(claimed, "Joy!")
    wall.post("two")
    (claimed,) = wall.claim_next(entities=("zen",), also=("joy",), context=10)
    assert claimed.bot_params.assigned_entity == "joy"
    talk = wall.run(wall.wall.claim_next("bot", ("zen",))).messages
    assert talk == []
    wall.runtime.advance(61)
    answer = wall.run(wall.wall.claim(claimed.id, "bot", entities=("joy",), context=10))
    assert answer.talks is not UNSET
    assert [decode(turn).text for turn in answer.talks[claimed.id].turns] == ["one", "Joy!"]


def test_a_context_stays_at_the_wall_while_the_message_is_work(wall: SimulatedWall) -> None:
    asked = wall.post("Well?", entity="zen", context=("You are old.",)).id
    answer = wall.run(wall.wall.claim(asked, "bot", context=10))
    assert answer.talks is not UNSET
    assert answer.talks[asked].context == ["You are old."]
    wall.complete(decode(answer.message))
    assert [key for key in rows(wall.runtime, "Wall/wall") if key.startswith("context/")] == []


def test_an_entity_that_is_served_later_has_its_earlier_work(wall: SimulatedWall) -> None:
    asked = wall.post(entity="sea").id
    assert rows(wall.runtime, "WorkQueue/queue:sea") == []
    later = SimulatedWall("hybrid", entities=("zen", "joy", "sea"), **LEASE)
    later.runtime = wall.runtime
    configs = {"Wall": later.config, "WorkQueue": later.config}
    wall.runtime.crash(configs=configs)
    wall.config = later.config
    other = wall.another_gateway()
    (claimed,) = other.claim_next(entities=("sea",))
    assert claimed.id == asked
    assert other.complete(claimed) is not None


def test_p7_ids_and_keys_are_the_walls(wall: SimulatedWall) -> None:
    first = wall.post("Why?", id="myownid", entity="zen")
    assert wall.post("Why?", id="myownid", entity="zen").repeated
    with pytest.raises(KeyReused):
        wall.post("Why?", id="myownid", entity="joy")
    other = wall.post("Else").id
    with pytest.raises(IdTaken):
        wall.post("Because.", message_type="AI", reply_to=first.id, id=other)
    with pytest.raises(UnknownMessage) as refused:
        wall.run(wall.wall.post(a_post(message_type="AI", reply_to="unknown1")))
    assert refused.value.fields == {"field": "replyTo"}


def test_the_room_of_each_entity_is_counted_by_the_wall() -> None:
    wall = SimulatedWall("hybrid", entities=("zen", "joy"), backlog_limit=4, **LEASE)
    wall.post(entity="zen")
    wall.post(entity="zen")
    with pytest.raises(Exception, match="zen"):
        wall.post(entity="zen")
    (claimed,) = wall.claim_next(entities=("zen",))
    wall.run(wall.wall.complete(claimed.id, "bot", 1, Reply("Yes.")))
    wall.post(entity="zen")
