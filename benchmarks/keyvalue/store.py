"""An eventually consistent key-value store, as such stores document it, and its clients."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from benchmarks.keyvalue.simulation import Process, Simulation, Step

CACHED_SECONDS = 60.0
"""How long a location serves its copy of a value, of the absence of a value, or of the list of keys. Documented: a change may
take 60 seconds or more to be visible elsewhere, and usually is visible at once where it was made."""
WRITE_PAUSE_SECONDS = 1.0
"""Documented: one write per second to the same key; more are refused (429). Assumed: the original wall did not try again."""
GET_SECONDS = 0.02
PUT_SECONDS = 0.2
"""How long a call of the store takes. Not documented; these stand for a nearby cache and a distant central store. Only races
between clients at one location depend on them."""
CACHE_LENGTH = 200
"""Messages in the list of the newest, which is what readers get."""

ResultT = TypeVar("ResultT")


class Entry(NamedTuple):
    """The part of a message that matters here."""

    id: str
    timestamp: float
    status: str


Value = tuple[Entry, ...]


class Copies(Generic[ResultT]):
    """Cached copies of central values, by location."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._copies: dict[tuple[str, str], tuple[float, ResultT]] = {}

    def put(self, location: str, key: str, value: ResultT) -> ResultT:
        """Cache a value at a location, and return it."""
        self._copies[location, key] = self._simulation.now + CACHED_SECONDS, value
        return value

    def get(self, location: str, key: str, fetch: Callable[[], ResultT]) -> ResultT:
        """The cached copy, fetched first where there is none or it has expired."""
        copy = self._copies.get((location, key))
        return copy[1] if copy and self._simulation.now < copy[0] else self.put(location, key, fetch())


class Store:
    """An eventually consistent key-value store; the last write wins."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._values: dict[str, Value] = {}
        self._written: dict[str, float] = {}
        self._value_copies = Copies[Value | None](simulation)
        self._keys_copies = Copies[list[str]](simulation)

    def read(self, location: str, key: str) -> Value | None:
        """The value as this location sees it."""
        return self._value_copies.get(location, key, lambda: self._values.get(key))

    def keys(self, location: str) -> list[str]:
        """All keys as this location sees them."""
        return self._keys_copies.get(location, "", lambda: list(self._values))

    def write(self, location: str, key: str, value: Value) -> bool:
        """Set the value; False when the key was written less than a second ago."""
        if key in self._written and self._simulation.now < self._written[key] + WRITE_PAUSE_SECONDS:
            return False
        self._values[key], self._written[key] = value, self._simulation.now
        self._value_copies.put(location, key, value)
        return True


@dataclass
class Client:
    """A client of the store at one location."""

    store: Store
    location: str
    operations: int = 0

    def get(self, key: str) -> Step[Value | None]:
        """One operation."""
        self.operations += 1
        yield GET_SECONDS
        return self.store.read(self.location, key)

    def put(self, key: str, value: Value) -> Step[bool]:
        """One operation; False when it was refused."""
        self.operations += 1
        yield PUT_SECONDS
        return self.store.write(self.location, key, value)

    def list(self) -> Step[list[str]]:
        """One operation."""
        self.operations += 1
        yield GET_SECONDS
        return self.store.keys(self.location)

    def put_in_cache(self, entry: Entry) -> Process:
        """Read the list of the newest, change it, and write it back."""
        cached = yield from self.get("cache")
        others = [other for other in cached or () if other.id != entry.id]
        yield from self.put("cache", tuple(sorted([*others, entry], key=lambda other: -other.timestamp)[:CACHE_LENGTH]))
