"""Events: each durable change is published once, in order, and nothing else is (P2)."""

from typing import get_args

import pytest
from msgspec import json
from queue_wall import Wall

from listening import listen
from saywhatwant.message import BotParams, Message, Status, encode
from saywhatwant.queue import MessageQueue, events
from saywhatwant.schemas import ProgressState


def message(status: Status, entity: str | None = None, retry_at: int | None = None) -> Message:
    return Message(
        id="24spd5q8ti",
        timestamp=1,
        text='{"status":"pending"} "type":"progress"',
        username="Human",
        color="169080199",
        message_type="human",
        reply_to=None,
        bot_params=BotParams(status=status, entity=entity, retry_at=retry_at),
    )


@pytest.mark.parametrize("entity", [None, "fear"])
@pytest.mark.parametrize("retry_at", [None, 5])
@pytest.mark.parametrize("status", get_args(Status))
def test_p2_only_a_pending_message_that_does_not_back_off_is_claimable(
    status: Status, retry_at: int | None, entity: str | None
) -> None:
    event = events.changed(encode(message(status, entity, retry_at)))
    decoded = events.parse(event).message
    assert decoded is not None
    assert decoded.claimable == (status == "pending" and retry_at is None)
    assert (decoded.id, decoded.bot_params.entity) == ("24spd5q8ti", entity)


def test_p2_an_event_carries_the_message_as_every_reader_gets_it() -> None:
    encoded = encode(message("pending"))
    assert json.decode(events.changed(encoded)) == {"type": "message", "message": json.decode(encoded)}


def test_a_heartbeat_is_stored_and_not_published() -> None:
    wall = Wall()
    asked = wall.ask()
    wall.claim(asked)
    wall.runtime.advance(1)
    published = listen(wall.stub)
    end = wall.call(MessageQueue.extend, asked, "bot", 1).lease_expires_at
    assert published.heard() == []
    wall.runtime.crash()
    assert wall.params(asked).lease_expires_at == end == wall.runtime.now_ms + 60_000


def test_p2_every_durable_change_is_published_and_nothing_else() -> None:
    wall = Wall(lease_ms=1_000, backoff_ms=1_000)
    wall.runtime.autocommit = False
    published = listen(wall.stub)

    def news() -> list[str]:
        received = [json.decode(event) for event in published.take()]
        return [event["message"]["botParams"]["status"] if event["type"] == "message" else event["type"] for event in received]

    question = wall.ask()
    assert news() == ["pending"]
    claim = wall.runtime.start(wall.stub.call(MessageQueue.claim, question, "bot"))
    assert (claim.done, news()) == (False, [])
    wall.runtime.fail()
    assert (claim.done, news()) == (True, [])
    wall.claim(question)
    assert news() == ["processing"]
    wall.runtime.advance(1)
    assert news() == []
    wall.runtime.commit()
    assert news() == ["pending"]
    wall.call(MessageQueue.fail, question, "bot", wall.claim(question).bot_params.attempt, "no")
    assert not claimable(published.heard()[-1])
    wall.runtime.advance(2)
    wall.runtime.commit()
    assert claimable(published.heard()[-1]), "the end of a backoff is an event"


def claimable(event: bytes) -> bool:
    message = events.parse(event).message
    return message is not None and message.claimable


@pytest.mark.parametrize("state", get_args(ProgressState))
def test_p2_progress_is_an_event_with_the_whole_text_and_of_no_commit(state: ProgressState) -> None:
    event = events.progress("24spd5q8ti", 2, "Because", state)
    assert events.parse(event) == events.Event(type="progress", id="24spd5q8ti", attempt=2, text="Because", state=state)
    assert events.is_progress(event)
    assert not events.is_progress(events.changed(encode(message("pending"))))
