"""Idempotency keys: safe to retry (P7), for a day, in bounded room."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_objects.live import LiveStorage
from durable_objects.meter import Meter
from durable_objects.simulated.disk import SimulatedDisk
from saywhatwant.errors import KeyReused
from saywhatwant.message import NewMessage
from saywhatwant.queue import keys
from saywhatwant.queue.keys import KEEP_MS, IdempotencyKeys
from saywhatwant.schemas import PostResponse

MAX_KEYS = 5
NEW = NewMessage(text="Why?", username="Human", color="169080199")
NAMES = st.sampled_from([f"key {n}" for n in range(9)])


@pytest.fixture(autouse=True)
def small_ring() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "MAX_KEYS", MAX_KEYS)
        yield


def empty() -> tuple[IdempotencyKeys, LiveStorage, Meter]:
    meter = Meter()
    storage = LiveStorage("Queue/wall", SimulatedDisk(), meter)
    return IdempotencyKeys(storage), storage, meter


def posted(number: int) -> PostResponse:
    return PostResponse(f"{number:010d}", number)


def test_p7_a_key_gets_its_first_answer_and_no_other_message() -> None:
    known, _, _ = empty()
    assert known.find("key", NEW, 0) is None
    known.remember("key", NEW, posted(1), 0)
    assert known.find("key", NEW, 1) == posted(1)
    for other in (
        NewMessage(text="Why not?", username="Human", color="169080199"),
        NewMessage(text="Why?", username="Human", color="169080199", entity="fear"),
    ):
        with pytest.raises(KeyReused):
            known.find("key", other, 1)


def test_p7_a_repeated_post_gets_its_first_answer_though_its_entitys_own_priority_has_changed() -> None:
    known, _, _ = empty()
    known.remember("key", NEW, posted(1), 0)
    assert known.find("key", NewMessage(text="Why?", username="Human", color="169080199", priority=1), 1) == posted(1)


def test_p7_a_key_is_forgotten_after_a_day_and_may_be_used_again() -> None:
    known, _, _ = empty()
    known.remember("key", NEW, posted(1), 1_000)
    assert known.find("key", NEW, 999 + KEEP_MS) == posted(1)
    assert known.find("key", NEW, 1_000 + KEEP_MS) is None
    other = NewMessage(text="Another day.", username="Human", color="169080199")
    assert known.find("key", other, 1_000 + KEEP_MS) is None
    known.remember("key", other, posted(2), 1_000 + KEEP_MS)
    assert known.find("key", other, 2_000 + KEEP_MS) == posted(2)


def test_p7_a_key_used_again_is_not_forgotten_with_its_first_use() -> None:
    known, _, _ = empty()
    known.remember("again", NEW, posted(1), 0)
    for n in range(2):
        known.remember(f"key {n}", NEW, posted(n), 0)
    known.remember("again", NEW, posted(2), KEEP_MS)
    for n in range(2, 5):
        known.remember(f"key {n}", NEW, posted(n), KEEP_MS)
    assert known.find("again", NEW, KEEP_MS) == posted(2)


@given(uses=st.lists(st.tuples(NAMES, st.sampled_from([0, 1, KEEP_MS // 2, KEEP_MS, -KEEP_MS // 3])), max_size=40))
def test_p7_the_ring_remembers_the_youngest_keys_for_a_day_and_no_others(uses: list[tuple[str, int]]) -> None:
    """Against a plain list of all that was ever remembered; in room for ``MAX_KEYS``, at a cost that stays the same."""
    known, storage, meter = empty()
    history: list[tuple[str, int, PostResponse]] = []
    now = 10 * KEEP_MS
    for number, (key, pause) in enumerate(uses):
        now += pause
        expected = next(
            (answer for name, at, answer in reversed(history[-MAX_KEYS:]) if name == key and now - at < KEEP_MS), None
        )
        assert known.find(key, NEW, now) == expected
        if expected is None:
            before = meter.reads + meter.writes + meter.deletes
            known.remember(key, NEW, posted(number), now)
            assert meter.reads + meter.writes + meter.deletes - before <= 7
            history.append((key, now, posted(number)))
        kept = [name for name, value in storage.call.items() if value is not None]
        assert len(kept) <= 2 * MAX_KEYS + 1
