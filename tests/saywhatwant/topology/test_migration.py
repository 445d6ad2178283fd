"""What becomes of equal timestamps when several objects become one, and of calls between objects."""

from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from durable_objects import Meter
from durable_objects.inbox import INBOX
from durable_objects.outbox import outbox_key
from durable_objects.simulated.disk import SimulatedDisk
from durable_objects.storage import LiveStorage
from saywhatwant.message import BotParams, Message, decode, encode
from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.directory import Place, place_entry
from saywhatwant.queue.outcomes import OUTCOMES_KEY, OutcomeCounts
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
