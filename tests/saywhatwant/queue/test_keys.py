"""Idempotency keys: safe to retry (P7) for a day, bounded, and even when the clock steps."""

from contextlib import suppress
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from queue_wall import Wall, again

from durable_objects import KeyReused, KeysFull
from durable_objects.meter import Meter
from durable_objects.simulated.disk import SimulatedDisk
from durable_objects.storage import LiveStorage
from saywhatwant.limits import KEY_SECONDS, MAX_KEY_CLOCK_SECONDS, MAX_KEYS_FORGOTTEN
from saywhatwant.message import NewMessage, Posted
from saywhatwant.queue import MessageQueue
from saywhatwant.queue.keys import IdempotencyKeys, digest

NEW = NewMessage(text="Why?", username="Human", color="169080199")
HOUR = 60 * 60 * 1_000
DAY = 24 * HOUR
START = 1_700_000_000_000
YEAR = 365 * DAY


class Keys:
    """Keys on a simulated disk, with a clock that the test moves; ``reload`` forgets what is in memory."""

    def __init__(self, max_keys: int = 1_000_000) -> None:
        self.meter = Meter()
        self.storage = LiveStorage("Queue/wall", SimulatedDisk(), self.meter)
        self.max_keys = max_keys
        self.now = START
        self.posted = 0
        self.reload()

    def reload(self) -> None:
        self.keys = IdempotencyKeys(self.storage, self.max_keys)

    def find(self, key: str, new: NewMessage = NEW) -> Posted | None:
        found = self.keys.find(key, new, self.now)
        return None if found is None else replace(found, repeated=False)

    def use(self, key: str) -> Posted:
        """A keyed post, repeated or new."""
        if first := self.find(key):
            return first
        self.posted += 1
        answer = Posted(f"{self.posted:010d}", self.posted)
        self.keys.remember(key, NEW, answer, self.now)
        return answer

    def every_half_hour(self, hours: float) -> None:
        for _ in range(round(2 * hours)):
            self.now += HOUR // 2
            self.use(f"at {self.now}")

    @property
    def rows(self) -> int:
        return sum(value is not None for value in self.storage.call.values())


def test_p7_a_key_gets_its_first_answer_and_no_other_message() -> None:
    keys = Keys()
    assert keys.find("key") is None
    first = keys.use("key")
    assert keys.find("key") == first
    for other in (
        NewMessage(text="Why not?", username="Human", color="169080199"),
        NewMessage(text="Why?", username="Human", color="169080199", entity="fear"),
    ):
        with pytest.raises(KeyReused):
            keys.find("key", other)


def test_p7_a_repeated_post_may_have_another_priority_as_its_entitys_default_changed() -> None:
    keys = Keys()
    first = keys.use("key")
    assert keys.find("key", NewMessage(text="Why?", username="Human", color="169080199", priority=1)) == first


def test_p7_a_digest_does_not_change_from_one_release_to_the_next() -> None:
    """Digests are on disk: with another one, a retry that crosses an upgrade would be refused."""
    full = NewMessage(
        text="Why?",
        username="Human",
        color="169080199",
        message_type="AI",
        reply_to="24spd5q8ti",
        entity="fear",
        priority=7,
        worker_id="bot",
        attempt=2,
    )
    assert digest(NEW).hex() == "0e5ec62735e0a900ab8dacf6"
    assert digest(full).hex() == "17ff440c5b453bf04a814bc3"


def test_p7_ten_thousand_other_keys_make_none_forgotten() -> None:
    wall = Wall(backlog_limit=1_000_000)
    first = wall.call(MessageQueue.post, NEW, "the first")
    for number in range(10_000):
        wall.call(MessageQueue.post, NEW, f"key {number}")
    assert wall.call(MessageQueue.post, NEW, "the first") == again(first)
    wall.runtime.crash()
    assert wall.call(MessageQueue.post, NEW, "the first") == again(first)
    assert wall.call(MessageQueue.stats).messages == 10_001


def test_p7_a_key_is_known_for_a_day_and_can_be_used_again_later() -> None:
    keys = Keys()
    first = keys.use("key")
    keys.every_half_hour(24)
    assert keys.find("key") == first
    keys.every_half_hour(3)
    assert keys.find("key") is None
    again = keys.use("key")
    assert again != first
    keys.every_half_hour(24)
    assert keys.find("key") == again, "the end of its first use is not the end of its second"


def test_p7_at_their_bound_new_keys_are_refused_and_known_ones_answered() -> None:
    keys = Keys(max_keys=3)
    answers = {key: keys.use(key) for key in ("a", "b", "c")}
    rows = keys.rows
    for reloaded in (False, True):
        if reloaded:
            keys.reload()
        with pytest.raises(KeysFull):
            keys.find("d")
        assert {key: keys.find(key) for key in answers} == answers
    assert keys.rows == rows == 2 * 3


def test_p7_room_for_new_keys_comes_back_when_old_ones_end() -> None:
    keys = Keys(max_keys=60)
    keys.every_half_hour(200)
    assert keys.posted == 400
    assert keys.rows <= 2 * 60


def test_p7_a_key_past_its_time_can_be_used_again_before_it_was_removed() -> None:
    keys = Keys()
    for number in range(10):
        keys.use(f"key {number}")
    for _ in range(27):
        keys.now += HOUR
        keys.find("any")
    again = keys.use("key 9")
    assert again.id == f"{11:010d}"
    for number in range(10):
        keys.use(f"another {number}")
    assert keys.find("key 9") == again, "the removal of its first use leaves its second"
    assert keys.rows == 2 * (1 + 10)


@pytest.mark.parametrize("crashing", [False, True])
def test_p7_keys_end_though_no_keyed_post_is_taken(monkeypatch: pytest.MonkeyPatch, *, crashing: bool) -> None:
    """At the bound none is taken, so time must pass for the keys by other calls, also across restarts."""
    monkeypatch.setattr("saywhatwant.queue.state.IdempotencyKeys", partial(IdempotencyKeys, max_keys=2))
    wall = Wall()
    for key in ("a", "b"):
        wall.call(MessageQueue.post, NEW, key)
    start = wall.runtime.now_ms
    while wall.runtime.now_ms < start + KEY_SECONDS * 1_000:
        with pytest.raises(KeysFull):
            wall.call(MessageQueue.post, NEW, "c")
        wall.runtime.advance(30 * 60)
        wall.answer(None)
        if crashing:
            wall.runtime.crash()
    wall.call(MessageQueue.post, NEW, "c")


def test_p7_keys_end_in_their_time_after_a_moment_a_year_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their clock, stored in that moment, does not stand still for a year."""
    monkeypatch.setattr("saywhatwant.queue.state.IdempotencyKeys", partial(IdempotencyKeys, max_keys=2))
    wall = Wall()
    for key in ("a", "b"):
        wall.call(MessageQueue.post, NEW, key)
    wall.runtime.now_ms += YEAR
    wall.answer(None)
    wall.runtime.now_ms -= YEAR
    for _ in range(2 * 26):
        with suppress(KeysFull):
            wall.call(MessageQueue.post, NEW, "c")
        wall.runtime.advance(30 * 60)
        wall.answer(None)
        wall.runtime.crash()
    wall.call(MessageQueue.post, NEW, "c")


def test_p7_a_wall_with_all_its_keys_still_takes_posts_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saywhatwant.queue.state.IdempotencyKeys", partial(IdempotencyKeys, max_keys=1))
    wall = Wall()
    wall.call(MessageQueue.post, NEW, "key")
    with pytest.raises(KeysFull):
        wall.call(MessageQueue.post, NEW, "another key")
    wall.ask()
    assert wall.call(MessageQueue.stats).messages == 2


@pytest.mark.parametrize("reloaded", [False, True])
def test_p7_a_clock_that_is_a_year_ahead_for_a_moment_forgets_no_key(*, reloaded: bool) -> None:
    keys = Keys()
    first = keys.use("key")
    keys.now += YEAR
    keys.use("posted in that moment")
    if reloaded:
        keys.reload()
    assert keys.find("key") == first
    keys.now -= YEAR
    if reloaded:
        keys.reload()
    assert keys.find("key") == first
    keys.every_half_hour(24)
    assert keys.find("key") == first
    keys.every_half_hour(3)
    assert keys.find("posted in that moment") is None, "and those posted ahead end with the others"


STEPS = st.sampled_from([0, 1, HOUR // 2, HOUR, 2 * HOUR, -HOUR, -YEAR])


@given(uses=st.lists(st.tuples(st.sampled_from("abcdefg"), STEPS, st.booleans()), max_size=60))
def test_p7_keys_are_never_forgotten_early_and_their_room_is_bounded(uses: list[tuple[str, int, bool]]) -> None:
    """``real`` is the time that has passed; the clock may also step back. Work and room are bounded."""
    keys = Keys()
    real = 0
    known: dict[str, tuple[int, Posted]] = {}
    for key, step, reloaded in uses:
        keys.now += step
        real += max(step, 0)
        if reloaded:
            keys.reload()
        before = keys.meter.writes
        deleted = keys.meter.deletes
        answer = keys.use(key)
        if key in known and real - known[key][0] < DAY:
            assert answer == known[key][1]
        if key not in known or answer != known[key][1]:
            known[key] = (real, answer)
            assert keys.meter.writes - before == 2
            assert keys.meter.deletes - deleted <= 2 * MAX_KEYS_FORGOTTEN
        else:
            assert keys.meter.writes == before
        assert keys.rows <= 2 * keys.posted


def test_p7_no_key_ages_faster_than_its_stated_bounds() -> None:
    assert 2 * MAX_KEY_CLOCK_SECONDS * 1_000 + DAY <= KEY_SECONDS * 1_000


@given(count=st.integers(1, 70), forgotten=st.booleans())
def test_p7_the_newest_key_is_found_again_after_a_restart(count: int, *, forgotten: bool) -> None:
    keys = Keys()
    if forgotten:
        keys.use("long ago")
        keys.every_half_hour(40)
    for number in range(count):
        keys.use(f"key {number}")
    expected = (keys.keys._oldest, keys.keys._next, keys.keys._at, keys.keys._clock)
    keys.reload()
    keys.find("any")
    assert (keys.keys._oldest, keys.keys._next, keys.keys._at, keys.keys._clock) == expected
