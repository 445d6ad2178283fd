"""A reply being written: shown to subscribers, never stored, and a stale one dropped (P3)."""

import msgspec
import pytest
from queue_wall import Wall

from listening import listen
from saywhatwant.errors import NotTheHolder, WrongState
from saywhatwant.queue import MessageQueue


def test_progress_reaches_subscribers_and_is_not_stored() -> None:
    wall = Wall()
    question = wall.ask()
    wall.claim(question)
    shown = listen(wall.stub)
    commits, before = wall.runtime.meter.commits, wall.messages()
    wall.call(MessageQueue.progress, question, "bot", 1, "Because")
    assert [msgspec.json.decode(event) for event in shown.heard()] == [
        {"type": "progress", "id": question, "attempt": 1, "text": "Because", "state": "writing"}
    ]
    assert (wall.runtime.meter.commits, wall.messages()) == (commits, before)


def test_p3_progress_of_an_attempt_that_is_over_is_refused_and_not_shown() -> None:
    wall = Wall()
    question = wall.ask()
    wall.claim(question, "late")
    wall.runtime.advance(60)
    shown = listen(wall.stub)
    with pytest.raises(WrongState):
        wall.call(MessageQueue.progress, question, "late", 1, "Because")
    wall.claim(question)
    shown.take()
    with pytest.raises(NotTheHolder):
        wall.call(MessageQueue.progress, question, "late", 1, "Because")
    assert shown.heard() == []
