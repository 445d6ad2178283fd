"""How long idempotency keys are remembered (P7): a day at least, bounded, and even when the clock steps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_objects import KeysFull
from durable_objects.idempotency import IdempotencyKeys
from durable_objects.limits import KEY_SECONDS, MAX_KEY_CLOCK_SECONDS, MAX_KEYS_FORGOTTEN
from durable_objects.meter import Meter
from durable_objects.simulated.disk import SimulatedDisk
from durable_objects.storage import LiveStorage

HOUR = 60 * 60 * 1_000
DAY = 24 * HOUR
START = 1_700_000_000_000
YEAR = 365 * DAY


class Keys:
    """Keys on a simulated disk, with a clock that the test moves; ``reload`` forgets what is in memory."""

    def __init__(self, max_keys: int = 1_000_000) -> None:
        self.meter = Meter()
        self.storage = LiveStorage("Ledger/a", SimulatedDisk(), self.meter)
        self.max_keys = max_keys
        self.now = START
        self.used = 0
        self.reload()

    def reload(self) -> None:
        self.keys = IdempotencyKeys(self.storage.runtime, self.max_keys)

    def find(self, key: str) -> bytes | None:
        return self.keys.find(key, b"", self.now)

    def use(self, key: str) -> bytes:
        """A keyed call, repeated or new."""
        if first := self.find(key):
            return first
        self.used += 1
        answer = b"%d" % self.used
        self.keys.remember(key, b"", answer)
        return answer

    def every_half_hour(self, hours: float) -> None:
        for _ in range(round(2 * hours)):
            self.now += HOUR // 2
            self.use(f"at {self.now}")

    @property
    def rows(self) -> int:
        return sum(value is not None for value in self.storage.runtime.call.values())


def test_p7_ten_thousand_other_keys_make_none_forgotten() -> None:
    keys = Keys()
    first = keys.use("the first")
    for number in range(10_000):
        keys.use(f"key {number}")
    assert keys.find("the first") == first
    keys.reload()
    assert keys.find("the first") == first


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
    assert keys.used == 400
    assert keys.rows <= 2 * 60


def test_p7_a_key_past_its_time_can_be_used_again_before_it_was_removed() -> None:
    keys = Keys()
    for number in range(10):
        keys.use(f"key {number}")
    for _ in range(27):
        keys.now += HOUR
        keys.find("any")
    again = keys.use("key 9")
    assert again == b"11"
    for number in range(10):
        keys.use(f"another {number}")
    assert keys.find("key 9") == again, "the removal of its first use leaves its second"
    assert keys.rows == 2 * (1 + 10)


@pytest.mark.parametrize("reloaded", [False, True])
def test_p7_a_clock_that_is_a_year_ahead_for_a_moment_forgets_no_key(*, reloaded: bool) -> None:
    keys = Keys()
    first = keys.use("key")
    keys.now += YEAR
    keys.use("used in that moment")
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
    assert keys.find("used in that moment") is None, "and those used ahead end with the others"


STEPS = st.sampled_from([0, 1, HOUR // 2, HOUR, 2 * HOUR, -HOUR, -YEAR])


@given(uses=st.lists(st.tuples(st.sampled_from("abcdefg"), STEPS, st.booleans()), max_size=60))
def test_p7_keys_are_never_forgotten_early_and_their_room_is_bounded(uses: list[tuple[str, int, bool]]) -> None:
    """``real`` is the time that has passed; the clock may also step back. Work and room are bounded."""
    keys = Keys()
    real = 0
    known: dict[str, tuple[int, bytes]] = {}
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
        assert keys.rows <= 2 * keys.used


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
