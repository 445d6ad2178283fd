"""A contender that is missing, breaks or hangs gets a note, and the others their figures."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_contenders import NAMES, EmptyWall, FakeContender, ForgetfulWall, Wall, measured, serving
from rich.console import Console

from benchmarks import report
from benchmarks.comparison import fill
from benchmarks.failures import Missing, ServerFailed


@pytest.fixture(autouse=True)
def in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def url() -> Iterator[str]:
    with serving(Wall) as started:
        yield started


@pytest.mark.parametrize("failure", [Missing("not installed"), ServerFailed("did not start"), KeyError("seq")])
def test_a_contender_that_does_not_start_gets_a_note_for_each_load(url: str, failure: Exception) -> None:
    broken, whole = FakeContender("broken", url, failure), FakeContender("whole", url)
    results = measured(broken, whole)
    assert [(result.contender, result.load) for result in results] == [
        *(("broken", name) for name in NAMES),
        *(("whole", name) for name in NAMES),
    ]
    assert all(result.note for result in results if result.contender == "broken")
    assert all(result.figure for result in results if result.contender == "whole")
    assert broken.starts == 1


def test_a_contender_that_fails_under_a_load_starts_again_for_the_next_one(url: str) -> None:
    contender = FakeContender("broken", url)
    results = measured(contender, failing=(url, NAMES[1]))
    assert [(result.load, result.note) for result in results] == [(NAMES[0], ""), (NAMES[1], "it broke"), (NAMES[2], "")]
    assert contender.starts == 2


def test_a_contender_that_lacks_what_it_acknowledged_gets_a_note() -> None:
    with serving(ForgetfulWall) as url:
        results = measured(FakeContender("forgetful", url))
    assert [bool(result.figure) for result in results] == [False, False, True]
    assert results[0].note == "forgetful acknowledged 100 posts and has 0 of them"


def test_contenders_take_turns_in_the_opposite_order_every_other_round(url: str) -> None:
    results = measured(FakeContender("a", url), FakeContender("b", url), rounds=2)
    assert [result.contender for result in results if result.load == NAMES[0]] == ["a", "b", "b", "a"]


def test_a_wall_is_filled_before_its_messages_are_read() -> None:
    with serving(EmptyWall) as url:
        fill(url, 30)
        fill(url, 40)
    assert EmptyWall.posts == 40


def test_a_row_is_the_median_of_the_rounds_that_were_measured(url: str) -> None:
    results = measured(FakeContender("broken", url), failing=(url, NAMES[0]))
    whole = measured(FakeContender("broken", url))
    rows = report.rows([*results, *whole])
    assert rows[NAMES[0]]["broken"] == (whole[0].figure, "1 of 2 rounds; it broke")
    assert rows[NAMES[1]]["broken"] == (whole[1].figure, "")


def test_results_are_written_although_nothing_of_the_chart_was_measured(url: str, tmp_path: Path) -> None:
    results = measured(FakeContender("broken", url, Missing("not installed")))
    report.write(tmp_path / "out", results, {})
    assert '"note": "not installed"' in (tmp_path / "out" / "results.json").read_text()
    assert not (tmp_path / "out" / "speed.svg").exists()


def test_a_note_is_printed_once_with_a_number_in_each_of_its_rows(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    broken, whole = FakeContender("broken", url, Missing("not installed")), FakeContender("whole", url)
    report.show(Console(width=120), report.rows(measured(broken, whole)), "whole")
    printed = capsys.readouterr().out
    assert printed.count("not measured [1]") == len(NAMES)
    assert printed.count("not installed") == 1
    assert printed.rstrip().endswith("[1] not installed")
