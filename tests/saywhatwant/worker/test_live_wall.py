"""The live wall from inside: its frames, its readers' places, and joining at any moment between two commits."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from room import run, turns

from durable_objects import CommitFailed, SimulatedRuntime, Stub
from durable_objects.simulated import Task
from saywhatwant import events
from saywhatwant.message import NewMessage, decode
from saywhatwant.queue import MessageQueue
from saywhatwant.worker import live
from saywhatwant.worker.live import MAX_BEHIND_CHARS, TOO_SLOW, TRY_AGAIN_LATER, Frame, LiveWall, Reader

P = ParamSpec("P")
R = TypeVar("R")
Json = dict[str, Any]

WALL = "Queue/wall"
OLD, NEW = b'{"of":"old"}', b'{"of":"new"}'
PASSING = b'{"of":"nothing stored"}'

# -- Frames


def told(frame: Frame | None) -> list[str]:
    """What a frame tells of."""
    return [] if frame is None else [event["of"] for event in json.loads(frame.text)["events"]]


@pytest.mark.parametrize(
    ("changes", "after", "left"),
    [
        pytest.param([], 9, [], id="a heartbeat"),
        pytest.param([(None, PASSING)], 9, [PASSING], id="nothing stored"),
        pytest.param([(7, NEW)], 6, [NEW], id="younger"),
        pytest.param([(7, OLD)], 7, None, id="that very commit"),
        pytest.param([(6, OLD), (7, OLD)], 8, None, id="all older"),
        pytest.param([(6, OLD), (7, NEW), (8, NEW)], 6, [NEW, NEW], id="some older"),
        pytest.param([(6, OLD), (6, OLD), (7, NEW), (7, NEW)], 6, [NEW, NEW], id="two of a commit"),
        pytest.param([(None, PASSING), (6, OLD), (7, NEW)], 6, [PASSING, NEW], id="nothing stored, then some older"),
        pytest.param([(6, OLD), (None, PASSING)], 6, [PASSING], id="older, then nothing stored"),
        pytest.param([(None, PASSING), (7, NEW)], 6, [PASSING, NEW], id="nothing stored, then younger"),
    ],
)
def test_p5_a_frame_has_only_what_is_younger_than_where_its_reader_stands(
    changes: list[tuple[int | None, bytes]], after: int, left: list[bytes] | None
) -> None:
    frame = Frame(8, changes)
    younger = frame.after(after)
    if left is None:
        assert younger is None
    else:
        assert younger is not None
        assert json.loads(younger.text) == {"seq": 8, "events": [json.loads(event) for event in left]}
        assert younger.seq == 8
        # Encoded once for all readers, but for the few who have just come.
        assert (younger is frame) == (len(left) == len(changes))


@settings(deadline=None, database=None, max_examples=100)
@given(seqs=st.lists(st.none() | st.integers(0, 9), max_size=8), after=st.integers(0, 9))
def test_p5_a_frame_leaves_out_nothing_else(seqs: list[int | None], after: int) -> None:
    stored = iter(sorted(seq for seq in seqs if seq is not None))
    ordered = [None if seq is None else next(stored) for seq in seqs]
    frame = Frame(9, [(seq, b'{"of":"%d"}' % place) for place, seq in enumerate(ordered)])
    assert told(frame.after(after)) == [str(place) for place, seq in enumerate(ordered) if seq is None or seq > after]


def test_p5_a_frame_says_that_more_follows_only_when_it_does() -> None:
    assert json.loads(Frame(1, [(None, NEW)], more=True).text) == {"seq": 1, "events": [{"of": "new"}], "more": True}
    assert json.loads(Frame(1, []).text) == {"seq": 1, "events": []}


# -- Readers


def large(chars: int) -> Frame:
    """A frame of so many characters."""
    bare = len(Frame(1, [(1, b'""')]).text)
    frame = Frame(1, [(1, b'"%b"' % (b"x" * (chars - bare)))])
    assert len(frame.text) == chars
    return frame


def end_of(reader: Reader) -> int | None:
    """What it was closed with, if it was."""
    return reader.close_code


async def taken(reader: Reader) -> list[Frame]:
    """All that a reader that is over still gives."""
    return [frame async for frame in reader.frames()]


def test_p5_a_reader_gets_every_frame_in_order_also_those_that_come_while_it_waits() -> None:
    async def scenario() -> None:
        reader = Reader()
        offered = [Frame(seq, []) for seq in range(6)]
        for frame in offered[:2]:
            reader.offer(frame)
        got: list[Frame] = []

        async def follow() -> None:
            async for frame in reader.frames():
                got.append(frame)
                await asyncio.sleep(0)

        following = asyncio.create_task(follow())
        await turns()
        assert got == offered[:2]
        for frame in offered[2:5]:
            reader.offer(frame)
            await asyncio.sleep(0)
        await turns()
        assert got == offered[:5]
        assert not following.done()
        reader.end()
        await following
        reader.offer(offered[5])
        assert await taken(reader) == []
        assert end_of(reader) is None

    run(scenario)


def test_p6_a_reader_may_be_so_far_behind_and_no_further() -> None:
    async def scenario() -> None:
        half = MAX_BEHIND_CHARS // 2
        reader = Reader()
        reader.offer(large(half))
        reader.offer(large(half))
        assert end_of(reader) is None
        reader.offer(large(100))
        assert end_of(reader) == TOO_SLOW
        assert await taken(reader) == []

    run(scenario)


def test_p6_what_a_reader_is_being_sent_counts_until_it_asks_for_the_next() -> None:
    async def scenario() -> None:
        reader, quarter = Reader(), MAX_BEHIND_CHARS // 4
        frames = reader.frames()
        for _ in range(5):
            reader.offer(large(quarter))
            reader.offer(large(quarter))
            await anext(frames)
            await anext(frames)
            assert end_of(reader) is None
        for _ in range(3):
            reader.offer(large(quarter))
        assert end_of(reader) is None
        reader.offer(large(100))
        assert end_of(reader) == TOO_SLOW
        with pytest.raises(StopAsyncIteration):
            await anext(frames)

    run(scenario)


def test_p6_a_frame_of_any_size_is_no_reason_to_cut_a_reader_that_waits_for_it() -> None:
    async def scenario() -> None:
        reader = Reader()
        frames = reader.frames()
        for _ in range(2):
            frame = large(2 * MAX_BEHIND_CHARS)
            waiting = asyncio.ensure_future(anext(frames))
            await turns()
            reader.offer(frame)
            assert end_of(reader) is None
            assert await waiting is frame
        reader.offer(large(100))
        assert end_of(reader) == TOO_SLOW

    run(scenario)


def test_p6_nothing_gathers_for_a_reader_that_is_over_though_something_is_still_being_sent_to_it() -> None:
    async def scenario() -> None:
        reader = Reader()
        frames = reader.frames()
        reader.offer(large(100))
        await anext(frames)
        reader.end(1_008)
        reader.offer(large(100))
        with pytest.raises(StopAsyncIteration):
            await anext(frames)

    run(scenario)


def test_p8_only_the_first_end_counts() -> None:
    async def scenario() -> None:
        gone, cut = Reader(), Reader()
        gone.end()
        gone.end(TOO_SLOW)
        gone.offer(large(2 * MAX_BEHIND_CHARS))
        assert end_of(gone) is None
        cut.end(1_008)
        cut.end()
        assert end_of(cut) == 1_008
        assert await taken(gone) == await taken(cut) == []

    run(scenario)


# -- The wall


class PatientStub:
    """A simulated queue's stub whose answers wait for commits, under an event loop."""

    def __init__(self, runtime: SimulatedRuntime, stub: Stub[MessageQueue]) -> None:
        self._runtime = runtime
        self._stub = stub
        self.subscribe = stub.subscribe

    async def call(self, method: Callable[Concatenate[MessageQueue, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        task = self._runtime.start(self._stub.call(method, *args, **kwargs))
        while not task.done:  # noqa: ASYNC110 - the simulator's tasks wake nobody
            await asyncio.sleep(0)
        return task.result()


class Socket:
    """One reader's end of a socket, and all it was told. Make it inside a running event loop."""

    def __init__(self, scene: "Scene", since: int, address: str = "192.0.2.1") -> None:
        self.since = since
        self.frames: list[Json] = []
        self.close_code: int | None = None
        self.refusal: int | None = None
        self.log_begins: int | None = None
        """How much had happened when it was told all that it had missed."""
        self._scene = scene
        self._said: asyncio.Queue[Json] = asyncio.Queue()
        self._said.put_nowait({"type": "websocket.connect"})
        scope: Json = {
            "type": "websocket",
            "path": "/api/ws",
            "query_string": b"since=%d" % since,
            "headers": [],
            "client": (address, 1),
            "extensions": {"websocket.http.response": {}},
        }
        self.task = asyncio.create_task(scene.wall(scope, self._said.get, self._send))

    @property
    def token(self) -> int:
        return self.frames[-1]["seq"] if self.frames else self.since

    @property
    def events(self) -> list[Json]:
        return [event for frame in self.frames for event in frame["events"]]

    def leave(self) -> None:
        self._said.put_nowait({"type": "websocket.disconnect", "code": 1_001})

    def say(self, text: str) -> None:
        self._said.put_nowait({"type": "websocket.receive", "text": text})

    async def _send(self, message: Any) -> None:
        match message["type"]:
            case "websocket.send":
                frame = json.loads(message["text"])
                durable = self._scene.runtime.disk.head(WALL).seq
                assert frame["seq"] <= durable, "P2: told of what is not durable"
                assert all(event["message"]["seq"] <= durable for event in frame["events"] if "message" in event)
                self.frames.append(frame)
                if self.log_begins is None and "more" not in frame:
                    self.log_begins = len(self._scene.log)
            case "websocket.close":
                self.close_code = message["code"]
            case "websocket.http.response.start":
                self.refusal = message["status"]
        await asyncio.sleep(0)


class Scene:
    """A live wall over a simulated queue, and a record of everything that it published. Make it inside a running event loop."""

    def __init__(self, *, autocommit: bool = True, per_address: int = 0) -> None:
        self.runtime = SimulatedRuntime(autocommit=autocommit)
        self.queue = self.runtime.namespace("Queue", MessageQueue).get("wall")
        self.log: list[Json] = []
        self.queue.subscribe(lambda event: self.log.append(json.loads(event)))
        stub = PatientStub(self.runtime, self.queue)
        self.wall = LiveWall(stub, allowed_origins=frozenset(), per_address=per_address)
        self.claims: list[Task[Any]] = []
        self.posts = 0

    def post(self) -> Task[Any]:
        self.posts += 1
        message = NewMessage(text=f"number {self.posts}", username="Human", color="169080199")
        return self.runtime.start(self.queue.call(MessageQueue.post, message))

    def claim(self) -> None:
        self.claims.append(self.runtime.start(self.queue.call(MessageQueue.claim_next, "bot")))

    def progress(self) -> None:
        """The holder of the last claim that was answered writes on."""
        for claim in reversed(self.claims):
            if claim.done:
                try:
                    held = [decode(wire) for wire in claim.result()]
                except CommitFailed:
                    continue
                for message in held:
                    self.posts += 1
                    attempt = message.bot_params.attempt
                    call = self.queue.call(MessageQueue.progress, message.id, "bot", attempt, f"written {self.posts}")
                    self.runtime.start(call)
                    return

    def changes(self, after: int, until: int | None = None) -> list[Json]:
        """The states of messages that commits ``after`` this and up to that one made."""
        told = [event["message"] for event in self.log if event["type"] == "message"]
        return [message for message in told if message["seq"] > after and (until is None or message["seq"] <= until)]


def assert_told_all(scene: Scene, socket: Socket) -> None:
    """P5: first how things stood, then every later change; each once, and in order."""
    catching_up = next(number for number, frame in enumerate(socket.frames, 1) if "more" not in frame)
    stood_at = socket.frames[catching_up - 1]["seq"]
    latest = {message["id"]: message for message in scene.changes(0, stood_at)}
    missed = [event["message"] for frame in socket.frames[:catching_up] for event in frame["events"]]
    assert missed == sorted((m for m in latest.values() if m["seq"] > socket.since), key=lambda message: message["seq"])
    assert [frame["seq"] for frame in socket.frames[: catching_up - 1]] == [socket.since] * (catching_up - 1)
    assert all(len(frame["events"]) <= live.MAX_MISSED for frame in socket.frames[:catching_up])
    later = [event for frame in socket.frames[catching_up:] for event in frame["events"]]
    until = None if socket.close_code is None and not socket.task.done() else socket.token
    assert [event["message"] for event in later if event["type"] == "message"] == scene.changes(stood_at, until)
    tokens = [frame["seq"] for frame in socket.frames]
    assert tokens == sorted(tokens)
    for frame in socket.frames[catching_up:]:
        assert all(event["message"]["seq"] <= frame["seq"] for event in frame["events"] if event["type"] == "message")
    if not socket.task.done():
        shown, happened = of_progress(later), of_progress(scene.log)
        assert shown == happened[len(happened) - len(shown) :]
        assert len(shown) >= len(of_progress(scene.log[socket.log_begins or 0 :]))


def of_progress(told: list[Json]) -> list[Json]:
    return [event for event in told if event["type"] == "progress"]


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


@settings(deadline=None, database=None, max_examples=200)
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

    with mock.patch.object(live, "MAX_MISSED", 2):
        run(scenario)


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

    run(scenario)


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

    run(scenario)


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

    run(scenario)


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

    run(scenario)


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

    run(scenario)


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

    run(scenario)


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

    run(scenario)


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

    run(scenario)


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

    run(scenario)


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

    run(scenario)


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

    run(scenario)
