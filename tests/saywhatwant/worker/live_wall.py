"""A live wall over a simulated queue, the sockets at it, and the judge of what they were told."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from durable_objects import CommitFailed, Stub
from durable_objects.simulated import SimulatedRuntime, Task
from saywhatwant.message import NewMessage, decode
from saywhatwant.queue import MessageQueue
from saywhatwant.worker import broadcaster
from saywhatwant.worker.broadcaster import Broadcaster

P = ParamSpec("P")
R = TypeVar("R")
Json = dict[str, Any]

WALL = "Queue/wall"


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
        self.wall = Broadcaster(stub, allowed_origins=frozenset(), per_address=per_address)
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
    assert all(len(frame["events"]) <= broadcaster.MAX_MISSED for frame in socket.frames[:catching_up])
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
