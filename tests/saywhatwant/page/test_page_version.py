"""A tab that is older than the server says so, and loads the new page when nothing is being written."""

import re
from contextlib import suppress

from axe_playwright_python.sync_playwright import Axe
from page_browser import LOST_NETWORK, MESSAGES, OUTBOX, Visit, Visitor, expect_state, on_wall, post, write
from playwright.sync_api import Error, Page, Route, expect

from servers import Server

pytest_plugins = ["page_fixtures"]

IDLE_MS = 31_000
HIDEABLE = "Object.defineProperty(document, 'hidden', { get: () => Boolean(window.away), configurable: true });"


def outdated(visit: Visit, server: Server, *, deaf: bool = False) -> tuple[Visitor, Page, list[str]]:
    """A tab with a page of another version than the server's, and its loads. ``deaf``: the reload brings the old page again."""
    visitor = visit(server, reduced_motion="reduce")
    # A load interrupts what is under way.
    visitor.expect_errors(*LOST_NETWORK)
    page = visitor.tab()
    page.clock.install()
    page.add_init_script(HIDEABLE)
    loads: list[str] = []
    summary = server.http.get("/api/entities").json()
    page.on("request", lambda request: loads.append(request.url) if request.is_navigation_request() else None)

    def answer(route: Route) -> None:
        newer = {"page": "000000000000"} if deaf or len(loads) == 1 else {}
        route.fulfill(json=summary | newer)

    page.route("**/api/entities", answer)
    return visitor, page, loads


def opened(page: Page) -> None:
    page.goto("/")
    expect_state(page, "live")
    expect(page.locator("#outdated")).to_be_visible()


def wait_idle(page: Page) -> None:
    """Let so much time pass that nobody seems to use the page. A load may come in between."""
    with suppress(Error):
        page.clock.run_for(IDLE_MS + 5_000)


def stay(page: Page, loads: list[str]) -> None:
    """Let much time pass: the page is not loaded again."""
    before = list(loads)
    for _ in range(5):
        page.clock.run_for(IDLE_MS)
    assert loads == before


def test_a_tab_of_the_servers_version_says_nothing(server: Server, visit: Visit) -> None:
    page = visit(server).open()
    expect(page.locator("#entity option").nth(2)).to_be_attached()

    assert page.locator("#outdated").is_hidden()
    version = server.http.get("/api/entities").json()["page"]
    assert f"/page/{version}/app.js" in server.http.get("/").text


def test_an_older_tab_says_so_and_its_button_loads_the_new_page_with_the_draft(server: Server, visit: Visit) -> None:
    _, page, _ = outdated(visit, server)
    page.goto("/#word=apples")
    expect(page.locator("#outdated")).to_be_visible()
    expect(page.locator("#outdated")).to_contain_text("There is a newer version of this page")
    page.clock.run_for(1_000)
    expect(page.locator("#announcer")).to_contain_text("There is a newer version of this page")
    page.locator("#text").fill("A draft")
    violations = Axe().run(page).response["violations"]
    assert [violation["id"] for violation in violations if violation["impact"] in {"serious", "critical"}] == []

    with page.expect_event("load"):
        page.get_by_role("button", name="Load it").click()
    expect(page.locator("#text")).to_have_value("A draft")
    assert page.url.endswith("#word=apples")


def test_an_older_tab_reloads_itself_when_nobody_uses_it(server: Server, visit: Visit) -> None:
    _, page, loads = outdated(visit, server)
    opened(page)
    assert len(loads) == 1

    with page.expect_event("load"):
        wait_idle(page)
    expect_state(page, "live")
    expect(page.locator("#outdated")).to_be_hidden()


def test_an_older_tab_reloads_itself_when_it_is_hidden(server: Server, visit: Visit) -> None:
    _, page, _ = outdated(visit, server)
    opened(page)

    with page.expect_event("load"):
        page.evaluate("window.away = true; document.dispatchEvent(new Event('visibilitychange'))")


def test_a_tab_with_a_draft_is_left_alone_until_the_draft_is_sent(server: Server, visit: Visit) -> None:
    _, page, loads = outdated(visit, server)
    opened(page)
    page.locator("#text").fill("Not finished")

    stay(page, loads)
    page.evaluate("window.away = true; document.dispatchEvent(new Event('visibilitychange'))")
    stay(page, loads)
    page.evaluate("window.away = false")
    page.locator("#text").press("Enter")
    expect(page.locator(MESSAGES, has_text="Not finished")).to_have_count(1)
    with page.expect_event("load"):
        wait_idle(page)


def test_a_tab_that_is_read_further_back_is_left_alone_until_it_is_at_the_newest(server: Server, visit: Visit) -> None:
    for number in range(40):
        post(server, f"Message {number}")
    _, page, loads = outdated(visit, server)
    opened(page)
    page.locator("#wall").evaluate("wall => wall.scrollTop = wall.scrollHeight / 2")
    expect(page.locator("#jump")).to_be_visible()

    stay(page, loads)

    page.locator("#jump").click()
    with page.expect_event("load"):
        wait_idle(page)


def test_p7_a_post_that_could_not_be_sent_is_sent_once_after_the_reload(server: Server, visit: Visit) -> None:
    visitor, page, _ = outdated(visit, server)
    opened(page)
    page.route("**/api/comments", lambda route: route.abort() if route.request.method == "POST" else route.continue_())
    write(page, "Sent after the reload")
    expect(page.locator(OUTBOX)).to_contain_text("Not sent yet")

    with page.expect_event("load"):
        wait_idle(page)
    page.unroute("**/api/comments")
    page.clock.run_for(IDLE_MS)

    expect(page.locator(OUTBOX)).to_have_count(0)
    expect(page.locator(MESSAGES, has_text="Sent after the reload")).to_have_count(1)
    assert [text for _, text in on_wall(server)].count("Sent after the reload") == 1
    assert len(set(visitor.keys())) == 1


def test_a_server_that_goes_on_sending_the_old_page_is_asked_once(server: Server, visit: Visit) -> None:
    _, page, loads = outdated(visit, server, deaf=True)
    opened(page)
    with page.expect_event("load"):
        wait_idle(page)

    expect(page.locator("#outdated")).to_be_visible()
    stay(page, loads)


def test_the_version_is_that_of_all_files_of_the_page(server: Server) -> None:
    html = server.http.get("/").text
    assert set(re.findall(r"/page/([0-9a-f]+)/", html)) == {server.http.get("/api/entities").json()["page"]}
