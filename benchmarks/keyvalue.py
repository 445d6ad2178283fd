"""``python -m benchmarks.keyvalue``: the key-value baseline in miniature.

The wall as it was, on a simulated key-value store of the eventually consistent kind, beside this product on the simulated
runtime: the same people posting at the same moments, the same readers and bots, on a virtual clock. Shown are how many of the
messages reached a reader, how many were answered more than once, and how many store operations a message cost from its post to
its completion (polls, which cost whether there is a message or not, are left out on both sides).

The store is as such stores document themselves, above all Cloudflare's Workers KV <https://developers.cloudflare.com/kv/>. How
the old wall used it is a reconstruction: each assumption is a constant below, or stands where it is made.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from rich.console import Console
from rich.table import Table

from durable_objects.simulated import SimulatedRuntime
from saywhatwant.limits import MAX_CLAIM
from saywhatwant.message import NewMessage, decode, decode_list
from saywhatwant.queue import MessageQueue

CACHED_SECONDS = 60.0
"""How long a place serves the copy that it has: of a value, of "there is none", of the list of keys. Documented: a change may
take 60 seconds or more to be visible elsewhere, and usually is visible at once where it was made."""
WRITE_PAUSE_SECONDS = 1.0
"""Documented: one write per second to the same key; more are refused (429). The old wall is assumed not to have tried again."""
GET_SECONDS = 0.02
PUT_SECONDS = 0.2
"""How long a call of the store takes. Not documented: a nearby cache, and a far central store. Only the races between those
at one place depend on it."""
CACHE_LENGTH = 200
"""Messages in the list of the newest that readers are served from."""
POST_SECONDS = 10.0
"""Between two posts of one person, on average (exponentially distributed)."""
POLL_SECONDS = 5.0
"""Between two polls of a reader or a bot."""
THINK_SECONDS = 1.0
"""What a bot takes for an answer."""
DRAIN_SECONDS = 300.0
"""How long readers and bots go on after the last post: several times what the store asks for."""
READERS = 8
BOTS = 2
CROWDS = (1, 4, 16)
"""Numbers of people who post."""
PLACES = (1, 4)
"""Numbers of places of the store's network among which people, readers and bots are spread in turn."""

POST = NewMessage(text="Why is space black?", username="Human", color="169080199")

ResultT = TypeVar("ResultT")
Process = Generator[float, None, None]
"""What someone does; yields how long until the next step."""
Step = Generator[float, None, ResultT]


class World:
    """A virtual clock, and those who act as it moves on."""

    def __init__(self) -> None:
        self.now = 0.0
        self._order = count()
        self._steps: list[tuple[float, int, Process]] = []

    def start(self, process: Process) -> None:
        """Have someone act from now on."""
        heappush(self._steps, (self.now, next(self._order), process))

    def run(self, until: float) -> None:
        """Go on to that moment."""
        while self._steps and self._steps[0][0] <= until:
            self.now, _, process = heappop(self._steps)
            if (pause := next(process, None)) is not None:
                heappush(self._steps, (self.now + pause, next(self._order), process))


class Entry(NamedTuple):
    """A message, as far as this matters here."""

    id: str
    timestamp: float
    status: str


Value = tuple[Entry, ...]


class Copies(Generic[ResultT]):
    """What places have of what is central, and serve for a while."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._copies: dict[tuple[str, str], tuple[float, ResultT]] = {}

    def put(self, place: str, key: str, value: ResultT) -> ResultT:
        """Have it served from now on."""
        self._copies[place, key] = self._world.now + CACHED_SECONDS, value
        return value

    def get(self, place: str, key: str, fetch: Callable[[], ResultT]) -> ResultT:
        """The copy; a new one when there is none, or none that is young enough."""
        copy = self._copies.get((place, key))
        return copy[1] if copy and self._world.now < copy[0] else self.put(place, key, fetch())


class Store:
    """An eventually consistent key-value store; the last write wins."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._values: dict[str, Value] = {}
        self._written: dict[str, float] = {}
        self._value_copies = Copies[Value | None](world)
        self._keys_copies = Copies[list[str]](world)

    def read(self, place: str, key: str) -> Value | None:
        """The value, as it is known at this place."""
        return self._value_copies.get(place, key, lambda: self._values.get(key))

    def keys(self, place: str) -> list[str]:
        """All keys, as they are known at this place."""
        return self._keys_copies.get(place, "", lambda: list(self._values))

    def write(self, place: str, key: str, value: Value) -> bool:
        """Set the value, unless the key was written just now."""
        if key in self._written and self._world.now < self._written[key] + WRITE_PAUSE_SECONDS:
            return False
        self._values[key], self._written[key] = value, self._world.now
        self._value_copies.put(place, key, value)
        return True


@dataclass
class Client:
    """Someone's way to the store, from one place."""

    store: Store
    place: str
    operations: int = 0

    def get(self, key: str) -> Step[Value | None]:
        """One operation."""
        self.operations += 1
        yield GET_SECONDS
        return self.store.read(self.place, key)

    def put(self, key: str, value: Value) -> Step[bool]:
        """One operation; False when it was refused."""
        self.operations += 1
        yield PUT_SECONDS
        return self.store.write(self.place, key, value)

    def list(self) -> Step[list[str]]:
        """One operation."""
        self.operations += 1
        yield GET_SECONDS
        return self.store.keys(self.place)

    def put_in_cache(self, entry: Entry) -> Process:
        """Read the list of the newest, change it, write it back."""
        cached = yield from self.get("cache")
        others = [other for other in cached or () if other.id != entry.id]
        yield from self.put("cache", tuple(sorted([*others, entry], key=lambda other: -other.timestamp)[:CACHE_LENGTH]))


@dataclass
class Outcome:
    """What came of a run."""

    posted: set[str] = field(default_factory=set)
    seen: Counter[str] = field(default_factory=Counter)
    """By how many readers."""
    answers: Counter[str] = field(default_factory=Counter)
    operations: int = 0

    @property
    def reached(self) -> float:
        """The share of messages that a reader gets, on average."""
        return self.seen.total() / len(self.posted) / READERS

    @property
    def operations_each(self) -> float:
        """Store operations for one message."""
        return self.operations / len(self.posted)

    @property
    def answered_again(self) -> float:
        """The share of messages with more than one answer."""
        return sum(number > 1 for number in self.answers.values()) / len(self.posted)


@dataclass(frozen=True)
class Scene:
    """Who is there."""

    posters: int
    places: int
    messages: int
    seed: int

    def pauses(self, poster: int) -> list[float]:
        """Before each of someone's posts; the same for both systems."""
        random = Random(f"{self.seed} {poster}")  # noqa: S311 - repeatable on purpose
        return [random.expovariate(1 / POST_SECONDS) for _ in range(poster, self.messages, self.posters)]

    def first_poll(self, who: str) -> float:
        """When a reader or a bot comes."""
        return Random(f"{self.seed} {who}").uniform(0, POLL_SECONDS)  # noqa: S311 - repeatable on purpose

    def place(self, number: int) -> str:
        """Where someone is."""
        return f"place {number % self.places}"


class Wall(Protocol):
    """A system, and what people and bots do with it."""

    outcome: Outcome

    def poster(self, number: int) -> Process:
        """Someone who posts."""

    def reader(self, number: int) -> Process:
        """Someone who reads: each time what is younger than the youngest that they have, as the interface has it."""

    def bot(self, number: int) -> Process:
        """A worker that looks for messages and answers each in a process of its own."""

    def operations(self) -> int:
        """Store operations for all messages so far."""


class KeyValueWall:
    """The wall as it was: every message under a key of its own, and a list of the newest under another."""

    def __init__(self, world: World, scene: Scene) -> None:
        self.outcome = Outcome()
        self._world, self._scene = world, scene
        self._store = Store(world)
        self._ids = count()
        self._clients: list[Client] = []

    def poster(self, number: int) -> Process:
        """Put the message, then put it in the list."""
        client = self._client(number)
        for pause in self._scene.pauses(number):
            yield pause
            entry = Entry(f"{next(self._ids)}", self._world.now, "pending")
            yield from client.put(f"message/{entry.id}", (entry,))
            yield from client.put_in_cache(entry)
            self.outcome.posted.add(entry.id)

    def reader(self, number: int) -> Process:
        """Get the list."""
        client, since = Client(self._store, self._scene.place(number)), -1.0
        yield self._scene.first_poll(f"reader {number}")
        while True:
            cached = yield from client.get("cache")
            news = [entry for entry in cached or () if entry.timestamp > since]
            self.outcome.seen.update(entry.id for entry in news)
            since = max([since, *(entry.timestamp for entry in news)])
            yield POLL_SECONDS

    def bot(self, number: int) -> Process:
        """List the keys, and have a look at each that is new to this bot."""
        client, known = Client(self._store, self._scene.place(number)), {"cache"}
        yield self._scene.first_poll(f"bot {number}")
        while True:
            keys = yield from client.list()
            for key in keys:
                if key not in known:
                    self._world.start(self._answer(number, key))
            known.update(keys)
            yield POLL_SECONDS

    def operations(self) -> int:
        """Without what looked for news."""
        return sum(client.operations for client in self._clients)

    def _answer(self, number: int, key: str) -> Process:
        client = self._client(number)
        found = yield from client.get(key)
        if found is None or found[0].status != "pending":
            return
        if not (yield from client.put(key, (found[0]._replace(status="processing"),))):
            return
        yield THINK_SECONDS
        found = yield from client.get(key)
        if found is None or found[0].status != "processing":
            return
        done = found[0]._replace(status="complete")
        self.outcome.answers[done.id] += 1
        yield from client.put(key, (done,))
        yield from client.put_in_cache(done)

    def _client(self, number: int) -> Client:
        self._clients.append(Client(self._store, self._scene.place(number)))
        return self._clients[-1]


class DurableWall:
    """This product."""

    def __init__(self, world: World, scene: Scene) -> None:
        self.outcome = Outcome()
        self._world, self._scene = world, scene
        self._runtime = SimulatedRuntime(seed=scene.seed)
        self._start_ms = self._runtime.now_ms
        self._queue = self._runtime.namespace("MessageQueue", MessageQueue).get("global-queue")

    def poster(self, number: int) -> Process:
        """One call."""
        for pause in self._scene.pauses(number):
            yield pause
            posted = self._run(self._queue.call(MessageQueue.post, POST))
            self.outcome.posted.add(posted.id)

    def reader(self, number: int) -> Process:
        """One call each time."""
        since = 0
        yield self._scene.first_poll(f"reader {number}")
        while True:
            page = self._run(self._queue.call(MessageQueue.read, since))
            news = decode_list(page.body)
            self.outcome.seen.update(message.id for message in news)
            since = max([since, *(message.timestamp for message in news)])
            yield POLL_SECONDS

    def bot(self, number: int) -> Process:
        """One call each time."""
        yield self._scene.first_poll(f"bot {number}")
        while True:
            for wire in self._run(self._queue.call(MessageQueue.claim_next, f"bot {number}", limit=MAX_CLAIM)):
                message = decode(wire)
                self._world.start(self._answer(number, message.id, message.bot_params.attempt))
            yield POLL_SECONDS

    def operations(self) -> int:
        """All; looking for news costs none."""
        meter = self._runtime.meter
        return meter.reads + meter.writes + meter.deletes

    def _answer(self, number: int, message_id: str, attempt: int) -> Process:
        yield THINK_SECONDS
        self._run(self._queue.call(MessageQueue.complete, message_id, f"bot {number}", attempt))
        self.outcome.answers[message_id] += 1

    def _run(self, call: Coroutine[Any, Any, ResultT]) -> ResultT:
        self._runtime.advance(self._world.now - (self._runtime.now_ms - self._start_ms) / 1_000)
        return self._runtime.run(call)


def play(scene: Scene, system: Callable[[World, Scene], Wall]) -> Outcome:
    """Until all is posted and long over."""
    world = World()
    wall = system(world, scene)
    for process, number in ((wall.poster, scene.posters), (wall.reader, READERS), (wall.bot, BOTS)):
        for each in range(number):
            world.start(process(each))
    world.run(max(sum(scene.pauses(poster)) for poster in range(scene.posters)) + DRAIN_SECONDS)
    wall.outcome.operations = wall.operations()
    return wall.outcome


def main() -> None:
    """Run both and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=400)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    shown = Table("people", "places", "system", "reached a reader", "answered again", "operations each", box=None)
    for posters in CROWDS:
        for places in PLACES:
            scene = Scene(posters, places, arguments.messages, arguments.seed)
            for name, system in (("key-value", KeyValueWall), ("this product", DurableWall)):
                outcome = play(scene, system)
                shares = (f"{outcome.reached:.0%}", f"{outcome.answered_again:.0%}")
                shown.add_row(str(posters), str(places), name, *shares, f"{outcome.operations_each:.1f}")
    console = Console()
    console.print(shown)
    console.print(f"{arguments.messages} messages, {READERS} readers, {BOTS} bots; seed {arguments.seed}", style="dim")


if __name__ == "__main__":
    main()
