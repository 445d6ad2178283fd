"""Posts on their way: kept while the server is unavailable, and on the wall exactly once."""

import pytest
from page_browser import (
    LOST_NETWORK,
    MESSAGES,
    OUTBOX,
    REFUSED,
    Visit,
    Visitor,
    expect_same_wall,
    expect_state,
    newest,
    on_wall,
    post,
    row,
    until_seen,
    wake,
    write,
)
from playwright.sync_api import APIResponse, Page, Route, expect

from servers import Server

pytest_plugins = ["page_fixtures"]

STORAGE_FULL = "() => { Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }; }"


def test_p7_a_post_written_while_the_server_is_down_is_sent_once_it_is_back(server: Server, visit: Visit) -> None:
    since = newest(server)
    visitor = visit(server)
    page = open_before_loss(visitor)
    server.kill()

    write(page, "Is anybody there?")
    write(page, "Me again.")

    expect(page.locator(OUTBOX)).to_have_count(2)
    expect(page.locator(f"{OUTBOX}[data-status=queued]").first).to_contain_text("Is anybody there?")
    expect_state(page, "offline")
    server.start()
    wake(page)
    expect(page.locator(OUTBOX)).to_have_count(0)
    expect_same_wall(page, server)
    assert [text for _, text in on_wall(server, since)] == ["Is anybody there?", "Me again."]
    assert len(set(visitor.keys())) == 2
    assert len(visitor.keys()) > 2


def test_p7_a_queued_post_outlives_its_tab_and_two_later_tabs_post_it_once(server: Server, visit: Visit) -> None:
    since = newest(server)
    visitor = visit(server)
    page = open_before_loss(visitor)
    server.kill()
    write(page, "Kept")
    expect(page.locator(f"{OUTBOX}[data-status=queued]")).to_have_count(1)
    page.close()

    server.start()
    tabs = [visitor.tab(), visitor.tab()]
    for tab in tabs:
        tab.goto("/", wait_until="commit")

    for tab in tabs:
        expect(tab.locator(MESSAGES).last).to_contain_text("Kept")
        expect(tab.locator(OUTBOX)).to_have_count(0)
        expect_same_wall(tab, server)
    assert [text for _, text in on_wall(server, since)] == ["Kept"]
    assert len(set(visitor.keys())) == 1


@pytest.mark.parametrize("with_server", [False, True], ids=["the line is cut", "the server is killed"])
def test_p7_a_post_whose_answer_is_lost_is_repeated_and_on_the_wall_once(
    with_server: bool,  # noqa: FBT001 - it is the parameter
    server: Server,
    visit: Visit,
) -> None:
    since = newest(server)
    visitor = visit(server)
    page = open_before_loss(visitor)
    lost: list[int] = []
    over: list[bool] = []

    def lose_first_answer(route: Route) -> None:
        if route.request.method != "POST" or lost:
            route.continue_()
            return
        lost.append(route.fetch().status)
        if with_server:
            server.kill()
        route.abort()
        if with_server:
            server.start()
        over.append(True)

    page.route("**/api/comments*", lose_first_answer)

    write(page, "Once only")

    until_seen(page, lambda: over, "the loss of the first answer")  # meanwhile the page may have seen it on the wall
    expect(page.locator(OUTBOX)).to_have_count(0)
    expect_state(page, "live")
    expect_same_wall(page, server)
    assert lost == [200]
    assert [text for _, text in on_wall(server, since)] == ["Once only"]
    until_seen(page, lambda: len(visitor.keys()) == 2, "the repetition")
    assert len(set(visitor.keys())) == 1
    expect_same_wall(page, server)


def test_an_own_post_that_is_pushed_before_it_is_answered_is_shown_once(server: Server, visit: Visit) -> None:
    visitor = visit(server)
    page = visitor.open()
    held: list[Route] = []
    answers: list[APIResponse] = []

    def hold_answer(route: Route) -> None:
        answers.append(route.fetch())
        held.append(route)

    page.route("**/api/comments", hold_answer, times=1)

    write(page, "Mine")
    until_seen(page, lambda: answers, "the answer")
    mine = row(page, answers[0].json()["id"])
    expect(mine).to_have_count(1)
    expect(page.locator("article.message", has_text="Mine")).to_have_count(1)
    mine.evaluate("row => row.marked = true")
    held[0].fulfill(response=answers[0])
    post(server, "Somebody else's")

    expect(page.locator("#announcer")).to_have_text("Somebody says: Somebody else's")
    expect(page.locator("article.message", has_text="Mine")).to_have_count(1)
    assert mine.evaluate("row => row.marked")
    assert visitor.texts() == ["Mine"]


def test_the_same_text_posted_twice_is_two_posts(server: Server, visit: Visit) -> None:
    since = newest(server)
    visitor = visit(server)
    page = open_before_loss(visitor)
    server.kill()
    write(page, "Hello?")
    write(page, "Hello?")
    expect(page.locator(OUTBOX)).to_have_count(2)

    server.start()
    wake(page)

    expect(page.locator(MESSAGES, has_text="Hello?")).to_have_count(2)
    expect(page.locator(OUTBOX)).to_have_count(0)
    expect_same_wall(page, server)
    assert [text for _, text in on_wall(server, since)] == ["Hello?", "Hello?"]
    assert len(set(visitor.keys())) == 2


@pytest.mark.parametrize(
    "fault",
    ["removeItem = () => { throw new DOMException('no', 'SecurityError'); }", "removeItem = () => {}"],
    ids=["fails", "does nothing"],
)
def test_p7_a_post_that_storage_does_not_remove_is_sent_once(fault: str, server: Server, visit: Visit) -> None:
    visitor = visit(server)
    visitor.context.add_init_script(f"Storage.prototype.{fault};")
    page = visitor.open()

    write(page, "First")
    write(page, f"With {fault}")

    expect(page.locator(MESSAGES, has_text=f"With {fault}")).to_have_count(1)
    expect(page.locator(OUTBOX)).to_have_count(0)
    assert visitor.texts() == ["First", f"With {fault}"]


@pytest.mark.parametrize("action", ["Edit", "Discard"])
def test_a_refused_post_that_storage_does_not_remove_can_be_discarded(action: str, server: Server, visit: Visit) -> None:
    visitor = visit(server)
    visitor.expect_errors(*REFUSED)
    visitor.context.add_init_script("Storage.prototype.removeItem = () => {};")
    page = visitor.open()
    page.route("**/api/comments", lambda route: route.fulfill(status=422, json={"detail": "no"}), times=1)
    write(page, "Refused")
    page.get_by_role("button", name=action).click()
    page.locator("#text").fill("")

    write(page, f"After {action}")

    expect(page.locator(MESSAGES, has_text=f"After {action}")).to_have_count(1)
    expect(page.locator(OUTBOX)).to_have_count(0)
    assert visitor.texts() == ["Refused", f"After {action}"]


def test_a_refused_post_is_not_repeated_when_storage_is_full_by_then(server: Server, visit: Visit) -> None:
    visitor = visit(server)
    visitor.expect_errors(*REFUSED)
    page = visitor.open()

    def refuse(route: Route) -> None:
        page.evaluate(STORAGE_FULL)
        route.fulfill(status=422, json={"detail": "no"})

    page.route("**/api/comments", refuse)
    write(page, "Refused")
    expect(page.locator(f"{OUTBOX}[data-status=refused]")).to_have_count(1)
    page.unroute("**/api/comments", refuse)

    write(page, "Taken")

    expect(page.locator(MESSAGES, has_text="Taken")).to_have_count(1)
    expect(page.locator(f"{OUTBOX}[data-status=refused]")).to_have_count(1)
    assert visitor.texts() == ["Refused", "Taken"]


def open_before_loss(visitor: Visitor) -> Page:
    """A tab that is about to lose its server."""
    visitor.expect_errors(*LOST_NETWORK)
    return visitor.open()
