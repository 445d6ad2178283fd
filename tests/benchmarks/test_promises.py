"""A bound is reported, and enforced only where that is asked for."""

from collections.abc import Callable

import pytest
from rich.console import Console

from benchmarks import promises, references
from benchmarks.failures import ServerFailed
from benchmarks.promises import Promise, measure
from benchmarks.samples import Sample


def promise(*samples: Sample, bound_seconds: float = 1.0, bounds_cpu: bool = False) -> Promise:
    return Promise("a promise", bound_seconds, lambda _: list(samples), reference, bounds_cpu)


def reference() -> float:
    return 0.25


def broken(_: int) -> list[Sample]:
    raise ServerFailed("did not start")


@pytest.fixture(autouse=True)
def named_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(references.NAMES, reference, "a reference")


def test_an_outcome_is_the_median_and_its_ratio_to_the_reference() -> None:
    outcome = measure(promise(Sample(0.1), Sample(0.5), Sample(9.0)), runs=3)
    assert (outcome.median_ms, outcome.worst_ms, outcome.ratio, outcome.kept) == (500.0, 9_000.0, 2.0, True)
    assert outcome.reference == "a reference"


def test_a_median_beyond_its_bound_is_not_kept() -> None:
    assert not measure(promise(Sample(0.5), Sample(1.0), Sample(1.5)), runs=3).kept


@pytest.mark.parametrize(("bounds_cpu", "kept"), [(True, False), (False, True)])
def test_processor_time_counts_where_the_bound_is_one_on_it_too(*, bounds_cpu: bool, kept: bool) -> None:
    assert measure(promise(Sample(0.5, 2.0), bounds_cpu=bounds_cpu), runs=1).kept == kept


@pytest.mark.parametrize(
    ("run", "options", "status"),
    [
        (lambda _: [Sample(0.5)], (), 0),
        (lambda _: [Sample(0.5)], ("--strict",), 0),
        (lambda _: [Sample(1.5)], (), 0),
        (lambda _: [Sample(1.5)], ("--strict",), 1),
        (broken, (), 2),
        (broken, ("--strict",), 2),
    ],
)
def test_the_exit_status(
    run: Callable[[int], list[Sample]], options: tuple[str, ...], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = promise(Sample(0.1))
    monkeypatch.setattr(promises, "PROMISES", (whole._replace(run=run), whole))
    assert promises.main(options) == status


def test_one_that_cannot_be_measured_is_shown_with_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = [measure(promise()._replace(run=broken), runs=1), measure(promise(Sample(0.5)), runs=1)]
    promises.show(Console(width=200), outcomes)
    printed = capsys.readouterr().out
    assert "not measured" in printed
    assert "a promise: did not start" in printed
    assert "500.0" in printed
