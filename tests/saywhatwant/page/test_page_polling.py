"""Without a socket the page polls: soon after something happened, and less often while nothing does."""

import pytest
from page_browser import (
    MESSAGES,
    PROVISIONAL,
    Visit,
    answer,
    claim,
    expect_same_wall,
    expect_state,
    post,
    post_to,
    queue,
    row,
    shown,
    until_seen,
    wake,
    write,
)
from page_poller import ABOUT_MS, STEP_MS, Poller
from playwright.sync_api import Route, expect

from conftest import StartServer
from servers import Server

pytest_plugins = ["page_fixtures"]

SCHEDULE = [5_000, 7_500, 11_250, 16_875, 25_312, 30_000, 30_000]


def test_polls_without_news_become_rarer_from_every_5_to_every_30_seconds(server: Server, visit: Visit) -> None:
    poller = Poller(visit(server))

    gaps = [poller.gap() for _ in SCHEDULE]

    assert gaps == [pytest.approx(ms, abs=ABOUT_MS) for ms in SCHEDULE]
    assert "Polling every 30 s" in poller.page.locator("#connection").inner_text()


def test_news_and_an_own_post_bring_the_polling_back_to_5_seconds(server: Server, visit: Visit) -> None:
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
        post_to(server, "eliza", f"Message {number}")
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


def test_p5_a_poll_continues_where_the_last_one_ended_after_any_number_of_posts(server: Server, visit: Visit) -> None:
    poller = Poller(visit(server))
    for number in range(120):
        post(server, f"Message {number}")
    answer(server, post_to(server, "zen"), "Here.")

    poller.gap()

    expect_same_wall(poller.page, server, at_least=122)


def test_p5_a_page_that_missed_much_reads_it_page_by_page_without_a_pause(server: Server, visit: Visit) -> None:
    poller = Poller(visit(server))
    before = len(poller.polls)
    for number in range(250):
        post(server, f"Message {number}")

    poller.until_poll(before + 2)

    assert poller.polls[before + 1] - poller.polls[before] < STEP_MS
    expect_same_wall(poller.page, server, at_least=250)


def test_p5_a_page_that_gets_no_etags_misses_nothing_and_makes_pauses(server: Server, visit: Visit) -> None:
    poller = Poller(visit(server))

    def without_etag(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, headers={name: value for name, value in answer.headers.items() if name != "etag"})

    poller.page.route("**/api/comments?changedAfter*", without_etag)
    for number in range(250):
        post(server, f"Message {number}")

    poller.until_poll(len(poller.polls) + 2)

    expect_same_wall(poller.page, server, at_least=250)
    assert poller.gap() > STEP_MS


def test_a_page_that_gets_a_socket_again_polls_no_more(server: Server, visit: Visit) -> None:
    poller = Poller(visit(server))
    poller.gap()

    poller.go_live()
    polls = poller.polls
    poller.pass_time(20_000)
    assert poller.polls == polls
    post(server, "By socket")
    poller.pass_time(STEP_MS)
    expect(poller.page.locator(MESSAGES).last).to_contain_text("By socket")


def test_p5_a_socket_that_is_silent_for_a_minute_is_given_up(server: Server, visit: Visit) -> None:
    poller = Poller(visit(server))
    poller.go_live()
    opened = poller.sockets.opened

    poller.sockets.mute()
    before = shown(poller.page)
    post(server, "Lost on the way")
    poller.pass_time(30_000)
    expect_state(poller.page, "live")
    assert shown(poller.page) == before
    poller.pass_time(45_000)

    expect_state(poller.page, "live")
    expect_same_wall(poller.page, server)
    assert poller.sockets.opened > opened


def until_answered(poller: Poller, pings: int) -> None:
    until_seen(poller.page, lambda: poller.sockets.answers >= pings, "the answer to a ping")


def test_a_socket_of_a_server_without_heartbeats_stays_open_as_long_as_it_answers(server: Server, visit: Visit) -> None:
    """The page's clock runs so fast that no heartbeat comes in between."""
    poller = Poller(visit(server))
    poller.go_live()
    opened = poller.sockets.opened

    for expected in range(1, 6):
        poller.pass_time(41_000)
        until_answered(poller, expected)
    poller.pass_time(35_000)
    wake(poller.page)
    poller.pass_time(2_000)

    expect_state(poller.page, "live")
    assert poller.sockets.opened == opened


def test_p5_a_page_that_was_cut_for_being_slow_comes_back_at_once(server: Server, visit: Visit) -> None:
    poller = Poller(visit(server))
    poller.go_live()
    polls = poller.polls
    poller.sockets.mute()
    for number in range(3):
        post(server, f"Too fast {number}")

    poller.sockets.close(4_008)

    expect_same_wall(poller.page, server)
    expect_state(poller.page, "live")
    assert poller.polls == polls


def test_p5_a_socket_lost_between_two_pages_is_opened_again_behind_the_last_one(server: Server, visit: Visit) -> None:
    poller = Poller(visit(server))
    poller.go_live()
    poller.sockets.mute()
    post(server, "On the first page")
    page_end = server.http.get("/api/stats").json()["seq"]

    poller.sockets.send({"seq": page_end, "events": [], "more": True})
    poller.sockets.close(1_011)

    poller.until_state("live")
    assert int(poller.sockets.token) == page_end


def test_a_change_of_network_renews_the_socket(server: Server, visit: Visit) -> None:
    page = visit(server).open()

    with page.expect_websocket() as renewed:
        page.evaluate("dispatchEvent(new Event('online'))")

    assert int(renewed.value.url.rpartition("since=")[2]) >= 0
    expect_state(page, "live")
    latest = post(server, "On the new one")
    expect(row(page, latest)).to_be_attached()


def test_a_socket_that_is_lost_again_at_once_is_opened_only_after_a_pause(server: Server, visit: Visit) -> None:
    poller = Poller(visit(server))
    poller.go_live()
    opened = poller.sockets.opened

    poller.sockets.close(1_011)
    expect_state(poller.page, "live")
    assert poller.sockets.opened == opened + 1
    poller.sockets.close(1_011)
    expect_state(poller.page, "connecting")

    assert poller.sockets.opened == opened + 1
    poller.until_state("live")
    assert poller.sockets.opened == opened + 2
