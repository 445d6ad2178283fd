"""Where there can be no socket the page polls: soon after something happened, more and more rarely while nothing does."""

import pytest
from page_browser import (
    MESSAGES,
    PROVISIONAL,
    Visit,
    Visitor,
    answer,
    claim,
    expect_same_wall,
    expect_state,
    post,
    post_to,
    queue,
    row,
    shown,
    write,
)
from playwright.sync_api import Page, Route, WebSocketRoute, expect

from conftest import StartServer
from servers import Server, until

pytest_plugins = ["page_visits"]

SCHEDULE = [5_000, 7_500, 11_250, 16_875, 25_312, 30_000, 30_000]
STEP_MS = 500
ABOUT_MS = STEP_MS + 100
NOTE_POLLS = """() => {
  const ask = window.fetch;
  window.realFrames = [requestAnimationFrame.bind(window), cancelAnimationFrame.bind(window)];
  window.polls = [];
  window.underWay = 0;
  window.fetch = async (url, options = {}) => {
    const isPoll = String(url).startsWith("/api/comments?");
    if (isPoll) window.polls.push(Date.now());
    window.underWay += 1;
    try {
      const answer = await ask(url, options);
      await answer.clone().text();
      return answer;
    } finally {
      window.underWay -= 1;
    }
  };
}"""


class Poller:
    """A page without a socket, in a time of its own that stands still unless it is told to pass."""

    def __init__(self, visitor: Visitor) -> None:
        self.blocked = True
        self.silent = False
        self.sockets = 0
        self.socket: WebSocketRoute
        self.page: Page = visitor.tab()
        self.page.add_init_script(f"({NOTE_POLLS})()")
        self.page.route_web_socket("**/api/ws*", self._on_socket)
        self.page.clock.install()
        self.page.goto("/")
        # To draw is no matter of this clock.
        self.page.evaluate("[window.requestAnimationFrame, window.cancelAnimationFrame] = window.realFrames")
        expect_state(self.page, "polling")
        self.page.clock.pause_at(self.page.evaluate("Date.now()") / 1_000 + 1)
        self._settle()

    @property
    def polls(self) -> list[int]:
        """When it has asked for messages so far, in its own milliseconds."""
        times: list[int] = self.page.evaluate("window.polls")
        return times

    def pass_time(self, ms: int) -> None:
        """Let so much time pass, answers arriving as they would."""
        for _ in range(0, ms, STEP_MS):
            self.page.clock.run_for(STEP_MS)
            self._settle()

    def until_poll(self, number: int) -> None:
        """Let time pass until it has asked so often."""
        for _ in range(60_000 // STEP_MS):
            if len(self.polls) >= number:
                return
            self.pass_time(STEP_MS)
        raise AssertionError(f"no poll {number}, but {self.polls}")

    def until_live(self) -> None:
        """Let time pass until it has a socket."""
        for _ in range(60_000 // STEP_MS):
            if self.page.locator("#connection").get_attribute("data-state") == "live":
                return
            self.pass_time(STEP_MS)
        raise AssertionError("no socket")

    def gap(self) -> int:
        """The milliseconds from the latest poll to the next one."""
        before = self.polls
        self.until_poll(len(before) + 1)
        after = self.polls
        assert len(after) == len(before) + 1
        return after[-1] - before[-1]

    def _settle(self) -> None:
        until(lambda: self.page.evaluate("window.underWay === 0"), "the answers")

    def _on_socket(self, socket: WebSocketRoute) -> None:
        self.sockets += 1
        if self.blocked:
            socket.close(code=1011)
            return
        self.socket = socket
        upstream = socket.connect_to_server()
        upstream.on_message(lambda message: None if self.silent else socket.send(message))


def test_without_a_socket_and_news_the_page_polls_every_5_and_more_and_more_rarely_to_30_seconds(
    server: Server, visit: Visit
) -> None:
    poller = Poller(visit(server))

    gaps = [poller.gap() for _ in SCHEDULE]

    assert gaps == [pytest.approx(ms, abs=ABOUT_MS) for ms in SCHEDULE]
    assert "Polling every 30 s" in poller.page.locator("#connection").inner_text()


def test_news_and_ones_own_post_bring_the_polling_back_to_5_seconds(server: Server, visit: Visit) -> None:
    poller = Poller(visit(server))
    for _ in range(4):
        poller.gap()

    post(server, "Is this thing on?")
    assert poller.gap() == pytest.approx(SCHEDULE[4], abs=ABOUT_MS)
    expect(poller.page.locator(MESSAGES).last).to_contain_text("Is this thing on?")
    assert poller.gap() == pytest.approx(5_000, abs=ABOUT_MS)
    poller.gap()
    poller.gap()

    before = len(poller.polls)
    write(poller.page, "It is.")
    poller.until_poll(before + 1)
    assert poller.polls[-1] - poller.polls[-2] < 5_000
    expect(poller.page.locator(MESSAGES).last).to_contain_text("It is.")
    assert poller.gap() == pytest.approx(5_000, abs=ABOUT_MS)


def test_coming_back_to_the_page_polls_at_once_and_then_every_5_seconds(server: Server, visit: Visit) -> None:
    poller = Poller(visit(server))
    for _ in range(4):
        poller.gap()
    before = poller.polls

    poller.page.evaluate("dispatchEvent(new Event('focus'))")

    poller.until_poll(len(before) + 1)
    assert poller.polls[-1] - before[-1] < 2 * STEP_MS
    assert poller.gap() == pytest.approx(5_000, abs=ABOUT_MS)


def test_p5_polling_shows_new_messages_and_how_unfinished_ones_go_on(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    asked, failed = post_to(server, "zen"), post_to(server, "rude")
    for number in range(60):
        post_to(server, "eliza", f"Talk {number}")
    poller = Poller(visit(server))
    page = poller.page

    attempt = claim(server, asked)
    queue(server, "fail", failed, attempt=claim(server, failed), error="no model", retry=False)
    poller.gap()
    page.locator("#wall").evaluate("wall => wall.scrollTop = 0")
    poller.pass_time(1_000)
    expect(row(page, asked)).to_have_attribute("data-status", "processing")
    expect(page.locator(PROVISIONAL)).to_contain_text("is thinking")
    expect(row(page, failed).locator(".note")).to_contain_text("no model")

    queue(server, "complete", asked, attempt=attempt, reply={"text": "Always.", "username": "Zen"})
    poller.gap()
    expect(row(page, asked)).to_have_attribute("data-status", "complete")
    expect(page.locator(PROVISIONAL)).to_have_count(0)
    expect_same_wall(page, server)


def test_p5_a_page_of_polls_carries_on_where_it_was_however_much_has_come(start_server: StartServer, visit: Visit) -> None:
    server = start_server(retention=1_000)
    poller = Poller(visit(server))
    for number in range(120):
        post(server, f"Message {number}")
    answer(server, post_to(server, "zen"), "Here.")

    poller.gap()

    expect_same_wall(poller.page, server)


def test_p5_a_page_that_missed_very_much_asks_for_it_piece_by_piece_without_a_pause(
    start_server: StartServer, visit: Visit
) -> None:
    server = start_server(retention=1_000)
    poller = Poller(visit(server))
    before = len(poller.polls)
    for number in range(250):
        post(server, f"Message {number}")

    poller.until_poll(before + 2)

    assert poller.polls[before + 1] - poller.polls[before] < STEP_MS
    expect_same_wall(poller.page, server)


def test_p5_a_page_whose_etags_get_lost_on_the_way_misses_nothing_and_makes_pauses(
    start_server: StartServer, visit: Visit
) -> None:
    server = start_server(retention=1_000)
    poller = Poller(visit(server))

    def without_etag(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, headers={name: value for name, value in answer.headers.items() if name != "etag"})

    poller.page.route("**/api/comments?changedAfter*", without_etag)
    for number in range(250):
        post(server, f"Message {number}")

    poller.until_poll(len(poller.polls) + 2)

    expect_same_wall(poller.page, server)
    assert poller.gap() > STEP_MS


def test_when_a_socket_can_be_had_again_the_page_goes_live_and_polls_no_more(server: Server, visit: Visit) -> None:
    poller = Poller(visit(server))
    poller.gap()

    poller.blocked = False
    poller.until_live()
    polls = poller.polls
    poller.pass_time(20_000)
    assert poller.polls == polls
    post(server, "By socket")
    poller.pass_time(STEP_MS)
    expect(poller.page.locator(MESSAGES).last).to_contain_text("By socket")


def test_p5_a_socket_without_a_word_for_a_minute_is_given_up_and_nothing_is_missed(
    start_server: StartServer, visit: Visit
) -> None:
    server = start_server()
    poller = Poller(visit(server))
    poller.blocked = False
    poller.until_live()
    sockets = poller.sockets

    poller.silent = True
    post(server, "Said into the void")
    poller.pass_time(30_000)
    expect_state(poller.page, "live")
    assert shown(poller.page) == []
    poller.silent = False
    poller.pass_time(45_000)

    expect_state(poller.page, "live")
    expect_same_wall(poller.page, server)
    assert poller.sockets > sockets


def test_p5_a_page_that_was_cut_for_being_slow_comes_back_at_once_and_has_missed_nothing(
    start_server: StartServer, visit: Visit
) -> None:
    server = start_server()
    poller = Poller(visit(server))
    poller.blocked = False
    poller.until_live()
    polls = poller.polls
    poller.silent = True
    for number in range(3):
        post(server, f"Too fast {number}")

    poller.silent = False
    poller.socket.close(code=4_008)

    expect_same_wall(poller.page, server)
    expect_state(poller.page, "live")
    assert poller.polls == polls


def test_when_the_network_is_another_one_the_page_renews_its_socket(server: Server, visit: Visit) -> None:
    page = visit(server).open()

    with page.expect_websocket() as renewed:
        page.evaluate("dispatchEvent(new Event('online'))")

    assert int(renewed.value.url.rpartition("since=")[2]) >= 0
    expect_state(page, "live")
    latest = post(server, "On the new one")
    expect(row(page, latest)).to_be_attached()
