"""Readers behind a network: whatever comes late, twice, in another order or not at all, each gets every change (P2, P5)."""

import asyncio
from collections.abc import Callable
from unittest import mock

from broadcast_harness import WALL, Client, Harness, assert_complete, assert_replies
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_objects import EventsLost, OutcomeUnknown
from profiles import examples
from saywhatwant.worker import live_frames
from saywhatwant.worker.subscriber import TRY_AGAIN_LATER
from scenario import run, turns

CALLS = ["post", "post", "claim", "progress", "progress", "complete"]
COMMITS = ["begin_commit", "commit", "commit", "commit", "fail", "evict_idle"]
STEPS = [*CALLS, *COMMITS, "repeat", "break", "lose", "join", "join", "come back", "leave"]
HELD = ["same", "same", "same", "same", "nothing", "answers", "events"]
"""What the network holds back from a step on."""
TURNS = [0, 0, 1, 2, 3, 5, 20]
"""Of the event loop, after a step."""


def take_step(harness: Harness, clients: list[Client], step: str, pick: int) -> None:
    network = harness.network
    steps: dict[str, Callable[[], object]] = {
        **{name: getattr(harness, name) for name in ("post", "claim", "progress", "complete")},
        **{name: getattr(harness.runtime, name) for name in ("begin_commit", "commit", "fail", "evict_idle")},
        "repeat": lambda: setattr(network, "repeats", pick),
        "break": lambda: network.break_events(OutcomeUnknown("the connection was lost")),
        "lose": lambda: network.break_events(EventsLost("too far behind")),
        "join": lambda: clients.append(Client(harness, min(pick, harness.runtime.disk.head(WALL).seq))),
    }
    of_client: dict[str, Callable[[Client], object]] = {
        "come back": lambda client: clients.append(Client(harness, client.token)),
        "leave": Client.leave,
    }
    if step in steps:
        steps[step]()
    elif clients:
        of_client[step](clients[pick % len(clients)])


@settings(max_examples=examples(200))
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(HELD), st.sampled_from(STEPS), st.integers(0, 9), st.sampled_from(TURNS)),
        min_size=10,
        max_size=60,
    )
)
def test_p5_who_subscribes_at_any_moment_gets_every_change_once_in_order(steps: list[tuple[str, str, int, int]]) -> None:
    """Between calls, before a commit, during it, after it, and when it fails; and so does who goes and comes back.

    Events may come before or after answers, late, twice, or break off.
    """

    async def scenario() -> None:
        harness = Harness(autocommit=False)
        clients: list[Client] = []
        for held, step, pick, turns_after in steps:
            harness.network.hold_as(held)
            take_step(harness, clients, step, pick)
            for _ in range(turns_after):
                await asyncio.sleep(0)
        harness.network.hold(answers=False, events=False)
        for _ in range(3):
            while not harness.runtime.commits.idle:
                harness.runtime.commit()
            await turns()
        for client in clients:
            if client.frames:
                assert_complete(harness, client, max_missed=2)
            if not client.caught_up:
                assert client.task.done(), "it left, or its commit failed"
                assert client.close_code in {None, TRY_AGAIN_LATER}
        present = [client for client in clients if not client.task.done()]
        assert len(harness.broadcaster) == len(present)
        assert {client.token for client in present} <= {harness.runtime.disk.head(WALL).seq}
        for client in present:
            assert_replies(harness, client)
            client.leave()
        await turns()
        assert len(harness.broadcaster) == 0
        assert [client.task.exception() for client in clients] == [None] * len(clients)

    with mock.patch.object(live_frames, "MAX_MISSED", 2):
        run(scenario())


def test_p5_an_event_that_comes_before_the_page_that_lacks_it_is_kept() -> None:
    async def scenario() -> None:
        harness = Harness()
        await harness.queue_events.start()
        harness.post()
        harness.network.hold(answers=True, events=False)
        client = Client(harness)
        await turns()
        harness.post()
        await turns()
        harness.network.hold(answers=False, events=False)
        await turns()
        assert [(frame["seq"], len(frame["events"])) for frame in client.frames] == [(1, 1), (2, 1)]
        client.leave()
        await turns()

    run(scenario())


def test_p5_an_event_that_comes_after_the_page_that_has_it_is_not_sent_again() -> None:
    """Its token is not taken back either: that of another frame is behind what this client has."""

    async def scenario() -> None:
        harness = Harness()
        await harness.queue_events.start()
        harness.post()
        harness.claim()
        harness.network.hold(answers=False, events=True)
        harness.post()
        harness.post()
        client = Client(harness)
        await turns()
        harness.broadcaster._beat()
        harness.progress("Because")
        harness.post()
        harness.network.hold(answers=False, events=False)
        await turns()
        assert [frame["seq"] for frame in client.frames] == [4, 4, 5]
        assert [message["seq"] for message in client.messages] == [2, 3, 4, 5]
        assert_replies(harness, client)
        client.leave()
        await turns()

    run(scenario())


def test_p5_when_events_are_lost_each_client_goes_on_where_it_was() -> None:
    async def scenario() -> None:
        harness = Harness()
        clients = [Client(harness), Client(harness)]
        await turns()
        for _ in range(3):
            harness.post()
            await turns()
            harness.network.hold(answers=False, events=True)
            harness.post()
            harness.network.break_events(EventsLost("too far behind"))
            harness.post()
            harness.network.hold(answers=False, events=False)
            await turns()
        for client in clients:
            assert client.close_code is None
            assert [message["seq"] for message in client.messages] == list(range(1, 10))
            client.leave()
        await turns()

    run(scenario())
