"""``sww history``: an operator sees the figures of the last minutes and hours."""

import json
from pathlib import Path

from terminal import sww

from conftest import StartServer
from saywhatwant.commands.history_view import WIDTH, over_time, spark
from saywhatwant.history import Counted, Figures
from saywhatwant.history.points import Points

MINUTE = 60_000


def points_at(*minutes: int) -> Points:
    """Points with as many posts as their minutes' numbers."""
    return Points.of("minute", [Figures(minute * MINUTE, Counted(posts=minute)) for minute in minutes])


def test_a_wall_without_figures_says_when_there_will_be_some(start_server: StartServer, tmp_path: Path) -> None:
    done = sww(tmp_path, "history", "--url", start_server().url)
    assert (done.status, done.stdout) == (
        0,
        "no figures yet: they are stored at the end of each minute in which somebody comes\n",
    )


def test_figures_are_drawn_and_in_a_table_or_printed_as_json(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    for _ in range(3):
        body = {"text": "Why?", "username": "Human", "color": "169080199"}
        server.http.post("/api/comments", json=body).raise_for_status()
    server.terminate()
    server.start()
    shown = json.loads(sww(tmp_path, "history", "--json", "--url", server.url).stdout)
    assert [point["posts"] for point in shown["points"]] in ([3], [2, 1], [1, 2], [1, 1, 1])  # a minute may end meanwhile
    done = sww(tmp_path, "history", "--step", "hour", "--limit", "1", "--url", server.url)
    assert done.status == 0, done.stderr
    drawn = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert "█" in drawn["posts"]
    assert "█" not in drawn["failures"]
    assert "5xx" in drawn["hour"]


def test_a_line_of_bars_is_as_high_as_its_values() -> None:
    assert spark([0, 1, 4, 8]) == " ▂▅█"
    assert spark([]) == ""
    assert spark([0, 0]) == "  "


def test_minutes_without_figures_are_drawn_as_nothing() -> None:
    assert over_time(points_at(3, 4, 7), lambda point: point.posts) == [3, 4, 0, 0, 7]


def test_a_long_time_fits_into_a_line_and_no_peak_is_left_out() -> None:
    values = over_time(points_at(*range(1, 10_000)), lambda point: point.posts)
    assert len(values) <= WIDTH
    assert max(values) == 9_999
