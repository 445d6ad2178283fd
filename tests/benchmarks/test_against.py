"""Two checkouts are compared round by round."""

import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_contenders import FIGURE, FakeContender, Wall, serving
from rich.console import Console

from benchmarks import against
from benchmarks.checkout import other_product
from benchmarks.comparison import Result
from benchmarks.contenders.product import NAME
from benchmarks.failures import LoadFailed, Missing
from benchmarks.loads import LOADS, Load
from benchmarks.wrk import Figure

OTHER = "the other"
POST = LOADS["post-1"].name


@pytest.fixture(autouse=True)
def in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def url() -> Iterator[str]:
    with serving(Wall) as started:
        yield started


def turns(*both: FakeContender, rounds: int, failing: tuple[str, int] = ("", 0)) -> list[tuple[str, int, bool]]:
    """Who was measured in which round, and whether there is a figure; ``failing`` is a URL and how often it answers before."""
    asked: Counter[str] = Counter()

    def measure(url: str, load: Load, seconds: int) -> Figure:
        assert (load.name, seconds) == (POST, 1)
        asked[url] += 1
        if url == failing[0] and asked[url] == failing[1]:
            raise LoadFailed("it broke")
        return FIGURE

    results = against.take_turns(both, ["post-1"], rounds, 1, measure=measure)
    return [(result.contender, result.round, result.figure is not None) for result in results]


def test_two_checkouts_take_turns_in_the_opposite_order_every_other_round(url: str) -> None:
    ours, theirs = FakeContender("a", url), FakeContender("b", url)
    assert turns(ours, theirs, rounds=6) == [
        (name, number, True) for number in range(6) for name in ("ab" if number % 2 == 0 else "ba")
    ]
    assert (ours.starts, theirs.starts) == (2, 2)


def test_a_failure_ends_the_rounds_until_the_next_start(url: str) -> None:
    with serving(Wall) as other_url:
        ours, theirs = FakeContender("a", url), FakeContender("b", other_url)
        measured = turns(ours, theirs, rounds=5, failing=(other_url, 2))
    assert measured == [("a", 0, True), ("b", 0, True), ("b", 1, False), ("a", 4, True), ("b", 4, True)]


def test_a_checkout_that_does_not_start_is_the_one_with_the_note(url: str) -> None:
    assert turns(FakeContender("a", url), FakeContender("b", url, Missing("gone")), rounds=2) == [("b", 0, False)]


def result(contender: str, number: int, per_second: float, cpu_us: float = 50.0) -> Result:
    return Result(contender, "post", number, Figure(per_second, 1.0, 2.0, 100, cpu_us))


def rounds(*rates: tuple[float, float]) -> list[Result]:
    """Of ours and theirs."""
    return [
        result(name, number, rate) for number, both in enumerate(rates) for name, rate in zip((NAME, OTHER), both, strict=True)
    ]


def test_the_ratio_is_taken_in_each_round_so_that_a_slow_round_slows_both() -> None:
    (pair,) = against.pairs(rounds((1_000, 1_000), (100, 100), (900, 1_000)), OTHER)
    assert pair.ratios == [1.0, 1.0, 0.9]


def test_a_round_in_which_one_failed_counts_for_neither() -> None:
    failed = Result(OTHER, "post", 1, None, "it broke")
    (pair,) = against.pairs([*rounds((1_000, 500)), result(NAME, 1, 10), failed], OTHER)
    assert pair.ratios == [2.0]
    assert pair.notes == (f"{OTHER}: it broke",)


@pytest.mark.parametrize(
    ("rates", "fast_enough"),
    [([(900, 1_000)], True), ([(890, 1_000)], False), ([(100, 1_000), (950, 1_000), (950, 1_000)], True)],
)
def test_fast_enough_is_a_median_of_nine_tenths(rates: list[tuple[float, float]], *, fast_enough: bool) -> None:
    assert against.show(Console(), against.pairs(rounds(*rates), OTHER), OTHER) == fast_enough


def test_what_was_not_measured_is_not_fast_enough() -> None:
    results = [result(NAME, 0, 10), Result(OTHER, "post", 0, None, "it broke")]
    assert not against.show(Console(), against.pairs(results, OTHER), OTHER)


def test_a_checkout_with_an_environment_is_run_as_it_is(tmp_path: Path) -> None:
    sww = tmp_path / ".venv" / "bin" / "sww"
    sww.parent.mkdir(parents=True)
    sww.touch()
    assert other_product(str(tmp_path)).name == f"{NAME}, {tmp_path}"


def test_what_is_neither_a_directory_nor_a_commit_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Missing, match="nowhere is neither a directory nor a commit"):
        other_product("nowhere")
