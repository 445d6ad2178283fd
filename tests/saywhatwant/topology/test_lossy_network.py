"""A wall whose network loses calls and answers: what is repeated until it is answered happens once (P4, P7)."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from walls import a_post

from durable_objects import OutcomeUnknown
from durable_objects.simulated import SimulatedRuntime
from durable_objects.wire import WireRuntime
from profiles import examples
from saywhatwant.message import Message, Posted, decode, decode_list
from saywhatwant.queue.config import QueueConfig
from saywhatwant.schemas import Reply
from saywhatwant.topology import Topology, Wall, open_wall

T = TypeVar("T")

POSTS = 6


async def until_answered(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call whose outcome is unknown."""
    while True:
        try:
            return await call()
        except OutcomeUnknown:
            continue


async def post_all(walls: list[Wall]) -> list[Posted]:
    """Posts with a key or an id of their own, each repeated at the other gateway."""
    posted: list[Posted] = []
    for number in range(POSTS):
        new = a_post(f"message {number}", entity=f"e{number % 2}", **({"id": f"own{number}"} if number % 2 else {}))
        key = None if new.id else f"key {number}"
        first, again = [await until_answered(partial(wall.post, new, key)) for wall in walls]
        assert (first.id, first.timestamp) == (again.id, again.timestamp)
        posted.append(first)
    return posted


async def complete_all(wall: Wall, claimed: list[Message]) -> None:
    """Replies of the holders."""
    for one in claimed:
        complete = partial(wall.complete, one.id, "bot", one.bot_params.attempt, Reply("Because."))
        done = [await until_answered(complete) for _ in range(2)]
        assert done[0].id == done[1].id


@pytest.mark.parametrize("topology", ["single", "per-entity"])
@given(seed=st.integers(0, 2**32))
@settings(max_examples=examples(10))
def test_p7_what_is_repeated_over_a_network_that_loses_answers_happens_once(topology: Topology, seed: int) -> None:
    host = SimulatedRuntime(seed=seed)
    runtime = WireRuntime(host, seed=seed)
    first, second = (open_wall(gateway, QueueConfig(), topology) for gateway in (runtime, runtime.gateway()))
    lose(runtime, 0.3)
    posted = host.run(post_all([first, second]))
    lose(runtime, 0)
    claimed = [decode(one) for one in host.run(first.claim_next("bot", None, POSTS)).messages]
    lose(runtime, 0.3)
    host.run(complete_all(second, claimed))
    lose(runtime, 0)
    messages = decode_list(host.run(first.read()).body)
    people = [message.id for message in messages if message.message_type == "human"]
    assert sorted(people) == sorted(one.id for one in posted) == sorted(one.id for one in claimed)
    assert sorted(message.reply_to or "" for message in messages if message.message_type == "AI") == sorted(people)


def lose(runtime: WireRuntime, share: float) -> None:
    runtime.network.lost_calls = runtime.network.lost_answers = share
