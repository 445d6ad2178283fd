"""An object's own keys and values: ordered, seen through every layer of uncommitted writes."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from durable_objects import Context, DurableObject
from durable_objects.embedded.store import Store
from durable_objects.limits import MAX_LIST_PAGE
from durable_objects.simulated import SimulatedRuntime
from durable_objects.simulated.disk import SimulatedDisk
from durable_objects.storage import RUNTIME_PREFIX
from profiles import examples

Entries = Sequence[tuple[str, bytes]]


class Put(Struct, frozen=True, tag=True):
    key: str
    value: bytes | None

    def on_storage(self, ctx: Context) -> None:
        if self.value is None:
            ctx.storage.delete(self.key)
        else:
            ctx.storage.put(self.key, self.value)

    def on_model(self, model: dict[str, bytes]) -> None:
        if self.value is None:
            model.pop(self.key, None)
        else:
            model[self.key] = self.value


class Get(Struct, frozen=True, tag=True):
    key: str

    def on_storage(self, ctx: Context) -> bytes | None:
        return ctx.storage.get(self.key)

    def on_model(self, model: dict[str, bytes]) -> bytes | None:
        return model.get(self.key)


class List(Struct, frozen=True, tag=True):
    prefix: str
    after: str
    limit: int

    def on_storage(self, ctx: Context) -> Entries:
        return list(ctx.storage.list(self.prefix, after=self.after, limit=self.limit))

    def on_model(self, model: dict[str, bytes]) -> Entries:
        return [(key, model[key]) for key in sorted(model) if key.startswith(self.prefix) and key > self.after][: self.limit]


Step = Put | Get | List


class Call(NamedTuple):
    steps: list[Step]
    broken: bool
    then: Literal["", "begin_commit", "commit", "fail", "crash", "evict"]


# Code point order differs from UTF-16 order in the last two.
letters = ["\0", "\2", "/", "a", "b", "é", "\uffff", "😀"]
keys = st.sampled_from([*letters, *(f"a{letter}" for letter in letters), "a/a"])
prefixes = st.sampled_from(["", "", "a", "a/", "é", "c"])
limits = st.integers(1, 4) | st.just(MAX_LIST_PAGE)
puts = st.builds(Put, keys, st.binary(max_size=2))
deletes = st.builds(Put, keys, st.none())
lists = st.builds(List, prefixes, st.just("") | keys, limits)
steps = st.one_of(puts, deletes, lists, st.builds(Get, keys))
ends = st.sampled_from(["", "begin_commit", "commit", "commit", "fail", "crash", "evict"])
calls = st.lists(st.builds(Call, st.lists(steps, max_size=12), st.sampled_from([False] * 5 + [True]), ends), max_size=25)


FIRST_PAGES = [List(prefix, "", limit) for prefix in ("", "a") for limit in (1, 3)]
"""Entries that every call reads."""


class Shelf(DurableObject):
    answers: list[object]
    """What the steps of the running call have answered, also if it breaks."""

    def take(self, steps: list[Step], *, broken: bool) -> None:
        """Take the steps, and write what they put as rows of the runtime too, beside the object's."""
        storage: Any = self.ctx.storage
        rows = storage.runtime
        for step in steps:
            Shelf.answers.append(step.on_storage(self.ctx))
            if isinstance(step, Put):
                key = f"{RUNTIME_PREFIX}{step.key}"
                rows.delete(key) if step.value is None else rows.put(key, step.value)
        Shelf.answers.append([(key[1:], value) for key, value in rows.list() if rows.get(key) == value])
        if broken:
            raise ZeroDivisionError


class Model:
    """What storage holds as calls see it, what would be left if the commit in flight succeeded, and what is durable."""

    def __init__(self) -> None:
        self.seen: dict[str, bytes] = {}
        self.waits = False
        self.in_flight: dict[str, bytes] | None = None
        self.durable: dict[str, bytes] = {}

    def call(self, call: Call) -> list[object]:
        before = dict(self.seen)
        answers: list[object] = [step.on_model(self.seen) for step in call.steps]
        answers.append(sorted(self.seen.items()))
        if call.broken:
            self.seen = before
        elif any(isinstance(step, Put) for step in call.steps):
            self.waits = True
        return answers

    def end(self, then: str) -> None:
        if then in {"begin_commit", "commit", "fail"} and self.in_flight is None and self.waits:
            self.in_flight, self.waits = dict(self.seen), False
        if then == "commit" and self.in_flight is not None:
            self.durable, self.in_flight = self.in_flight, None
        if then == "crash" or (then == "fail" and self.in_flight is not None):
            self.seen, self.waits, self.in_flight = dict(self.durable), False, None


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store(tmp_path_factory.mktemp("store"))
    store.open()
    yield store
    store.close()


def back_with(store: Store, disk: SimulatedDisk) -> None:
    """Have a real file hold what the simulated disk would."""
    for name in ("head", "get", "list", "alarms"):
        setattr(disk, name, getattr(store, name))
    disk.apply = store.write  # type: ignore[method-assign]


_names = itertools.count()


@pytest.mark.parametrize("kind", ["store", "simulated disk"])
@given(first=st.sets(keys), calls=calls)
@settings(max_examples=examples(100))
def test_storage_is_a_sorted_dictionary_under_layers_of_uncommitted_writes(
    store: Store, kind: str, first: set[str], calls: list[Call]
) -> None:
    """All or nothing for any sequence of calls, commits, failures and crashes; prefix, after and limit mean what they say.

    The runtime's rows share every commit, and the object does not see them.
    """
    runtime = SimulatedRuntime(autocommit=False)
    if kind == "store":
        back_with(store, runtime.disk)
    shelf = runtime.namespace("Shelf", Shelf).get(f"{next(_names)}")
    model = Model()
    for drawn in [Call([Put(key, b"") for key in first], broken=False, then="commit"), *calls]:
        call = drawn._replace(steps=[*drawn.steps, *FIRST_PAGES])
        Shelf.answers = []
        runtime.start(shelf.call(Shelf.take, call.steps, broken=call.broken))
        assert Shelf.answers == model.call(call)
        if call.then == "evict":
            runtime.evict_idle()
            runtime.evict_idle()
        elif call.then:
            getattr(runtime, call.then)()
        model.end(call.then)
