"""The cost of a request, from its bytes to the bytes of its answer, in one process: no sockets, no disk, no other load.

As a program it prints ``{load: [microseconds of processor time, function calls]}`` as JSON, for the checkout whose Python runs
it, so it imports nothing from the benchmarks. The best of many short repetitions is the one figure that is stable on a busy
machine, and the number of function calls is the same in each run.
"""

import asyncio
import cProfile
import gc
import json
import pstats
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from subprocess import run
from typing import Any

TIMES = 200
REPETITIONS = 6
WALLS = 2
KEY = "idempotency-key: %036d\r\n"
POST = {"text": "x" * 300, "username": "Bench", "color": "169080199", "botParams": {"entity": "bench"}}
SECONDS = 300
"""Time limit of a run."""

Costs = dict[str, list[float]]


def costs(python: Path, directory: Path) -> Costs:
    """Measure the product that is installed in the environment of ``python``. Raises ``subprocess.SubprocessError``."""
    command = (str(python), "-P", str(Path(__file__).absolute()))
    done = run(command, check=True, cwd=directory, capture_output=True, text=True, timeout=SECONDS)
    found: Costs = json.loads(done.stdout)
    return found


class Client(asyncio.Transport):
    """The client's end of a connection; keeps the bytes it received."""

    def __init__(self) -> None:
        super().__init__()
        self.received = bytearray()
        self.answered = asyncio.Event()

    def write(self, data: Any) -> None:  # noqa: ANN401 - any buffer
        self.received += data
        self.answered.set()

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - as asyncio has it
        return {"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)}.get(name, default)

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Wall:
    """A connection to the product on its simulated runtime, and the processor time of its requests."""

    def __init__(self) -> None:
        from durable_objects.simulated import SimulatedRuntime  # noqa: PLC0415 - of the checkout that runs this
        from saywhatwant.settings import load  # noqa: PLC0415
        from saywhatwant.worker import create_worker  # noqa: PLC0415
        from saywhatwant.worker.server import Server  # noqa: PLC0415

        settings = load(retention=200, rate_limit=0)
        server = Server(create_worker(SimulatedRuntime(), settings), settings, on_ready=print)
        server.config.load()
        self.nanoseconds = 0
        self._keys = 0
        self._client = Client()
        protocol: Any = server.config.http_protocol_class
        self._connection = protocol(server.config, server.server_state, {})
        self._connection.connection_made(self._client)

    async def get(self, path: str) -> None:
        """Send a GET request."""
        await self._ask(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    async def post(self, path: str, body: object, *, keyed: bool = False) -> Any:  # noqa: ANN401 - decoded JSON
        """Send a POST request and return its answer; ``keyed`` adds a new Idempotency-Key."""
        content = json.dumps(body).encode()
        self._keys += keyed
        key = KEY % self._keys if keyed else ""
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{key}content-type: application/json\r\n"
        return json.loads(await self._ask(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content))

    async def _ask(self, request: bytes) -> bytes:
        self._client.received.clear()
        self._client.answered.clear()
        began = time.process_time_ns()
        self._connection.data_received(request)
        await self._client.answered.wait()
        self.nanoseconds += time.process_time_ns() - began
        head, _, body = bytes(self._client.received).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        return body


async def posts(wall: Wall) -> None:
    """Post messages."""
    for _ in range(TIMES):
        await wall.post("/api/comments", POST)


async def keyed_posts(wall: Wall) -> None:
    """Post messages with a key each, as the page does."""
    for _ in range(TIMES):
        await wall.post("/api/comments", POST, keyed=True)


async def reads_of_nothing_new(wall: Wall) -> None:
    """Poll when there is nothing new."""
    for _ in range(TIMES):
        await wall.get("/api/comments?since=9000000000000")


async def reads(wall: Wall) -> None:
    """Read 200 messages."""
    for _ in range(TIMES):
        await wall.get("/api/comments?limit=200")


async def round_trips(wall: Wall) -> None:
    """Post, claim twenty at a time, and complete with a reply."""
    for _ in range(TIMES // 20):
        for _ in range(20):
            await wall.post("/api/comments", POST)
        for message in (await wall.post("/api/queue/claim", {"workerId": "bench", "limit": 20}))["messages"]:
            fence = {"messageId": message["id"], "workerId": "bench", "attempt": message["botParams"]["attempt"]}
            reply = {"text": POST["text"], "username": "Bench"}
            await wall.post("/api/queue/complete", fence | {"reply": reply})


LOADS: dict[str, Callable[[Wall], Awaitable[None]]] = {
    "post": posts,
    "post with key": keyed_posts,
    "read nothing new": reads_of_nothing_new,
    "read 200 messages": reads,
    "round trip": round_trips,
}


async def _cost(load: Callable[[Wall], Awaitable[None]]) -> list[float]:
    best = sys.maxsize
    for _ in range(WALLS):
        wall = Wall()
        await round_trips(wall)
        for _ in range(REPETITIONS):
            wall.nanoseconds = 0
            await load(wall)
            best = min(best, wall.nanoseconds)
    profile = cProfile.Profile()
    profile.enable()
    await load(wall)
    profile.disable()
    calls: int = pstats.Stats(profile).total_calls  # type: ignore[attr-defined]
    return [best / TIMES / 1_000, calls / TIMES]


async def _costs() -> Costs:
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
    return {name: await _cost(load) for name, load in LOADS.items()}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_costs())))
