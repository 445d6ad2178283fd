"""Randomness of one call: the same from the same seed, another from another, and fair."""

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_objects import DurableObject
from durable_objects.call_random import CallRandom
from durable_objects.simulated import SimulatedRuntime
from profiles import examples

seeds = st.integers(0, 2**64 - 1)
DRAWS: dict[str, Callable[[CallRandom], object]] = {
    "random": lambda random: random.random(),
    "getrandbits": lambda random: random.getrandbits(64),
    "randbytes": lambda random: random.randbytes(100),
    "randint": lambda random: random.randint(-5, 10**30),
    "choice": lambda random: random.choice("abcdef"),
    "choices": lambda random: random.choices("abcdef", [1, 2, 3, 4, 5, 6], k=3),
    "sample": lambda random: random.sample(range(100), 5),
    "shuffle": lambda random: shuffled(random, list(range(20))),
    "uniform": lambda random: random.uniform(1, 2),
    "expovariate": lambda random: random.expovariate(1),
    "gauss": lambda random: random.gauss(),
    "normalvariate": lambda random: random.normalvariate(),
}


def seeded(seed: int) -> CallRandom:
    """The randomness of a call with this seed."""
    return CallRandom(iter([seed]).__next__)


def shuffled(random: CallRandom, values: list[int]) -> list[int]:
    random.shuffle(values)
    return values


@given(seeds, st.lists(st.sampled_from(sorted(DRAWS)), max_size=12), st.lists(st.sampled_from(sorted(DRAWS)), max_size=3))
def test_the_same_seed_draws_the_same_whatever_was_drawn_before(seed: int, draws: list[str], before: list[str]) -> None:
    coming = [seed, seed ^ 1]
    used = CallRandom(coming.pop)
    for name in ("random", *before):
        DRAWS[name](used)
    used.has_seed = False
    fresh = seeded(seed)
    assert [DRAWS[name](used) for name in draws] == [DRAWS[name](fresh) for name in draws]


@given(seeds, seeds)
def test_another_seed_draws_something_else(one: int, another: int) -> None:
    assert (seeded(one).getrandbits(128) == seeded(another).getrandbits(128)) == (one == another)


@given(seeds, st.integers(0, 3_000))
def test_any_number_of_bits_can_be_drawn(seed: int, bits: int) -> None:
    random = seeded(seed)
    drawn = [random.getrandbits(bits) for _ in range(2)]
    assert all(0 <= value < 2**bits for value in drawn)
    if bits >= 64:
        assert drawn[0] != drawn[1]
        assert min(value.bit_length() for value in drawn) > bits - 64, "no block of zeros"


def test_drawing_fewer_than_no_bits_is_refused() -> None:
    with pytest.raises(ValueError, match="-1 random bits cannot be drawn"):
        seeded(0).getrandbits(-1)


@settings(max_examples=examples(20))
@given(seeds)
def test_every_bit_is_as_often_set_as_not(seed: int) -> None:
    """Of 2,000 draws; a fair coin is off by more than 200 once in 10**18 times."""
    random = seeded(seed)
    for bits in (1, 13, 64):
        set_bits = Counter[int]()
        for _ in range(2_000):
            drawn = random.getrandbits(bits)
            set_bits.update(bit for bit in range(bits) if drawn >> bit & 1)
        assert all(800 < set_bits[bit] < 1_200 for bit in range(bits))


@settings(max_examples=examples(20))
@given(seeds)
def test_numbers_and_choices_are_spread_evenly(seed: int) -> None:
    random = seeded(seed)
    tenths = Counter(int(random.random() * 10) for _ in range(5_000))
    assert set(tenths) == set(range(10))
    chosen = Counter(random.choice("abcde") for _ in range(5_000))
    rolled = Counter(random.randint(1, 6) for _ in range(6_000))
    first = Counter(shuffled(random, [1, 2, 3, 4])[0] for _ in range(4_000))
    for counted, expected in ((tenths, 500), (chosen, 1_000), (rolled, 1_000), (first, 1_000)):
        assert all(abs(count - expected) < expected * 0.4 for count in counted.values())


def test_it_is_the_same_on_every_platform() -> None:
    random = seeded(7)
    assert [random.getrandbits(32), random.getrandbits(600) % 2**32, random.random()] == [
        2318007805,
        1641019319,
        0.16080048550195958,
    ]


def test_nobody_can_seed_it_or_take_its_state() -> None:
    random = seeded(7)
    random.seed(8)
    assert random.getrandbits(64) == seeded(7).getrandbits(64)
    with pytest.raises(NotImplementedError, match="it follows from the call's seed"):
        random.getstate()


class Dice(DurableObject):
    """Rolls, and reads the clock."""

    def roll(self) -> list[int]:
        return [self.ctx.random.getrandbits(64) for _ in range(2)]

    def normal(self) -> float:
        return self.ctx.random.gauss(0, 1)

    def times(self) -> list[int]:
        return [self.ctx.now() for _ in range(3)]


def test_every_call_has_a_seed_of_its_own_from_the_seed_of_the_run() -> None:
    def rolls(seed: int) -> list[list[int]]:
        runtime = SimulatedRuntime(seed=seed)
        dice = runtime.namespace("Dice", Dice)
        return [runtime.run(dice.get(name).call(Dice.roll)) for name in "aabb"]

    drawn = rolls(1)
    assert drawn == rolls(1) != rolls(2)
    assert len({number for roll in drawn for number in roll}) == 8


def test_what_a_call_has_drawn_does_not_depend_on_earlier_calls() -> None:
    """Only on its seed: the base class would keep half of a pair of normal numbers for the next call."""
    seeds = iter([5, 5])
    runtime = SimulatedRuntime()
    runtime._new_seed = lambda: next(seeds)
    dice = runtime.namespace("Dice", Dice).get("a")
    assert runtime.run(dice.call(Dice.normal)) == runtime.run(dice.call(Dice.normal))


def test_the_clock_stands_still_during_a_call() -> None:
    ticks = iter(range(1_000))
    runtime = SimulatedRuntime()
    runtime._clock = lambda: next(ticks)
    dice = runtime.namespace("Dice", Dice).get("a")
    one, another = runtime.run(dice.call(Dice.times)), runtime.run(dice.call(Dice.times))
    assert len(set(one)) == len(set(another)) == 1
    assert one[0] < another[0]
