"""What benchmarks start inside their own process still works as the product moves on; no figure is looked at."""

import asyncio
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from benchmarks import backups, bots, dashboard, growth, history, inprocess, references, samples
from benchmarks.comparison import MESSAGE
from benchmarks.keyvalue.__main__ import simulate
from benchmarks.keyvalue.durable import DurableWall
from benchmarks.keyvalue.original import KeyValueWall
from benchmarks.keyvalue.scenario import Scenario
from benchmarks.loads import Load
from benchmarks.wrk import Figure


@pytest.fixture(autouse=True)
def in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("load", inprocess.LOADS)
def test_a_load_runs_in_one_process(load: str) -> None:
    async def measured() -> int:
        wall = inprocess.Wall()
        await inprocess.LOADS[load](wall)
        return wall.nanoseconds

    assert asyncio.run(measured()) > 0


def test_objects_take_posts() -> None:
    assert growth.objects(3, 40) > 0


def test_a_filled_wall_wakes(tmp_path: Path) -> None:
    assert asyncio.run(growth.fill(tmp_path / "data", 30)).rows >= 30


def test_an_idle_object_wakes() -> None:
    assert len(samples.wakes(2)) == 2


@pytest.mark.parametrize("reference", references.NAMES, ids=references.NAMES.get)
def test_a_reference_takes_time(reference: references.Reference) -> None:
    assert reference() > 0


def test_every_message_reaches_every_reader_here_and_some_are_lost_there() -> None:
    scenario = Scenario(posters=4, locations=4, messages=40, seed=7)
    durable, original = simulate(scenario, DurableWall), simulate(scenario, KeyValueWall)
    assert (durable.reached, durable.answered_again) == (1.0, 0.0)
    assert original.reached < 1.0
    assert len(durable.posted) == len(original.posted) == 40


def test_bots_make_round_trips_over_each_connection(tmp_path: Path) -> None:
    speeds = bots.compare(1, 0.3, tmp_path)
    assert all(speed.per_second > 0 for (speed,) in speeds.values())


def test_a_history_is_filled_and_its_reports_are_timed(tmp_path: Path) -> None:
    assert history.bytes_on_disk(tmp_path / "data", days=1, hours=1) > 0
    assert asyncio.run(history.report_ms(tmp_path / "reports")) > 0
    assert len(asyncio.run(history.report_ms_amid_posts(tmp_path / "posts", posts=4, rounds=2))) == 2


def test_growth_says_what_it_measures_as_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "retained", lambda messages, _: f"{messages} retained")
    lines = growth.steps([200], [3], seconds=1, posts=40)
    assert next(lines) == "a wall with 200 messages ..."
    assert next(lines) == "200 retained"
    assert next(lines) == "40 posts to 3 objects ..."
    assert next(lines).startswith("3 objects: ")
    assert list(lines) == []


def test_a_wall_takes_posts_while_operators_look_and_while_nobody_does() -> None:
    def measure(url: str, load: Load, seconds: int) -> Figure:  # noqa: ARG001 - as wrk's
        httpx.post(f"{url}/api/comments", json=MESSAGE, trust_env=False).raise_for_status()
        return Figure(1.0, 1.0, 2.0, 1)

    figures = dashboard.take_turns(dashboard.cases()[:2], rounds=1, seconds=1, measure=measure)
    assert list(figures) == ["nobody looks", "1 looks"]
    assert [len(found) for found in figures.values()] == [1, 1]
    dashboard.show(Console(), figures)


def test_changes_after_a_backup_are_looked_for(tmp_path: Path) -> None:
    look = backups.look(tmp_path, messages=30, looks=2)
    assert look.bytes > 0
    assert len(look.seconds) == 2
