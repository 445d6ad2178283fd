"""The live wall from inside: joining at any moment between two commits, and what everybody who has joined is told."""

import asyncio
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from live_wall import WALL, Scene, Socket, assert_told_all, of_progress

from profiles import examples
from saywhatwant.queue import events
from saywhatwant.worker import broadcaster
from saywhatwant.worker.broadcaster import TRY_AGAIN_LATER
from scenario import run, turns

CALLS = ["post", "post", "claim", "progress", "begin_commit", "commit", "fail", "evict_idle"]
STEPS = [*CALLS, "turn", "join", "join", "come back", "leave"]


async def take_step(scene: Scene, sockets: list[Socket], step: str, pick: int) -> None:
    match step:
        case "post" | "claim" | "progress":
            getattr(scene, step)()
        case "begin_commit" | "commit" | "fail" | "evict_idle":
            getattr(scene.runtime, step)()
        case "turn":
            for _ in range(pick):
                await asyncio.sleep(0)
        case "join":
            sockets.append(Socket(scene, min(pick, scene.runtime.disk.head(WALL).seq)))
        case "come back" if sockets:
            sockets.append(Socket(scene, sockets[pick % len(sockets)].token))
        case "leave" if sockets:
            sockets[pick % len(sockets)].leave()


@settings(max_examples=examples(200))
@given(steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 9)), max_size=50))
def test_p5_who_joins_at_any_moment_is_told_every_change_once_and_in_order(steps: list[tuple[str, int]]) -> None:
    """Between calls, before a commit, during it, after it, and when it fails; and so is who goes and comes back."""

    async def scenario() -> None:
        scene = Scene(autocommit=False)
        sockets: list[Socket] = []
        for step, pick in steps:
            await take_step(scene, sockets, step, pick)
        while not scene.runtime.commits.idle:
            scene.runtime.commit()
        await turns()
        await turns()
        for socket in sockets:
            if socket.close_code == TRY_AGAIN_LATER:
                assert socket.frames == [], "its commit failed before it was told anything"
            elif socket.log_begins is not None:
                assert_told_all(scene, socket)
            else:
                assert socket.task.done(), "it left before it was told anything"
        present = [socket for socket in sockets if not socket.task.done()]
        assert len(scene.wall) == len(present)
        assert {socket.token for socket in present} <= {scene.runtime.disk.head(WALL).seq}
        for socket in present:
            socket.leave()
        await turns()
        assert len(scene.wall) == 0
        assert [socket.task.exception() for socket in sockets] == [None] * len(sockets)

    with mock.patch.object(broadcaster, "MAX_MISSED", 2):
        run(scenario())


def test_p2_who_joins_before_a_commit_is_told_nothing_until_it_is_durable() -> None:
    async def scenario() -> None:
        scene = Scene(autocommit=False)
        scene.post()
        scene.runtime.begin_commit()
        scene.post()
        socket = Socket(scene, 0)
        await turns()
        scene.runtime.commit()
        await turns()
        assert socket.frames == []
        scene.runtime.commit()
        await turns()
        assert [frame["seq"] for frame in socket.frames] == [2]
        assert [event["message"]["text"] for event in socket.events] == ["number 1", "number 2"]
        socket.leave()
        await turns()

    run(scenario())


def test_p2_who_joins_before_a_commit_that_fails_is_sent_away_to_come_back() -> None:
    async def scenario() -> None:
        scene = Scene(autocommit=False)
        scene.post()
        socket, other = Socket(scene, 0), Socket(scene, 0)
        await turns()
        scene.runtime.fail()
        await turns()
        assert (socket.frames, socket.close_code, other.close_code) == ([], TRY_AGAIN_LATER, TRY_AGAIN_LATER)
        assert len(scene.wall) == 0
        assert scene.wall.too_slow == 0

    run(scenario())


def test_p9_open_sockets_keep_no_object_in_memory_and_hear_of_it_when_it_wakes() -> None:
    async def scenario() -> None:
        scene = Scene()
        scene.post()
        sockets = [Socket(scene, 0), Socket(scene, 1)]
        await turns()
        for number in range(2, 5):
            scene.runtime.evict_idle()
            scene.runtime.evict_idle()
            assert scene.runtime.live_objects == 0
            assert len(scene.wall) == 2
            scene.post()
            await turns()
            for socket in sockets:
                assert socket.events[-1]["message"]["text"] == f"number {number}"
                assert socket.token == number
        for socket in sockets:
            assert_told_all(scene, socket)
            socket.leave()
        await turns()

    run(scenario())


def test_p9_the_wall_listens_only_while_there_are_readers() -> None:
    async def scenario() -> None:
        scene = Scene()
        listeners = scene.runtime._listeners[WALL]
        assert len(listeners) == 1
        for _ in range(2):
            first, second = Socket(scene, 0), Socket(scene, 0)
            await turns()
            assert len(listeners) == 2
            first.leave()
            await turns()
            assert len(listeners) == 2
            scene.post()
            await turns()
            assert second.events[-1]["message"]["text"] == f"number {scene.posts}"
            second.leave()
            await turns()
            assert len(listeners) == 1
            scene.post()
        last = Socket(scene, scene.posts)
        await turns()
        assert last.events == []
        last.leave()
        await turns()

    run(scenario())


def test_p2_the_events_of_one_commit_are_one_frame() -> None:
    async def scenario() -> None:
        scene = Scene(autocommit=False)
        socket = Socket(scene, 0)
        await turns()
        for _ in range(3):
            scene.post()
        scene.runtime.commit()
        await turns()
        assert [(frame["seq"], len(frame["events"])) for frame in socket.frames] == [(0, 0), (3, 3)]
        socket.leave()
        await turns()

    run(scenario())


def test_p5_a_heartbeat_brings_the_token_and_never_runs_ahead_of_what_it_stands_for() -> None:
    """One that did would have its reader come back with a token for something that it was not told."""

    async def scenario() -> None:
        scene = Scene()
        scene.post()
        socket = Socket(scene, 0)
        await turns()
        scene.wall._beat()
        await turns()
        assert socket.frames[-1] == {"seq": 1, "events": []}
        # The commit is done and its events are here, but their frame is only made in the loop's next turn.
        scene.post()
        scene.wall._beat()
        await turns()
        assert_told_all(scene, socket)
        told: list[int] = []
        for frame in socket.frames:
            told += [event["message"]["seq"] for event in frame["events"]]
            assert frame["seq"] == max(told, default=0)
        socket.leave()
        await turns()

    run(scenario())


def test_p5_what_was_on_its_way_when_a_reader_came_does_not_take_its_token_back() -> None:
    """A reply being written is no commit: its frame has the token of the commits that it came with, or after."""

    async def scenario() -> None:
        scene = Scene(autocommit=False)
        scene.post()
        scene.claim()
        scene.runtime.commit()
        scene.post()
        scene.progress()
        scene.runtime.begin_commit()
        scene.post()
        socket = Socket(scene, 0)
        await turns()
        scene.runtime.commit()
        await turns()
        scene.runtime.commit()
        await turns()
        assert [frame["seq"] for frame in socket.frames] == [4]
        assert of_progress(scene.log) != of_progress(socket.events) == []
        socket.leave()
        await turns()

    run(scenario())


def test_p5_the_first_reader_after_a_while_is_not_taken_back_to_where_the_last_one_stood() -> None:
    async def scenario() -> None:
        scene = Scene()
        scene.post()
        for _ in range(2):
            socket = Socket(scene, 0)
            await turns()
            assert {frame["seq"] for frame in socket.frames} == {scene.posts}
            socket.leave()
            await turns()
            scene.post()

    run(scenario())


def test_p8_a_reader_that_says_something_is_closed_and_the_others_are_not() -> None:
    async def scenario() -> None:
        scene = Scene()
        loud, silent = Socket(scene, 0), Socket(scene, 0)
        await turns()
        loud.say("hello")
        await turns()
        assert (loud.close_code, silent.close_code) == (1_008, None)
        assert loud.task.done()
        scene.post()
        await turns()
        assert (len(loud.events), len(silent.events)) == (0, 1)
        silent.leave()
        await turns()

    run(scenario())


def test_p8_each_address_has_seats_of_its_own() -> None:
    async def scenario() -> None:
        scene = Scene(per_address=2)
        seated = [Socket(scene, 0, address) for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2")]
        await turns()
        refused = Socket(scene, 0, "192.0.2.1")
        await turns()
        assert (refused.refusal, len(scene.wall)) == (429, 3)
        seated[0].leave()
        await turns()
        seated.append(Socket(scene, 0, "192.0.2.1"))
        await turns()
        assert (seated[-1].refusal, len(scene.wall)) == (None, 3)
        for socket in seated:
            socket.leave()
        await turns()
        assert len(scene.wall) == 0
        assert not +scene.wall._addresses, "an address without sockets takes no memory"
        assert len(scene.wall._addresses) == 0

    run(scenario())


def test_p2_events_know_their_commit() -> None:
    async def scenario() -> None:
        scene = Scene()
        wires: list[bytes] = []
        scene.queue.subscribe(wires.append)
        scene.post()
        scene.claim()
        scene.progress()
        assert [events.seq_of(wire) for wire in wires] == [1, 2, None]
        assert events.seq_of(events.lease_ended("abcdefghi0")) is None

    run(scenario())
