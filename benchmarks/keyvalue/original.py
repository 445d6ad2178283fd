"""The original wall on the key-value store: a reconstruction."""

from itertools import count

from benchmarks.keyvalue.scenario import POLL_SECONDS, THINK_SECONDS, Outcome, Scenario
from benchmarks.keyvalue.simulation import Process, Simulation
from benchmarks.keyvalue.store import Client, Entry, Store


class KeyValueWall:
    """The original wall: each message under a key of its own, and a list of the newest under another."""

    def __init__(self, simulation: Simulation, scenario: Scenario) -> None:
        self.outcome = Outcome()
        self._simulation, self._scenario = simulation, scenario
        self._store = Store(simulation)
        self._ids = count()
        self._clients: list[Client] = []

    def poster(self, number: int) -> Process:
        """Put the message, then put it in the list."""
        client = self._client(number)
        for pause in self._scenario.pauses(number):
            yield pause
            entry = Entry(f"{next(self._ids)}", self._simulation.now, "pending")
            yield from client.put(f"message/{entry.id}", (entry,))
            yield from client.put_in_cache(entry)
            self.outcome.posted.add(entry.id)

    def reader(self, number: int) -> Process:
        """Get the list."""
        client, since = Client(self._store, self._scenario.location(number)), -1.0
        yield self._scenario.first_poll(f"reader {number}")
        while True:
            cached = yield from client.get("cache")
            news = [entry for entry in cached or () if entry.timestamp > since]
            self.outcome.seen.update(entry.id for entry in news)
            since = max([since, *(entry.timestamp for entry in news)])
            yield POLL_SECONDS

    def bot(self, number: int) -> Process:
        """List the keys, and read each that is new to this bot."""
        client, known = Client(self._store, self._scenario.location(number)), {"cache"}
        yield self._scenario.first_poll(f"bot {number}")
        while True:
            keys = yield from client.list()
            for key in keys:
                if key not in known:
                    self._simulation.start(self._answer(number, key))
            known.update(keys)
            yield POLL_SECONDS

    def operations(self) -> int:
        """Without polls."""
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
        self._clients.append(Client(self._store, self._scenario.location(number)))
        return self._clients[-1]
