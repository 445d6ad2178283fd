"""Posts that are safe to repeat (P7): with a key, or with an id of their own."""

import pytest

from durable_objects import KeyReused
from durable_objects.simulated import SimulatedRuntime
from saywhatwant.message import NewMessage
from saywhatwant.queue.config import QueueConfig
from saywhatwant.topology import open_wall
from saywhatwant.topology.keyed_posts import digest

NEW = NewMessage(text="Why?", username="Human", color="169080199")


def test_p7_a_key_gets_its_first_answer_and_no_other_message() -> None:
    runtime = SimulatedRuntime()
    wall = open_wall(runtime, QueueConfig())
    first = runtime.run(wall.post(NEW, "key"))
    assert not first.repeated
    again = runtime.run(wall.post(NEW, "key"))
    assert (again.id, again.timestamp, again.repeated) == (first.id, first.timestamp, True)
    for other in (
        NewMessage(text="Why not?", username="Human", color="169080199"),
        NewMessage(text="Why?", username="Human", color="169080199", entity="fear"),
    ):
        with pytest.raises(KeyReused, match="this Idempotency-Key was used for another message"):
            runtime.run(wall.post(other, "key"))


def test_p7_a_repeated_post_may_have_another_priority_as_its_entitys_default_changed() -> None:
    runtime = SimulatedRuntime()
    wall = open_wall(runtime, QueueConfig())
    first = runtime.run(wall.post(NEW, "key"))
    again = runtime.run(wall.post(NewMessage(text="Why?", username="Human", color="169080199", priority=1), "key"))
    assert again.id == first.id


def test_p7_a_digest_does_not_change_from_one_release_to_the_next() -> None:
    """Digests are on disk: with another one, a retry that crosses an upgrade would be refused."""
    full = NewMessage(
        text="Why?",
        username="Human",
        color="169080199",
        message_type="AI",
        reply_to="24spd5q8ti",
        entity="fear",
        priority=7,
        worker_id="bot",
        attempt=2,
    )
    assert digest(NEW).hex() == "0e5ec62735e0a900ab8dacf6"
    assert digest(full).hex() == "17ff440c5b453bf04a814bc3"
