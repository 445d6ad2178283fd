"""A broadcaster behind a slow network, over a simulated queue; its clients, and a check of what they received."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, cast

from durable_objects import CommitFailed, DurableObjectError, Events, EventStream, Stub
from durable_objects.simulated import SimulatedRuntime, Task
from listening import listen
from saywhatwant.message import NewMessage, decode
from saywhatwant.queue import MessageQueue
from saywhatwant.schemas import ProgressState
from saywhatwant.tokens import Tokens
from saywhatwant.topology import SingleWall
from saywhatwant.worker.admission import Admission
from saywhatwant.worker.auth import Auth
from saywhatwant.worker.broadcaster import Broadcaster
from saywhatwant.worker.limits import MAX_MISSED
from saywhatwant.worker.metrics import Metrics
from saywhatwant.worker.queue_events import QueueEvents

P = ParamSpec("P")
R = TypeVar("R")
Json = dict[str, Any]

WALL = "Queue/wall"


class Network:
    """Between a gateway and its objects: it may hold back answers, events, or both, and break the events off."""

    def __init__(self, runtime: SimulatedRuntime) -> None:
        self.runtime = runtime
        self.answers, self.events = asyncio.Event(), asyncio.Event()
        self.streams: list[HeldStream] = []
        self.repeats = 0
        """How many commits before its position a resumed stream begins."""
        self.merges = False
        """Whether events were broken off, so that several changes of a message may have come as one."""
        self.hold(answers=False, events=False)

    def hold(self, *, answers: bool, events: bool) -> None:
        """Hold them back, or let them through."""
        for gate, is_held in ((self.answers, answers), (self.events, events)):
            (gate.clear if is_held else gate.set)()

    def hold_as(self, held: str) -> None:
        """Hold back "answers", "events" or "nothing", or go on as before."""
        if held != "same":
            self.hold(answers=held == "answers", events=held == "events")

    async def pause(self, _: float) -> None:
        """As long as events are held back: what commits meanwhile must come when they are followed again."""
        await asyncio.sleep(0)
        await self.events.wait()

    def break_events(self, error: DurableObjectError) -> None:
        """Those that are held back are gone."""
        self.merges = self.merges or bool(self.streams)
        for stream in self.streams:
            stream.fail(error)


class HeldStream:
    """A stream of events behind the network."""

    def __init__(self, network: Network, stream: Any) -> None:
        self._network = network
        self._stream = stream
        network.streams.append(self)

    def fail(self, error: DurableObjectError) -> None:
        self._stream.fail(error)

    async def __anext__(self) -> Events:
        event = await anext(self._stream)
        await self._network.events.wait()
        return cast("Events", event)

    def get_nowait(self) -> Events | None:
        return cast("Events | None", self._stream.get_nowait()) if self._network.events.is_set() else None

    def __aiter__(self) -> Self:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        self._network.streams.remove(self)
        await self._stream.aclose()


class AsyncStub:
    """A simulated queue's stub behind a network, whose answers wait for commits, under an event loop."""

    def __init__(self, network: Network, stub: Stub[MessageQueue]) -> None:
        self._network = network
        self._stub = stub
        self.options = stub.options
        self.settle = stub.settle

    async def call(self, method: Callable[Concatenate[MessageQueue, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        task = self._network.runtime.start(self._stub.call(method, *args, **kwargs))
        while not task.done:  # noqa: ASYNC110 - the simulator's tasks wake nobody
            await asyncio.sleep(0)
        await self._network.answers.wait()
        return task.result()

    def events(self, since: int | None = None) -> EventStream:
        repeated = since if since is None else max(since - self._network.repeats, 0)
        return HeldStream(self._network, self._stub.events(repeated))


class Client:
    """A WebSocket client, and all it received. Make it inside a running event loop.

    A ``slow`` one takes a frame only when ``read`` allows it.
    """

    def __init__(self, harness: "Harness", since: int = 0, address: str = "192.0.2.1", *, slow: bool = False) -> None:
        self.since = since
        self.frames: list[Json] = []
        self.close_code: int | None = None
        self.refusal: int | None = None
        self._harness = harness
        self._allowed = asyncio.Semaphore(0 if slow else 1_000_000)
        self._sent: asyncio.Queue[Json] = asyncio.Queue()
        self._sent.put_nowait({"type": "websocket.connect"})
        scope: Json = {
            "type": "websocket",
            "path": "/api/ws",
            "query_string": b"since=%d" % since,
            "headers": [],
            "client": (address, 1),
            "extensions": {"websocket.http.response": {}},
        }
        self.task = asyncio.create_task(harness.broadcaster(scope, self._sent.get, self._receive))

    @property
    def token(self) -> int:
        return self.frames[-1]["seq"] if self.frames else self.since

    @property
    def events(self) -> list[Json]:
        return [event for frame in self.frames for event in frame["events"]]

    @property
    def messages(self) -> list[Json]:
        return [event["message"] for event in self.events if event["type"] == "message"]

    @property
    def caught_up(self) -> bool:
        return any("more" not in frame for frame in self.frames)

    def leave(self) -> None:
        self._sent.put_nowait({"type": "websocket.disconnect", "code": 1_001})

    def send(self, text: str) -> None:
        self._sent.put_nowait({"type": "websocket.receive", "text": text})

    def read(self) -> None:
        """Take one more frame."""
        self._allowed.release()

    def replies(self) -> dict[tuple[str, int], str]:
        """The replies being written, put together as a page does; each step must be a text that the bot sent."""
        texts: dict[tuple[str, int], str] = {}
        for event in of_progress(self.events):
            key = (event["id"], event["attempt"])
            if event["offset"] in {0, len(texts.get(key, ""))}:
                texts[key] = texts.get(key, "")[: event["offset"]] + event["text"]
            assert texts.get(key, "") in {"", *self._harness.texts_of(*key)}
        return texts

    def _assert_token_is_kept(self, token: int) -> None:
        """P5: this client has got all that a reconnect with the token would not bring it again, and nothing twice."""
        got: dict[str, int] = {}
        for message in self.messages:
            assert got.get(message["id"], self.since) < message["seq"] <= token
            got[message["id"]] = message["seq"]
        last = {message["id"]: message["seq"] for message in self._harness.changes(self.since)}
        for message_id, seq in last.items():
            assert seq > token or got.get(message_id) == seq, f"the token {token} is ahead of what was sent"

    async def _receive(self, message: Any) -> None:
        match message["type"]:
            case "websocket.send":
                await self._allowed.acquire()
                frame = json.loads(message["text"])
                durable = self._harness.runtime.disk.head(WALL).seq
                assert frame["seq"] <= durable, "P2: the token of a commit that is not durable"
                self.frames.append(frame)
                self._assert_token_is_kept(frame["seq"])
            case "websocket.close":
                self.close_code = message["code"]
            case "websocket.http.response.start":
                self.refusal = message["status"]
        await asyncio.sleep(0)


class Harness:
    """A broadcaster over a simulated queue, and every event that the queue published. Make it inside a running event loop."""

    def __init__(self, *, autocommit: bool = True, per_client: int = 0) -> None:
        self.runtime = SimulatedRuntime(autocommit=autocommit)
        self.queue = self.runtime.namespace("Queue", MessageQueue).get("wall")
        self._listener = listen(self.queue)
        self.metrics = Metrics()
        self.network = Network(self.runtime)
        wall = SingleWall(AsyncStub(self.network, self.queue))
        self.queue_events = QueueEvents(wall, sleep=self.network.pause)
        check_page = Auth(Tokens(), frozenset()).check_page
        self.admission = Admission(check_page=check_page, per_client=per_client, metrics=self.metrics)
        self.broadcaster = Broadcaster(wall, self.queue_events, self.admission)
        self.claims: list[Task[Any]] = []
        self.posts = 0
        self._written = ""

    @property
    def log(self) -> list[Json]:
        """Every event that was published."""
        return [json.loads(event) for event in self._listener.heard()]

    def post(self) -> Task[Any]:
        self.posts += 1
        message = NewMessage(text=f"number {self.posts}", username="Human", color="169080199")
        return self.runtime.start(self.queue.call(MessageQueue.post, message))

    def claim(self) -> None:
        self.claims.append(self.runtime.start(self.queue.call(MessageQueue.claim_next, "bot")))

    def complete(self) -> None:
        """The holder of the last claim that was answered finishes it."""
        for message in self._held()[:1]:
            attempt = message.bot_params.attempt
            self.runtime.start(self.queue.call(MessageQueue.complete, message.id, "bot", attempt))

    def progress(self, text: str | None = None, state: ProgressState = "writing") -> None:
        """The holder of the last claim that was answered writes on; every third time it begins again."""
        for message in self._held()[:1]:
            self.posts += 1
            if text is None:
                text = ("Once" if self.posts % 3 == 0 else self._written + f" more {self.posts}").strip()
            self._written = text
            attempt = message.bot_params.attempt
            self.runtime.start(self.queue.call(MessageQueue.progress, message.id, "bot", attempt, text, state))

    def texts_of(self, message_id: str, attempt: int) -> list[str]:
        """What the bot sent of a reply, in order."""
        return [event["text"] for event in of_progress(self.log) if (event["id"], event["attempt"]) == (message_id, attempt)]

    def changes(self, after: int, until: int | None = None) -> list[Json]:
        """The states of messages that commits ``after`` this and up to that one made."""
        messages = [event["message"] for event in self.log if event["type"] == "message"]
        return [message for message in messages if message["seq"] > after and (until is None or message["seq"] <= until)]

    def _held(self) -> list[Any]:
        """What the last claims got, the newest first."""
        held: list[Any] = []
        for claim in reversed(self.claims):
            if claim.done:
                try:
                    held += [decode(wire) for wire in claim.result().messages]
                except CommitFailed:
                    continue
        return held


def assert_complete(harness: Harness, client: Client, max_missed: int = MAX_MISSED) -> None:
    """P5: first how things stood, in pages of up to ``max_missed``, then every later change; each once, and in order."""
    pages = 1 + next((number for number, frame in enumerate(client.frames) if "more" not in frame), len(client.frames) - 1)
    token = client.since
    log = harness.changes(0)
    for frame in client.frames[:pages]:
        missed = [event["message"] for event in frame["events"] if event["type"] == "message"]
        assert len(missed) <= max_missed
        assert all(message in log and token < message["seq"] <= frame["seq"] for message in missed)
        assert missed == sorted(missed, key=lambda message: message["seq"])
        token = frame["seq"]
    before = [message for message in client.messages if message["seq"] <= token]
    stood = {message["id"]: message for message in harness.changes(0, token)}
    received = {message["id"]: message for message in before}
    assert received == {key: message for key, message in stood.items() if message["seq"] > client.since}
    if client.caught_up and client.close_code is None and not client.task.done():
        received = {message["id"]: message for message in client.messages}
        assert received == {message["id"]: message for message in harness.changes(client.since)}
    if client.caught_up and not harness.network.merges:
        later = [message for message in client.messages if message["seq"] > token]
        until = None if client.close_code is None and not client.task.done() else client.token
        assert later == harness.changes(token, until)
    tokens = [frame["seq"] for frame in client.frames]
    assert tokens == sorted(tokens)


def assert_replies(harness: Harness, client: Client) -> None:
    """A client that is connected has every reply that is being written, as far as the broadcaster knows it."""
    replies = client.replies()
    for message_id, (attempt, text, _) in harness.broadcaster._frames._progress._replies.items():
        assert harness.texts_of(message_id, attempt)[-1] == text
        assert replies[message_id, attempt] == text


def of_progress(events: list[Json]) -> list[Json]:
    return [event for event in events if event["type"] == "progress"]
