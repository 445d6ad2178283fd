"""One subscription for all parts of a worker, and each event decoded once."""

from functools import partial

import pytest

from durable_objects.simulated import SimulatedRuntime
from saywhatwant.message import NewMessage
from saywhatwant.queue import MessageQueue, events
from saywhatwant.topology import SingleWall
from saywhatwant.worker import queue_events
from saywhatwant.worker.queue_events import QueueEvent, QueueEvents


def test_an_event_is_decoded_at_most_once_and_only_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[bytes] = []

    def parse(raw: bytes) -> events.Event:
        decoded.append(raw)
        return events.parse(raw)

    monkeypatch.setattr(queue_events, "parse", parse)
    runtime = SimulatedRuntime()
    queue = runtime.namespace("MessageQueue", MessageQueue).get("global-queue")
    source = QueueEvents(SingleWall(queue))
    looked: list[str | None] = []

    def look(event: QueueEvent) -> None:
        looked.append(event.decoded.type)

    source.subscribe(lambda _: None)
    post = NewMessage(text="Why?", username="Human", color="169080199")
    runtime.run(queue.call(MessageQueue.post, post))
    assert decoded == []
    unsubscribe = [source.subscribe(partial(look)) for _ in range(5)]
    runtime.run(queue.call(MessageQueue.post, post))
    assert looked == ["message"] * 5
    assert len(decoded) == 1
    for end in unsubscribe:
        end()
    runtime.run(queue.call(MessageQueue.post, post))
    assert len(looked) == 5
