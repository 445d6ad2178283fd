"""A cluster for the tests of gateways: HTTP servers that answer as an ingress does, with faults on demand.

The objects run on a local runtime; no instance survives a call.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from random import Random
from types import TracebackType
from typing import Any, Self

import msgspec
from aiohttp import web
from msgspec import Struct

from durable_objects import DurableObjectError, Events, ObjectId
from durable_objects.config import config_for, digest_of
from durable_objects.exchange import ANSWER, REQUEST, Call, Settle
from durable_objects.local import LocalRuntime
from durable_objects.restate.encoding import (
    ANSWERS,
    BATCH,
    DESCRIBED,
    FOLLOW,
    FOLLOWED,
    PREFIX,
    SENT_NUMBERS,
    TAKEN,
    TOOK,
    Answer,
    Answers,
    Batch,
    Described,
    Follow,
    Followed,
    Taken,
    Took,
)
from durable_objects.wire.host import Host
from scenario import turns


class Process:
    """What a process of objects has in memory of one object's events."""

    def __init__(self, epoch: str, seq: int) -> None:
        self.epoch = epoch
        self.since = seq
        self.log: list[Events] = []
        self.news = asyncio.Event()

    def offer(self, events: Events) -> None:
        self.log.append(events)
        self._wake()

    def fail(self, _: DurableObjectError) -> None:
        self._wake()

    def _wake(self) -> None:
        self.news.set()
        self.news = asyncio.Event()

    def after(self, follow: Follow) -> tuple[list[Events], int]:
        """What the follower lacks, and the number of signals."""
        known = follow.signals if follow.epoch == self.epoch else 0
        signals, missed = 0, []
        for events in self.log:
            if events.seq is None:
                signals += 1
            if signals > known if events.seq is None else events.seq > (follow.since or 0):
                missed.append(events)
        return missed, signals


class FakeCluster:
    """Nodes on loopback in front of ``host``; an asynchronous context manager.

    Attributes:
        lost_requests: the share of requests whose connection breaks before they are acted on.
        lost_answers: the share of requests whose connection breaks after that.
        busy: the share of requests that are answered with status 503.
        away: the share of reads that find another process's object.
        max_answers: how many calls of a batch are run at most.
        is_deployed: whether the services are registered.
        batches: the methods' names of each batch that was run.
        reads: those of each round of reads.
        requests: the handler of each request that arrived.
    """

    def __init__(self, host: LocalRuntime, *, nodes: int = 1, seed: int = 0, prefix: str = PREFIX) -> None:
        self.host = host
        self.lost_requests = self.lost_answers = self.busy = self.away = 0.0
        self.max_answers = 1_000
        self.is_deployed = True
        self.batches: list[list[str]] = []
        self.reads: list[list[str]] = []
        self.requests: list[str] = []
        self.fault: tuple[int, str] | None = None
        """What every request is answered with, as Restate answers for a handler that raises: a status and a message."""
        self._objects = Host(host)
        self._described: dict[str, Described] = {}
        self._prefix = prefix
        self._random = Random(seed)
        self._nodes = [Node(self) for _ in range(nodes)]
        self._locks: defaultdict[ObjectId, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._answered: dict[str, asyncio.Task[bytes]] = {}
        self._processes: dict[ObjectId, Process] = {}
        self._lives = 0
        self.read_answers = asyncio.Event()
        """Answers of reads are on their way only while it is set."""
        self.read_answers.set()
        self.following = 0
        """How many gateways wait for events."""
        self._open = asyncio.Event()
        self._open.set()

    def declare(self, name: str, cls: type[Any], config: Struct | None = None) -> None:
        """Deploy a class."""
        config = config_for(cls, config)
        self._objects.connect(name, cls, msgspec.json.encode(config), digest_of(config))
        self._described[name] = Described.of(cls, config)

    @property
    def urls(self) -> list[str]:
        return [node.url for node in self._nodes]

    def node(self, index: int) -> "Node":
        return self._nodes[index]

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Answer no batch and no read until the end of the block."""
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    def restart_objects(self) -> None:
        """The process of the objects dies, and another one takes over: what was in memory only is lost."""
        self._lives += 1
        processes, self._processes = self._processes, {}
        for to, process in processes.items():
            self.host.listeners.remove(_id(to), process)
            process.fail(DurableObjectError())

    async def __aenter__(self) -> Self:
        for node in self._nodes:
            await node.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node in self._nodes:
            await node.kill()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request as Restate would."""
        handler = request.match_info["handler"]
        self.requests.append(handler)
        prefix, _, namespace = request.match_info["service"].partition(".")
        body = await request.read()
        if (refusal := self._refusal(request, prefix, namespace, body)) is not None:
            return web.json_response({"message": refusal[1]}, status=refusal[0])
        if self._random.random() < self.lost_requests:
            return _reset(request)
        if self._random.random() < self.busy:
            return web.Response(status=503, text="busy")
        to = ObjectId(namespace, request.match_info["key"])
        act = getattr(self, f"_{handler}")
        if handler == "batch":
            key = request.headers["idempotency-key"]
            if key not in self._answered:
                self._answered[key] = asyncio.get_running_loop().create_task(act(to, body))
            content = await asyncio.shield(self._answered[key])
        else:
            content = await act(to, body)
        if self._random.random() < self.lost_answers:
            return _reset(request)
        return web.Response(body=content)

    def _refusal(self, request: web.Request, prefix: str, namespace: str, body: bytes) -> tuple[int, str] | None:
        if self.fault is not None:
            return self.fault
        if not body and "content-type" in request.headers:
            return 400, "Expected body and content-type to be empty"
        if prefix != self._prefix or namespace not in self._described or not self.is_deployed:
            return 404, f"service '{namespace}' not found"
        return None

    async def _batch(self, to: ObjectId, body: bytes) -> bytes:
        async with self._locks[to]:
            await self._open.wait()
            return await self._run(to, BATCH.decode(body), self.batches)

    async def _read(self, to: ObjectId, body: bytes) -> bytes:
        await self._open.wait()
        if self._locks[to].locked() or self._random.random() < self.away:
            return ANSWERS.encode(Answers([], 0, here=False))
        answers = await self._run(to, BATCH.decode(body), self.reads)
        await self.read_answers.wait()
        return answers

    async def _run(self, to: ObjectId, batch: Batch, runs: list[list[str]]) -> bytes:
        self._process(to)
        before = self._seq(to)
        calls = batch.calls[: self.max_answers]
        answers: list[Answer] = []
        for call in calls:
            request = Call(to, call.method, call.arguments, call.key, call.fingerprint)
            answer = ANSWER.decode(await self._objects.answer(REQUEST.encode(request)))
            answers.append(Answer(answer.result, answer.error, answer.repeated))
        runs.append([call.method for call in calls])
        return ANSWERS.encode(Answers(answers, self._seq(to), self._seq(to) - before))

    async def _follow(self, to: ObjectId, body: bytes) -> bytes:
        follow: Follow = FOLLOW.decode(body)
        process = self._process(to)
        missed, signals = process.after(follow)
        if follow.since is None:
            return FOLLOWED.encode(Followed(self._seq(to), process.epoch, signals))
        if not missed and follow.since >= self._seq(to) and follow.wait_ms:
            self.following += 1
            try:
                with suppress(TimeoutError):
                    await asyncio.wait_for(process.news.wait(), follow.wait_ms / 1_000)
            finally:
                self.following -= 1
            process = self._process(to)
            missed, signals = process.after(follow)
        lost = follow.since < process.since
        if lost:
            missed = [events for events in missed if events.seq is None]
        return FOLLOWED.encode(Followed(self._seq(to), process.epoch, signals, missed, lost))

    async def _sent(self, to: ObjectId, _: bytes) -> bytes:
        return SENT_NUMBERS.encode({_id(to): 1})

    async def _taken(self, to: ObjectId, body: bytes) -> bytes:
        asked: Taken = TAKEN.decode(body)
        assert asked.sender == _id(to)
        answer = ANSWER.decode(await self._objects.answer(REQUEST.encode(Settle(to))))
        return TOOK.encode(Took(answer.error is None, "" if answer.error is None else answer.error.detail))

    async def _describe(self, to: ObjectId, _: bytes) -> bytes:
        return DESCRIBED.encode(self._described[to.namespace])

    def _seq(self, to: ObjectId) -> int:
        return self.host._disk.head(_id(to)).seq

    def _process(self, to: ObjectId) -> Process:
        if to not in self._processes:
            self._processes[to] = Process(str(self._lives), self._seq(to))
            self.host.listeners.add(_id(to), self._processes[to])
        return self._processes[to]


class Node:
    """The ingress of one node."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster
        self._runner: web.AppRunner
        self.url = ""
        self.port = 0

    async def start(self) -> None:
        """Listen; after ``kill`` on the same port."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/{service}/{key}/{handler}", self._cluster.answer)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.001, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}"

    async def kill(self) -> None:
        """Break all connections, and take no more."""
        server = self._runner.server
        if server is None:
            return  # it is dead
        await self._runner.cleanup()
        await turns()
        for connection in server.connections:
            connection.force_close()  # it was made while the others were closed
        await turns()


def _reset(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def _id(to: ObjectId) -> str:
    return f"{to.namespace}/{to.name}"
