"""What becomes of equal timestamps when several objects become one, and of calls between objects."""

from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from durable_objects import Meter
from durable_objects.disk import Change, Head
from durable_objects.inbox import INBOX
from durable_objects.outbox import outbox_key
from durable_objects.simulated import SimulatedRuntime
from durable_objects.simulated.disk import SimulatedDisk
from durable_objects.storage import LiveStorage
from saywhatwant.message import BotParams, Message, decode, encode
from saywhatwant.queue import MessageQueue, restores
from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.directory import Place, place_entry
from saywhatwant.queue.outcomes import OUTCOMES_KEY, OutcomeCounts
from saywhatwant.queue.shard import QueueShard
from saywhatwant.queue.standing import Stand
from saywhatwant.queue.state import EXPIRIES_KEY
from saywhatwant.queue.stored import key_at, split
from saywhatwant.tally import Outcomes, sum_of
from saywhatwant.topology.migration import DIRECTORY_ID, CannotMigrate, Data, Stored, others, to_per_entity, to_single
from saywhatwant.topology.record import Recorded


def a_message(name: str, timestamp: int, seq: int, **params: object) -> Message:
    return Message(
        id=name,
        timestamp=timestamp,
        text=name,
        username="Human",
        color="169080199",
        message_type="AI" if name.startswith("answer") else "human",
        reply_to=None,
        bot_params=replace(BotParams(status="complete"), **params),
        seq=seq,
    )


def stored(*messages: Message) -> Stored:
    return Stored(max(message.seq for message in messages), None, {key_at(one.timestamp): encode(one) for one in messages})


def test_each_message_has_a_timestamp_of_its_own_and_questions_know_their_answers() -> None:
    places = [Place(1, "queue:", is_open=True), Place(2, "queue:zen", is_open=True)]
    data: Data = {
        DIRECTORY_ID: Stored(1, None, dict(map(place_entry, places))),
        "MessageQueue/queue:": stored(a_message("first", 100, 1), a_message("third", 200, 2), a_message("fifth", 201, 3)),
        "MessageQueue/queue:zen": stored(
            a_message("question", 150, 2, answered_by="answer", answered_at=200),
            a_message("answer", 200, 2),
            a_message("sixth", 201, 3),
        ),
    }
    for name, expiries in (("queue:", b"2"), ("queue:zen", b"3")):
        data[f"MessageQueue/{name}"].entries[EXPIRIES_KEY] = expiries
    converted = to_single(data, Recorded("per-entity", single_seq=1_000, next_source=3))
    (whole,) = converted.data.values()
    messages = {
        message.id: message for message in map(decode, (v for k, v in whole.entries.items() if k.startswith("message/")))
    }
    times = {name: message.timestamp for name, message in messages.items()}
    assert times == {"first": 100, "question": 150, "third": 200, "answer": 199, "fifth": 201, "sixth": 202}
    assert messages["question"].bot_params.answered_at == 199
    assert (converted.messages, converted.moved) == (6, 2)
    assert sorted(message.seq for message in messages.values()) == list(range(1_001, 1_007)), "later than all before"
    assert whole.seq == 1_006
    assert whole.entries[EXPIRIES_KEY] == b"5"
    assert outcomes_in(converted.data.values()).answers == 1
    assert converted.recorded == Recorded("single", next_source=3)


SERVED = ["zen"]
STAND = Stand("socket", "gateway", 1, "worker", 2, {"zen": 2})


def attempt_at(data: Data, cls: type[MessageQueue], name: str, message_id: str) -> int:
    """The number of the next attempt at a message."""
    runtime = SimulatedRuntime()
    for object_id, one in data.items():
        runtime.disk.apply([Change(object_id, dict(one.entries), Head(one.seq, one.alarm_at))])
    queue = runtime.namespace("MessageQueue", cls, QueueConfig(entities=("zen",))).get(name)
    (raw,) = runtime.run(queue.call(cls.claim_next, "worker", ("zen",))).messages
    assert decode(raw).id == message_id
    return decode(raw).bot_params.attempt


def test_p3_attempts_that_a_restore_has_left_out_stay_so() -> None:
    question = a_message("question", 100, 1, status="pending", entity="zen")
    whole = stored(question)
    whole.seq = 5_000
    whole.entries[restores.KEY] = restores.encode(restores.with_gap([], 1, 4_000, 100))
    single = {"MessageQueue/global-queue": whole}
    assert attempt_at(single, MessageQueue, "global-queue", "question") == restores.LOST_ATTEMPTS + 1
    several = to_per_entity(single, Recorded("single"), served=SERVED, now=200)
    assert attempt_at(several.data, QueueShard, "queue:zen", "question") == restores.LOST_ATTEMPTS + 1
    again = to_single(several.data, several.recorded)
    assert attempt_at(again.data, MessageQueue, "global-queue", "question") == restores.LOST_ATTEMPTS + 1
    (kept,) = restores.decode(again.data["MessageQueue/global-queue"].entries[restores.KEY])
    assert (kept.last, kept.first) == (1, 4_000), "readers of that life are still found"


def test_p3_p5_a_gap_of_several_objects_is_a_fence_for_one_and_leaves_no_reader_behind() -> None:
    zen = stored(a_message("question", 100, 1, status="pending", entity="zen"))
    zen.entries[restores.KEY] = restores.encode(restores.with_gap([], 1, 4_000_000, 100))
    zen.seq = 5_000_000
    data = {
        DIRECTORY_ID: Stored(1, None, dict([place_entry(Place(1, "queue:zen", is_open=True))])),
        "MessageQueue/queue:zen": zen,
    }
    converted = to_single(data, Recorded("per-entity", single_seq=7, next_source=2))
    (whole,) = converted.data.values()
    assert attempt_at(converted.data, MessageQueue, "global-queue", "question") == restores.LOST_ATTEMPTS + 1
    gaps = restores.decode(whole.entries[restores.KEY])
    assert not any(restores.is_lost(gaps, position) for position in (1, 7, 8, 4_000, whole.seq))


def test_bots_on_the_sockets_of_a_server_that_was_killed_are_gone() -> None:
    runtime = SimulatedRuntime()
    queue = runtime.namespace("MessageQueue", MessageQueue, QueueConfig()).get("global-queue")
    runtime.run(queue.call(MessageQueue.stand, STAND))
    entries = dict(runtime.disk.list(QUEUE, "", "", 1_000))
    assert any(key.startswith("standing/") for key in entries)
    converted = to_per_entity({QUEUE: Stored(1, None, entries)}, Recorded("single"), served=SERVED, now=200)
    assert not any(key.startswith("standing/") for one in converted.data.values() for key in one.entries)


QUEUE, MODERATION = "MessageQueue/global-queue", "Moderation/moderation"


@pytest.mark.parametrize(("sender", "receiver"), [(QUEUE, MODERATION), (MODERATION, QUEUE)])
def test_p1_a_call_that_is_on_its_way_is_not_lost(sender: str, receiver: str) -> None:
    data: Data = {
        sender: Stored(1, None, {outbox_key(receiver, 3_000): b"a call"}),
        receiver: Stored(1, None, {INBOX + sender: b"2000"}),
    }
    with pytest.raises(CannotMigrate, match=f"a call of {sender} is on its way"):
        others(data)
    data[receiver].entries[INBOX + sender] = b"3000"
    assert MODERATION in others(data)


def test_p7_calls_of_converted_objects_are_taken_though_their_numbers_begin_again() -> None:
    entries = {INBOX + QUEUE: b"2000", INBOX + "Other/one": b"1000", "rule/slow": b"5"}
    kept = others({QUEUE: Stored(), MODERATION: Stored(1, None, entries)})
    assert kept == {MODERATION: Stored(1, None, {INBOX + "Other/one": b"1000", "rule/slow": b"5"})}


def test_counts_of_outcomes_are_the_same_after_a_conversion_to_several_objects_and_back() -> None:
    """Some are stored, others are found among the messages: in the new objects each counts once."""
    messages = [
        one
        for n in range(0, 160, 2)
        for one in (
            a_message(
                f"question{n}", n, n + 1, entity=("zen", "joy", None)[n % 3], answered_by=f"answer{n}", answered_at=n + 1
            ),
            replace(a_message(f"answer{n}", n + 1, n + 1), reply_to=f"question{n}"),
        )
    ]
    whole = stored(*messages)
    whole.entries[OUTCOMES_KEY] = b"[[1000,5,0,7,[1000,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]],101]"
    data: Data = {"MessageQueue/global-queue": whole}
    before = outcomes_in(data.values())
    assert (before.answers, before.failures) == (1_000 + 29, 5), "those after 101 are not among the stored ones"
    several = to_per_entity(data, Recorded("single"), served=["zen", "joy"], now=0)
    assert outcomes_in(several.data.values()) == before
    one = to_single(several.data, several.recorded)
    assert outcomes_in(one.data.values()) == before


def outcomes_in(objects: Iterable[Stored]) -> Outcomes:
    """What the objects count when they wake with this data."""
    total = Outcomes()
    for stored in objects:
        storage = LiveStorage("Queue/wall", SimulatedDisk(), Meter())
        for key, value in stored.entries.items():
            storage.put(key, value)
        messages = [decode(split(value)[0]) for key, value in stored.entries.items() if key.startswith("message/")]
        total = sum_of(total, OutcomeCounts(storage, QueueConfig(), messages).total)
    return total
