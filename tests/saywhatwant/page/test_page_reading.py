"""Reading: one conversation only, back to the beginning, and unread messages."""

import re
from typing import Any

import pytest
from page_browser import (
    MESSAGES,
    PROVISIONAL,
    Visit,
    answer,
    claim,
    expect_same_wall,
    expect_state,
    on_wall,
    post,
    post_to,
    row,
    shown,
    until_seen,
    write,
)
from playwright.sync_api import Page, expect

from conftest import StartServer
from servers import Server, until

pytest_plugins = ["page_fixtures"]

MANY = 230
TOP_OF_ROW = "row => row.getBoundingClientRect().top - row.closest('#wall').getBoundingClientRect().top"
TOP_ROW = """wall => {
  const { top } = wall.getBoundingClientRect();
  const row = [...wall.querySelectorAll("article")].find((row) => row.getBoundingClientRect().bottom > top);
  return [row.dataset.id, row.getBoundingClientRect().top - top];
}"""


@pytest.fixture(scope="module")
def long_wall(server: Server) -> Server:
    """A wall that is several pages long."""
    for number in range(MANY):
        post(server, f"Message {number}\n" + "and more of it " * (number % 7))
    return server


def test_a_chip_shows_one_conversation_alone_and_addresses_it(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    page = visit(server).open()
    for_zen, for_rude, for_all = post_to(server, "zen", "To Zen"), post_to(server, "rude", "To Rude"), post(server, "To all")
    from_zen = answer(server, for_zen, "From Zen")
    expect(page.locator(MESSAGES)).to_have_count(4)

    page.get_by_role("radio", name="Zen").check()

    expect(page.locator(MESSAGES)).to_have_count(2)
    assert [message_id for message_id, _ in shown(page)] == [for_zen, from_zen]
    expect(page.locator("#entity")).to_have_value("zen")
    second = post_to(server, "zen", "And to Zen again")
    post_to(server, "rude", "And to Rude again")
    expect(row(page, second)).to_be_attached()
    claim(server, second)
    expect(page.locator(PROVISIONAL)).to_have_count(1)
    assert [text for _, text in shown(page)] == ["To Zen", "From Zen", "And to Zen again"]

    page.get_by_role("radio", name="Everyone").check()
    expect_same_wall(page, server)
    assert {for_rude, for_all} <= {message_id for message_id, _ in shown(page)}


def test_a_post_to_another_entity_shows_everything_again(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    page = visit(server).open()
    post_to(server, "zen", "To Zen")
    page.get_by_role("radio", name="Zen").check()
    page.locator("#entity").select_option("rude")

    write(page, "You there!")

    expect(page.get_by_role("radio", name="Everyone")).to_be_checked()
    expect(page.locator(MESSAGES)).to_have_count(2)
    expect_same_wall(page, server)


def test_an_empty_conversation_names_its_entity(start_server: StartServer, visit: Visit) -> None:
    page = visit(start_server()).open()
    expect(page.locator("#empty")).to_be_visible()

    page.get_by_role("radio", name="Sun Tsu").check()

    expect(page.locator("#empty")).to_contain_text("Sun Tsu")


def test_p5_scrolling_up_loads_all_older_pages_once_and_nothing_jumps(long_wall: Server, visit: Visit) -> None:
    visitor = visit(long_wall)
    page = visitor.open()
    wall = page.locator("#wall")
    expect(page.locator(MESSAGES).nth(49)).to_be_attached()
    assert at_end(page)
    leaps: list[float] = []

    def up() -> str | None:
        wall.evaluate("wall => wall.scrollBy(0, -500)")
        top, before = wall.evaluate(TOP_ROW)
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        after = row(page, top).evaluate(TOP_OF_ROW)
        leaps.append(abs(after - before))
        return page.locator("#older").text_content()

    until(lambda: up() == "The wall begins here" and wall.evaluate("wall => wall.scrollTop") == 0, "the beginning")

    assert max(leaps) <= 1
    expect_same_wall(page, long_wall)
    assert len(shown(page)) == len(on_wall(long_wall)) >= MANY


def test_news_do_not_move_the_readers_place_and_a_button_leads_to_them(long_wall: Server, visit: Visit) -> None:
    page = visit(long_wall).open()
    wall = page.locator("#wall")
    expect(page.locator(MESSAGES).nth(49)).to_be_attached()
    jump = page.locator("#jump")
    expect(jump).to_be_hidden()
    wall.evaluate("wall => wall.scrollTop = wall.scrollHeight / 2")
    expect(jump).to_have_text("Newest")
    before = wall.evaluate(TOP_ROW)

    first, last = post(long_wall, "First news"), post(long_wall, "Second news")

    expect(jump).to_have_text("2 new")
    expect(row(page, last)).to_be_attached()
    assert wall.evaluate(TOP_ROW) == before
    expect(page.locator(".line.unread + article")).to_have_attribute("data-id", first)

    jump.click()
    expect(row(page, last)).to_be_in_viewport()
    expect(jump).to_be_hidden()
    assert at_end(page)


def test_a_reader_of_the_newest_message_stays_with_the_newest(long_wall: Server, visit: Visit) -> None:
    page = visit(long_wall).open()
    expect(page.locator(MESSAGES).nth(49)).to_be_attached()

    for number in range(3):
        latest = post(long_wall, f"Tall {number}\n" + "line\n" * 10)
        expect(row(page, latest).locator(".text")).to_be_in_viewport()
        until(lambda: at_end(page), "the end")

    expect(page.locator("#jump")).to_be_hidden()
    assert page.locator(".line.unread").count() == 0


def test_an_own_post_scrolls_to_the_newest(long_wall: Server, visit: Visit) -> None:
    page = visit(long_wall).open()
    expect(page.locator(MESSAGES).nth(49)).to_be_attached()
    page.locator("#wall").evaluate("wall => wall.scrollTop = 0")
    expect(page.locator("#jump")).to_be_visible()

    write(page, "Back down here")

    expect(page.locator(MESSAGES).last).to_contain_text("Back down here")
    expect(page.locator(MESSAGES).last).to_be_in_viewport()
    expect(page.locator("#jump")).to_be_hidden()


def test_a_hidden_tab_counts_new_messages_in_its_title(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    page = visit(server).open()
    page.evaluate("Object.defineProperty(document, 'hidden', { get: () => window.away, configurable: true })")
    turn(page, away=True)

    post(server, "One")
    second = post(server, "Two")

    expect(page).to_have_title("(2) Say What Want")
    turn(page, away=False)
    expect(page).to_have_title("Say What Want")
    expect(row(page, second)).to_be_in_viewport()
    expect(page.locator("#jump")).to_be_hidden()


NOTE_ROWS = """() => {
    window.ever = new Set();
    window.most = 0;
    const note = () => {
        const rows = document.querySelectorAll("#rows article.message");
        rows.forEach((row) => window.ever.add(row.dataset.id));
        window.most = Math.max(window.most, rows.length);
    };
    note();
    new MutationObserver(note).observe(document.querySelector("#rows"), { childList: true });
}"""
"""Records every row that was ever in the document, also between two looks of the test."""


def test_p5_a_very_long_wall_is_read_to_its_beginning_with_few_rows(start_server: StartServer, visit: Visit) -> None:
    server = start_server(retention=1_000)
    for number in range(700):
        post(server, f"Message {number}")
    page = visit(server).open()
    wall = page.locator("#wall")
    expect(page.locator(MESSAGES).nth(49)).to_be_attached()
    page.evaluate(NOTE_ROWS)

    def up() -> bool:
        wall.evaluate("wall => wall.scrollBy(0, -5000)")
        return page.locator("#older").text_content() == "The wall begins here" and at_top(page)

    until(up, "the beginning", every=0.03)

    assert set(page.evaluate("[...window.ever]")) == {message_id for message_id, _ in on_wall(server)}
    assert [text for _, text in shown(page)][:2] == ["Message 0", "Message 1"]
    assert page.evaluate("window.most") <= 500
    page.locator("#jump").click()
    expect(page.locator(MESSAGES).last).to_have_text(re.compile("Message 699"))
    expect(page.locator(MESSAGES).last).to_be_in_viewport()


def test_a_line_marks_what_is_new_since_the_last_visit(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    visitor = visit(server)
    post(server, "Seen")
    page = visitor.open()
    expect(page.locator(MESSAGES)).to_have_count(1)
    seen_by(page)
    page.close()
    first = post(server, "Not seen")
    post(server, "Not seen either")

    page = visitor.open()

    expect(page.locator(MESSAGES)).to_have_count(3)
    expect(page.locator(".line.unread")).to_have_count(1)
    expect(page.locator(".line.unread + article")).to_have_attribute("data-id", first)


def test_the_wall_grows_with_the_window_and_stays_at_the_newest(long_wall: Server, visit: Visit) -> None:
    page = visit(long_wall, viewport={"width": 900, "height": 700}).open()
    expect(page.locator(MESSAGES).nth(49)).to_be_attached()

    for size in ((360, 740), (1280, 500), (360, 400)):
        page.set_viewport_size({"width": size[0], "height": size[1]})
        until(lambda: at_end(page), f"the end at {size}")

    page.locator("#text").fill("many\n" * 20)
    until(lambda: at_end(page), "the end above a tall form")


def test_p5_a_quote_of_a_message_far_above_leads_to_it(long_wall: Server, visit: Visit) -> None:
    asked = post_to(long_wall, "zen", "Remember me")
    for number in range(40):
        post(long_wall, f"Between {number}")
    reply = answer(long_wall, asked, "I do")
    page = visit(long_wall).open()
    expect_state(page, "live")
    expect(row(page, reply)).to_be_in_viewport()

    row(page, reply).locator(".quote").click()

    expect(row(page, asked)).to_be_in_viewport()
    expect(row(page, asked)).to_be_focused()


def at_end(page: Page) -> bool:
    """Whether the wall is scrolled to its newest row."""
    below: Any = page.locator("#wall").evaluate("wall => wall.scrollHeight - wall.scrollTop - wall.clientHeight")
    return abs(float(below)) <= 1


def at_top(page: Page) -> bool:
    """Whether the wall is scrolled to its oldest row."""
    above: Any = page.locator("#wall").evaluate("wall => wall.scrollTop")
    return float(above) == 0


def turn(page: Page, *, away: bool) -> None:
    """Look at another tab, or at this one again, as far as the page can tell."""
    page.evaluate("away => { window.away = away; document.dispatchEvent(new Event('visibilitychange')); }", away)


def seen_by(page: Page) -> None:
    """Wait until the page has stored that the newest row was seen."""
    until_seen(page, lambda: page.evaluate("localStorage.getItem('saywhatwant.seen')"), "the note")
