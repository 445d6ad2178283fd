"""Many tabs, while the server is killed: in the end all show the same list."""

from threading import Event, Thread

import httpx
from page_browser import (
    LOST_NETWORK,
    MESSAGES,
    OUTBOX,
    Visit,
    expect_same_wall,
    expect_state,
    on_wall,
    post,
    wake,
    write,
)
from playwright.sync_api import expect

from conftest import StartServer
from servers import until

pytest_plugins = ["page_fixtures"]

TABS = 10


def test_p5_two_visitors_that_talk_and_are_answered_see_the_same(start_server: StartServer, visit: Visit) -> None:
    server = start_server(command="up")
    pages = [visit(server).open(), visit(server).open()]

    for turn in range(4):
        write(pages[turn % 2], f"Turn {turn}")

    for page in pages:
        expect(page.locator(MESSAGES)).to_have_count(8)
        expect(page.locator(f"{MESSAGES}[data-status=complete]")).to_have_count(8)
        expect(page.locator(OUTBOX)).to_have_count(0)
        expect_same_wall(page, server)


def test_p5_many_tabs_that_post_all_end_with_the_list_of_the_server(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    visitors = [visit(server), visit(server)]
    tabs = [visitors[number % len(visitors)].tab() for number in range(TABS)]
    for tab in tabs:
        tab.goto("/", wait_until="commit")
    for tab in tabs:
        expect_state(tab, "live")

    for number, tab in enumerate(tabs):
        write(tab, f"From tab {number}")

    for tab in tabs:
        expect(tab.locator(MESSAGES)).to_have_count(TABS)
        expect(tab.locator(OUTBOX)).to_have_count(0)
        expect_same_wall(tab, server)
    assert sorted(text for _, text in on_wall(server)) == sorted(f"From tab {number}" for number in range(TABS))


def test_p5_a_page_misses_nothing_while_the_server_is_killed_twice(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    visitor = visit(server)
    visitor.expect_errors(*LOST_NETWORK)
    page = visitor.open()
    others = Others(server.url)

    with others:
        for seen in (10, 20):
            expect(page.locator(MESSAGES).nth(seen)).to_be_attached()
            server.restart()
        expect_state(page, "live")
        expect(page.locator(MESSAGES).nth(30)).to_be_attached()

    expect_same_wall(page, server)
    assert [text for _, text in on_wall(server)] == others.taken


def test_p5_a_page_that_missed_more_than_a_page_reads_all_of_it(start_server: StartServer, visit: Visit) -> None:
    server = start_server(retention=1_000)
    visitor = visit(server)
    visitor.expect_errors(*LOST_NETWORK)
    page = visitor.open()
    post(server, "Before")
    expect(page.locator(MESSAGES)).to_have_count(1)
    server.kill()
    expect_state(page, "offline")

    server.start()
    for number in range(150):
        post(server, f"Message {number}")
    wake(page)

    expect_state(page, "live")
    expect_same_wall(page, server)
    assert len(on_wall(server)) == 151


def test_the_button_try_now_connects_at_once(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    visitor = visit(server)
    visitor.expect_errors(*LOST_NETWORK)
    page = visitor.tab()
    page.clock.install()
    page.goto("/")
    expect_state(page, "live")
    server.kill()
    expect_state(page, "offline")
    page.clock.pause_at(page.evaluate("Date.now()") / 1_000 + 1)
    expect_state(page, "offline")

    server.start()
    page.get_by_role("button", name="Try now").click()

    expect_state(page, "live")
    expect(page.locator("#retry")).to_be_hidden()


class Others:
    """A client that posts over HTTP, again and again, and repeats a post without an answer under its key."""

    def __init__(self, url: str) -> None:
        self.taken: list[str] = []
        """The texts that the server has taken, in order."""
        self._url = url
        self._stopped = Event()
        self._thread = Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, trust_env=False) as http:
            while not self._stopped.is_set():
                text = f"Number {len(self.taken)}"
                self._post(http, text)
                self.taken.append(text)
                self._stopped.wait(0.02)

    def _post(self, http: httpx.Client, text: str) -> None:
        body = {"text": text, "username": "Somebody else", "color": "169080199"}

        def taken() -> bool:
            try:
                http.post("/api/comments", json=body, headers={"Idempotency-Key": text}).raise_for_status()
            except httpx.TransportError:
                return False
            return True

        until(taken, "an answer to a post", every=0.02)
