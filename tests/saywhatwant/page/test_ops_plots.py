"""The plots of the operators' page: how far they reach back, what they show as a gap, and what they ask the server for."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from page_browser import Json, Modules, Visit, post
from playwright.sync_api import Locator, Page, Route, expect
from test_ops_page import open_ops

from conftest import StartServer
from servers import Server

pytest_plugins = ["page_fixtures"]

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
NOW = 1_800_000_000_000 // DAY * DAY
"""The beginning of a day."""
UNKNOWN = "\u2013"
MOST_POINTS = 400
"""A plot is about as many pixels wide."""


def point(at: int, since: int | None = None, **more: Any) -> Json:
    zeros = ("answers", "failures", "leaseExpiries", "requests", "errors", "commits", "commitCalls", "rowsWritten")
    levels = ("posts", "pending", "held", "readers", "bots")
    return {"at": at, "since": since, "p50": None, "p99": None, "dollars": None} | dict.fromkeys((*zeros, *levels), 0) | more


def samples(modules: Modules, span: str, points: list[Json], now: int, up_since: int = NOW - DAY) -> list[list[Any]]:
    """Begin and end of each sample, whether nothing is known before it, and its posts."""
    script = (
        "({ sampled }, { span, points, now, upSince }) => import(`${window.folder}ops/spans.js`).then(({ named }) =>"
        " sampled(points, named(`#span=${span}`), now, upSince)"
        ".map(({ at, ms, begins, values }) => [at - ms / 2, at + ms / 2, begins, values.posts]))"
    )
    argument = {"span": span, "points": points, "now": now, "upSince": up_since}
    found: list[list[Any]] = modules.run("ops/history.js", script, argument)
    return found


def plot(page: Page, title: str) -> Locator:
    return page.locator(".plot").filter(has_text=title)


# -- From points to samples


def test_a_time_in_which_nobody_came_is_quiet_and_one_without_a_server_is_a_gap(modules: Modules) -> None:
    begin = NOW - HOUR
    points = [
        point(begin + 10 * MINUTE, begin - DAY, posts=6),  # nobody came before it, and the server was there
        point(begin + 20 * MINUTE, begin + 11 * MINUTE, posts=4),
        point(begin + 40 * MINUTE, begin + 39 * MINUTE, posts=2),  # it was off until a minute before
        point(begin + 42 * MINUTE, None, posts=1),  # of an earlier version, which does not say
    ]
    assert samples(modules, "hour", points, NOW, up_since=NOW - 5 * MINUTE) == [
        [begin + MINUTE, begin + 2 * MINUTE, True, 0],
        [begin + 9 * MINUTE, begin + 10 * MINUTE, False, 0],
        [begin + 10 * MINUTE, begin + 11 * MINUTE, False, 6],
        [begin + 11 * MINUTE, begin + 12 * MINUTE, False, 0],
        [begin + 19 * MINUTE, begin + 20 * MINUTE, False, 0],
        [begin + 20 * MINUTE, begin + 21 * MINUTE, False, 4],
        [begin + 39 * MINUTE, begin + 40 * MINUTE, True, 0],
        [begin + 40 * MINUTE, begin + 41 * MINUTE, False, 2],
        [begin + 42 * MINUTE, begin + 43 * MINUTE, True, 1],
        [begin + 55 * MINUTE, begin + 56 * MINUTE, True, 0],
        [begin + 59 * MINUTE, begin + 60 * MINUTE, False, 0],
    ]


def test_the_present_hour_is_as_long_as_it_has_lasted(modules: Modules) -> None:
    now = NOW + 30 * MINUTE
    found = samples(modules, "week", [point(NOW - HOUR, NOW - 7 * DAY, posts=60), point(NOW, NOW, posts=30)], now)
    assert found[-2:] == [[NOW - HOUR, NOW, False, 60], [NOW, now, False, 60]], "posts of an hour, as fast as they came"


def test_no_span_asks_for_more_points_than_a_plot_can_show(modules: Modules) -> None:
    spans = modules.run("ops/spans.js", "({ SPANS }) => SPANS")
    assert [span["name"] for span in spans] == ["minutes", "hour", "day", "week", "year"]
    for span in spans:
        assert span["ms"] / span["stepMs"] <= MOST_POINTS
        assert span["stepMs"] == span["every"] * {"minute": MINUTE, "hour": HOUR}[span["step"]]


# -- On the page


def test_after_a_restart_the_plots_show_what_was_before(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    for _ in range(3):
        post(server, "Why?")
    assert server.terminate() == 0
    server.start()
    visitor = visit(server)
    page = visitor.tab()
    for span, unit in (("hour", "min"), ("day", "min"), ("week", "h"), ("year", "day")):
        page.goto(f"/ops#span={span}")
        page.reload()
        expect(page.locator("#spans [aria-current]")).to_have_text(span.capitalize())
        expect(plot(page, "Posts and answers").locator(".top")).to_have_text(re.compile(rf"[\d.]+/{unit}"))
        expect(plot(page, "Posts and answers").locator("path.line-1.line")).to_have_attribute("d", re.compile("M.*"))


def test_the_chosen_span_is_in_the_address_and_back_leads_to_the_one_before(start_server: StartServer, visit: Visit) -> None:
    page = open_ops(visit, start_server())
    current = page.locator("#spans [aria-current]")
    expect(current).to_have_text("5 minutes")
    page.get_by_role("link", name="Week").focus()
    page.keyboard.press("Enter")
    expect(current).to_have_text("Week")
    assert page.url.endswith("/ops#span=week")
    page.get_by_role("link", name="Day").click()
    expect(current).to_have_text("Day")
    page.go_back()
    expect(current).to_have_text("Week")
    page.get_by_role("link", name="Skip to what needs attention").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#attention")).to_be_focused()
    expect(current).to_have_text("Week")  # an address without a span leaves it
    page.goto(f"{page.url.partition('#')[0]}#span=nonsense")
    expect(current).to_have_text("Week")


def history_of(page: Page, points_at: Callable[[int], list[Json]]) -> list[str]:
    """Answer for the server's history at each time that it is asked for; the queries that come."""
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url.partition("?")[2])
        route.fulfill(json={"step": "minute", "every": 1, "bounds": [], "points": points_at(time.time_ns() // 1_000_000)})

    page.route("**/api/ops/history?*", answer)
    return asked


def test_a_time_without_a_server_is_drawn_as_a_gap_and_told_as_one(server: Server, visit: Visit) -> None:
    page = visit(server).tab()

    def points_at(now: int) -> list[Json]:
        begin = now // MINUTE * MINUTE - 50 * MINUTE
        return [point(begin, begin, posts=60), point(begin + 10 * MINUTE, begin + 10 * MINUTE, posts=60)]

    history_of(page, points_at)
    page.goto("/ops#span=hour")
    of_posts = plot(page, "Posts and answers")
    expect(of_posts.locator("path.line-1.line")).to_have_attribute("d", re.compile(r"M\S+ \S+M\S+ \S+.*"))
    gap = of_posts.locator(".gap").get_attribute("d") or ""
    assert gap.count("M") >= 2, "before the first figures, and between them"
    graph = of_posts.get_by_role("img")
    graph.focus()
    for _ in range(45):
        page.keyboard.press("ArrowLeft")
    expect(of_posts.locator(".when")).to_have_text(re.compile(r"\d\d:\d\d: no figures"))
    expect(of_posts.locator("b")).to_have_text([UNKNOWN, UNKNOWN])
    for _ in range(20):
        page.keyboard.press("ArrowRight")
        if "no figures" not in of_posts.locator(".when").inner_text():
            break
    expect(of_posts.locator("b").first).to_have_text("60/min")


def test_when_the_page_opens_the_last_minutes_are_there_already(server: Server, visit: Visit) -> None:
    page = visit(server).tab()

    def points_at(now: int) -> list[Json]:
        minute = now // MINUTE * MINUTE
        return [point(minute - back * MINUTE, minute - (back + 1) * MINUTE, posts=120) for back in (4, 3, 2, 1)]

    asked = history_of(page, points_at)
    page.goto("/ops")
    of_posts = plot(page, "Posts and answers")
    expect(of_posts.locator(".top")).to_have_text("2/s")
    expect(of_posts.locator("path.line-1.line")).to_have_attribute("d", re.compile(r"M\S+ \S+(L\S+ \S+){2}"))
    (query,) = asked
    assert re.fullmatch(r"step=minute&every=1&since=\d+", query)


@pytest.mark.parametrize("width", [390, 1280])
def test_a_week_fits_into_the_window(server: Server, visit: Visit, width: int) -> None:
    page = visit(server, viewport={"width": width, "height": 800}).tab()
    busy = {"posts": 123_456_789, "answers": 123_456_789, "requests": 987_654_321, "rowsWritten": 987_654_321}

    def points_at(now: int) -> list[Json]:
        hour = now // HOUR * HOUR
        return [point(hour - back * HOUR, hour - 8 * DAY, **busy) for back in range(160, 0, -1)]

    history_of(page, points_at)
    page.goto("/ops#span=week")
    expect(plot(page, "Posts and answers").locator(".top")).to_have_text("200,000,000/h")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
