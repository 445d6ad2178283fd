"""Posts that the server refuses: for good, or for now."""

from collections.abc import Iterator

import pytest
from page_browser import (
    MESSAGES,
    OUTBOX,
    REFUSED,
    Visit,
    Visitor,
    expect_same_wall,
    expect_state,
    newest,
    on_wall,
    wake,
    write,
)
from playwright.sync_api import Page, Route, expect

from conftest import MakeServer, StartServer
from servers import Server, until

pytest_plugins = ["page_fixtures"]

QUEUED = f"{OUTBOX}[data-status=queued]"
REFUSED_POST = f"{OUTBOX}[data-status=refused]"


@pytest.fixture(scope="module")
def strict(make_server: MakeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that takes only short texts."""
    with make_server(tmp_path_factory.mktemp("strict"), max_text=100) as started:
        yield started


def test_p8_a_text_that_is_too_long_is_counted_and_not_posted(strict: Server, visit: Visit) -> None:
    visitor = visit(strict)
    page = visitor.open()
    counter = page.locator("#counter")
    page.locator("#text").fill("x" * 50)
    expect(counter).to_be_hidden()
    page.locator("#text").fill("  " + "\U0001f468" * 100 + "  ")
    expect(counter).to_have_text("0 left")
    expect(page.locator("#post")).to_be_enabled()

    write(page, "x" * 101)

    expect(counter).to_have_text("1 too many")
    expect(page.locator("#post")).to_be_disabled()
    expect(page.locator("#text")).to_have_value("x" * 101)
    page.locator("#text").press("Backspace")
    page.locator("#text").press("Enter")
    expect(page.locator(MESSAGES, has_text="x" * 100)).to_have_count(1)
    assert visitor.texts() == ["x" * 100]


def test_p8_a_refused_post_shows_the_reason_and_can_be_edited(strict: Server, visit: Visit) -> None:
    since = newest(strict)
    visitor = visit(strict)
    page = open_with_old_limit(visitor)

    write(page, "x" * 101)
    write(page, "Short")

    refused = page.locator(REFUSED_POST)
    expect(refused.locator(".note")).to_contain_text("Not posted: your message must have 1 to 100 characters after trimming")
    expect(page.locator("#announcer")).to_contain_text("was not posted")
    expect(page.locator(MESSAGES, has_text="Short")).to_have_count(1)
    assert [text for _, text in on_wall(strict, since)] == ["Short"]

    refused.get_by_role("button", name="Edit").click()
    expect(page.locator("#text")).to_have_value("x" * 101)
    expect(page.locator("#text")).to_be_focused()
    expect(page.locator(OUTBOX)).to_have_count(0)
    write(page, "Shorter")
    expect(page.locator(MESSAGES, has_text="Shorter")).to_have_count(1)
    assert len(set(visitor.keys())) == 3


def test_p8_a_refused_post_outlives_a_reload_and_can_be_discarded(strict: Server, visit: Visit) -> None:
    since = newest(strict)
    visitor = visit(strict)
    page = open_with_old_limit(visitor)
    write(page, "x" * 101)
    expect(page.locator(REFUSED_POST)).to_have_count(1)

    page.reload()
    expect_state(page, "live")
    expect(page.locator(REFUSED_POST)).to_contain_text("Not posted")
    page.get_by_role("button", name="Discard").click()

    expect(page.locator(OUTBOX)).to_have_count(0)
    page.reload()
    expect_state(page, "live")
    assert on_wall(strict, since) == []
    assert len(visitor.keys()) == 1


def test_p7_a_post_waits_as_long_as_the_server_asks_and_is_sent_then(strict: Server, visit: Visit) -> None:
    since = newest(strict)
    visitor = visit(strict)
    visitor.expect_errors(*REFUSED)
    page = visitor.tab()
    page.clock.install()
    page.goto("/")
    expect_state(page, "live")
    page.clock.pause_at(page.evaluate("Date.now()") / 1_000 + 1)
    problem = {"title": "Too many posts", "detail": "at most 2 posts a minute from one address"}
    page.route("**/api/comments", lambda route: route.fulfill(status=429, headers={"Retry-After": "40"}, json=problem), times=1)

    write(page, "One")

    def is_refused() -> bool:
        page.clock.run_for(20)
        return page.locator(f"{QUEUED} .note").is_visible()

    until(is_refused, "the refusal")
    expect(page.locator(f"{QUEUED} .note")).to_have_text("Not sent yet: at most 2 posts a minute from one address")
    write(page, "Two")
    wake(page)
    page.clock.run_for(37_000)
    assert visitor.texts() == ["One"]

    page.clock.run_for(3_000)
    page.clock.resume()

    expect(page.locator(OUTBOX)).to_have_count(0)
    assert [text for _, text in on_wall(strict, since)] == ["One", "Two"]
    assert visitor.texts() == ["One", "One", "Two"]
    assert len(set(visitor.keys())) == 2


def test_p6_a_post_to_a_full_wall_waits_until_there_is_room(start_server: StartServer, visit: Visit) -> None:
    server = start_server(backlog_limit=1)
    visitor = visit(server)
    visitor.expect_errors("Failed to load resource: the server responded with a status of 503")
    page = visitor.tab()
    page.clock.install()
    page.goto("/")
    expect_state(page, "live")
    write(page, "One")
    expect(page.locator(MESSAGES)).to_have_count(1)
    write(page, "Two")
    expect(page.locator(QUEUED)).to_contain_text("Two")

    (claimed,) = server.http.post("/api/queue/claim", json={"workerId": "worker-1"}).json()["messages"]
    done = {"messageId": claimed["id"], "workerId": "worker-1", "reply": {"text": "Yes?", "username": "Zen"}}
    server.http.post("/api/queue/complete", json=done).raise_for_status()
    page.clock.run_for(60_000)

    expect(page.locator(OUTBOX)).to_have_count(0)
    expect_same_wall(page, server)
    assert [text for _, text in on_wall(server)] == ["One", "Yes?", "Two"]


def open_with_old_limit(visitor: Visitor) -> Page:
    """A tab that was opened while the server still took longer texts."""

    def answer_as_before(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, json=response.json() | {"maxText": 5_000})

    visitor.expect_errors(*REFUSED)
    visitor.context.route("**/api/entities", answer_as_before)
    page = visitor.open()
    expect(page.locator("#entity option")).not_to_have_count(1)
    return page
