"""Posts that the server does not take: for good, or not yet."""

import time

from page_browser import (
    LOST_NETWORK,
    MESSAGES,
    OUTBOX,
    REFUSED,
    Visit,
    Visitor,
    expect_same_wall,
    expect_state,
    on_wall,
    write,
)
from playwright.sync_api import Page, Route, expect

from conftest import StartServer
from servers import until

pytest_plugins = ["page_visits"]

WAITING = f"{OUTBOX}[data-status=waiting]"
TURNED_AWAY = f"{OUTBOX}[data-status=refused]"


def test_p8_the_desk_counts_what_is_too_long_and_posts_it_not(start_server: StartServer, visit: Visit) -> None:
    visitor = visit(start_server(max_text=100))
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
    expect(page.locator(MESSAGES)).to_have_count(1)
    assert visitor.texts() == ["x" * 100]


def test_p8_a_refused_post_shows_the_reason_and_goes_back_to_the_desk(start_server: StartServer, visit: Visit) -> None:
    server = start_server(max_text=100)
    visitor = visit(server)
    page = open_believing_in_long_texts(visitor)

    write(page, "x" * 101)
    write(page, "Short")

    turned_away = page.locator(TURNED_AWAY)
    expect(turned_away.locator(".note")).to_contain_text("Not posted: text: must have 1 to 100 characters after trimming")
    expect(page.locator("#announcer")).to_contain_text("was not posted")
    expect(page.locator(MESSAGES)).to_have_count(1)
    assert [text for _, text in on_wall(server)] == ["Short"]

    turned_away.get_by_role("button", name="Edit").click()
    expect(page.locator("#text")).to_have_value("x" * 101)
    expect(page.locator("#text")).to_be_focused()
    expect(page.locator(OUTBOX)).to_have_count(0)
    write(page, "x" * 99)
    expect(page.locator(MESSAGES)).to_have_count(2)
    assert len(set(visitor.keys())) == 3


def test_p8_a_refused_post_outlives_a_reload_and_can_be_thrown_away(start_server: StartServer, visit: Visit) -> None:
    server = start_server(max_text=100)
    visitor = visit(server)
    page = open_believing_in_long_texts(visitor)
    write(page, "x" * 101)
    expect(page.locator(TURNED_AWAY)).to_have_count(1)

    page.reload()
    expect_state(page, "live")
    expect(page.locator(TURNED_AWAY)).to_contain_text("Not posted")
    page.get_by_role("button", name="Discard").click()

    expect(page.locator(OUTBOX)).to_have_count(0)
    page.reload()
    expect_state(page, "live")
    expect(page.locator("article.message")).to_have_count(0)
    assert len(visitor.keys()) == 1


def test_p7_posts_beyond_the_rate_wait_as_long_as_the_server_asks_and_are_sent_then(
    start_server: StartServer, visit: Visit
) -> None:
    server = start_server(rate_limit=2)
    visitor = visit(server)
    visitor.forgive(*REFUSED, *LOST_NETWORK)
    page = visitor.tab()
    # The server asks to wait for the rest of a minute of the clock; here it must be one that one can wait for in part.
    until(lambda: time.time() % 60 < 40, "a minute that is not about to end", within=30)
    page.clock.install()
    page.goto("/")
    expect_state(page, "live")
    for text in ("One", "Two", "Three"):
        write(page, text)

    expect(page.locator(MESSAGES)).to_have_count(2)
    waiting = page.locator(WAITING)
    expect(waiting).to_contain_text("Three")
    expect(waiting.locator(".note")).to_contain_text("Not sent yet")
    tries = len(visitor.keys())
    asked = retry_after(visitor)
    page.clock.pause_at(page.evaluate("Date.now()") / 1_000 + 1)
    page.clock.run_for((asked - 3) * 1_000)
    assert len(visitor.keys()) == tries == 3

    # Of the server's clock nobody here is master: started anew, it has forgotten who posted.
    server.restart()
    page.clock.resume()
    page.clock.run_for(10_000)

    expect(page.locator(OUTBOX)).to_have_count(0)
    expect(page.locator(MESSAGES)).to_have_count(3)
    assert [text for _, text in on_wall(server)] == ["One", "Two", "Three"]
    assert len(set(visitor.keys())) == 3


def test_p6_a_wall_without_room_makes_posts_wait_until_there_is_some(start_server: StartServer, visit: Visit) -> None:
    server = start_server(backlog_limit=1)
    visitor = visit(server)
    visitor.forgive("Failed to load resource: the server responded with a status of 503")
    page = visitor.tab()
    page.clock.install()
    page.goto("/")
    expect_state(page, "live")
    write(page, "One")
    expect(page.locator(MESSAGES)).to_have_count(1)
    write(page, "Two")
    expect(page.locator(WAITING)).to_contain_text("Two")

    (claimed,) = server.http.post("/api/queue/claim", json={"workerId": "worker-1"}).json()["messages"]
    done = {"messageId": claimed["id"], "workerId": "worker-1", "reply": {"text": "Yes?", "username": "Zen"}}
    server.http.post("/api/queue/complete", json=done).raise_for_status()
    page.clock.run_for(60_000)

    expect(page.locator(OUTBOX)).to_have_count(0)
    expect_same_wall(page, server)
    assert [text for _, text in on_wall(server)] == ["One", "Yes?", "Two"]


def open_believing_in_long_texts(visitor: Visitor) -> Page:
    """A tab that was opened while the wall still took longer texts."""

    def tell_of_before(route: Route) -> None:
        told = route.fetch()
        route.fulfill(response=told, json=told.json() | {"maxText": 5_000})

    visitor.forgive(*REFUSED)
    visitor.context.route("**/api/entities", tell_of_before)
    page = visitor.open()
    expect(page.locator("#entity option")).not_to_have_count(1)
    return page


def retry_after(visitor: Visitor) -> int:
    """The seconds that the server asked for when it refused the latest post."""
    response = visitor.posts[-1].response()
    assert response
    assert response.status == 429
    return int(response.headers["retry-after"])
