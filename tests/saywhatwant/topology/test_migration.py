"""What becomes of messages of several objects that have the same timestamp, when they come into one."""

from msgspec.structs import replace

from saywhatwant.message import BotParams, Message, decode, encode
from saywhatwant.queue.directory import Place, place_entry
from saywhatwant.queue.state import EXPIRIES_KEY
from saywhatwant.queue.stored import key_at
from saywhatwant.topology.migration import DIRECTORY_ID, Data, Stored, to_single
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
    assert converted.recorded == Recorded("single", next_source=3)
