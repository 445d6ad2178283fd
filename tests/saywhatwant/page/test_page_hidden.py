"""A message that operators hide is hidden on every open page at once, wherever a page shows or keeps it."""

import pytest
from page_browser import MESSAGES, Modules, Visit, answer, claim, post_to, queue, row
from page_poller import Poller
from playwright.sync_api import Page, expect

from conftest import StartServer
from servers import Server

pytest_plugins = ["page_fixtures"]

TEXT = "A sentence that nobody may read."
HIDDEN = "An operator has hidden this message"
ERASED = "An operator has erased this message"


def moderate(server: Server, call: str, message_id: str) -> None:
    server.http.post(f"/api/moderation/{call}", json={"messageId": message_id}).raise_for_status()


def conversation(server: Server, message_id: str) -> str:
    found = [one for one in server.http.get("/api/comments").json() if one["id"] == message_id]
    return str(found[0]["conversation"])


def expect_hidden(page: Page, message_id: str, words: str = HIDDEN) -> None:
    """Its row has these words, and the document has the text nowhere."""
    expect(row(page, message_id).locator(".note")).to_have_text(words)
    expect(row(page, message_id).locator(".text")).to_have_text("")
    assert TEXT not in page.content()


def test_a_hidden_message_is_hidden_on_every_open_page_and_shown_again_without_a_reload(
    start_server: StartServer, visit: Visit
) -> None:
    server = start_server()
    asked = post_to(server, "zen", TEXT)
    replied = answer(server, asked, "Because.")
    here, there = visit(server).open(), visit(server).open()
    talk = visit(server).tab()
    talk.goto(f"/#talk={conversation(server, asked)}")
    pages = (here, there, talk)
    for page in pages:
        expect(row(page, asked).locator(".text")).to_have_text(TEXT)
        expect(row(page, replied).locator(".quote")).to_contain_text(TEXT)

    moderate(server, "hide", asked)
    for page in pages:
        expect_hidden(page, asked)
        expect(row(page, replied).locator(".text")).to_have_text("Because.")

    moderate(server, "restore", asked)
    for page in pages:
        expect(row(page, asked).locator(".text")).to_have_text(TEXT)
        expect(row(page, asked).locator(".note")).to_be_hidden()

    moderate(server, "erase", asked)
    for page in pages:
        expect_hidden(page, asked, ERASED)


def test_a_page_that_polls_shows_it_with_the_next_poll(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    asked = post_to(server, "zen", TEXT)
    poller = Poller(visit(server))
    expect(row(poller.page, asked).locator(".text")).to_have_text(TEXT)

    moderate(server, "hide", asked)
    poller.gap()

    expect_hidden(poller.page, asked)


def test_a_page_that_is_opened_later_never_gets_the_text(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    asked = post_to(server, "zen", TEXT)
    moderate(server, "hide", asked)
    page = visit(server).open()
    expect_hidden(page, asked)
    expect(page.locator("#announcer")).not_to_contain_text("Somebody says")


def test_a_search_finds_no_hidden_message(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    asked, other = post_to(server, "zen", TEXT), post_to(server, "zen", "Another sentence.")
    page = visit(server).tab()
    page.goto("/#word=sentence")
    expect(page.locator(MESSAGES)).to_have_count(2)

    moderate(server, "hide", asked)

    expect(page.locator(MESSAGES)).to_have_count(1)
    expect(row(page, other)).to_have_count(1)


def test_what_is_saved_says_that_a_message_is_hidden(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    asked = post_to(server, "zen", TEXT)
    page = visit(server, permissions=["clipboard-read", "clipboard-write"]).open()
    expect(row(page, asked).locator(".text")).to_have_text(TEXT)
    moderate(server, "hide", asked)
    expect_hidden(page, asked)
    page.locator("#more > summary").click()
    for form in ("Text", "Markdown"):
        page.locator("#format").select_option(label=form)
        page.get_by_role("button", name="Copy", exact=True).click()
        expect(page.locator("#saved")).to_have_text("Copied 1 message.")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert f"({HIDDEN})" in copied.replace("\\", "")
        assert "no answer" not in copied, "why it has none is no longer told"


def test_words_that_were_just_announced_are_taken_back(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    page = visit(server).open()
    asked = post_to(server, "zen", TEXT)
    expect(page.locator("#announcer")).to_contain_text(TEXT)

    moderate(server, "hide", asked)

    expect_hidden(page, asked)
    expect(page.locator("#announcer")).not_to_contain_text(TEXT)


def test_the_author_is_told_that_a_message_of_theirs_is_hidden(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    page = visit(server).open()
    page.locator("#text").fill(TEXT)
    page.locator("#text").press("Enter")
    expect(page.locator(MESSAGES)).to_have_count(1)
    (asked,) = [one["id"] for one in server.http.get("/api/comments").json()]

    moderate(server, "hide", asked)

    expect_hidden(page, asked)
    expect(page.locator("#announcer")).to_contain_text("An operator has hidden your message")


def test_a_reply_that_is_being_written_vanishes_with_its_question(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    asked = post_to(server, "zen", TEXT)
    attempt = claim(server, asked)
    page = visit(server).open()
    queue(server, "progress", asked, attempt=attempt, text="It begins like this")
    expect(page.locator("article[data-kind=provisional]")).to_contain_text("It begins")

    moderate(server, "hide", asked)

    expect(page.locator("article[data-kind=provisional]")).to_have_count(0)
    expect_hidden(page, asked)


@pytest.mark.parametrize("known", [True, False])
def test_what_comes_hidden_is_no_news(modules: Modules, known: bool) -> None:  # noqa: FBT001 - a parameter
    """Also when one frame brings a message and then hides it."""
    script = """({ Feed }, known) => {
      const feed = new Feed();
      const message = (seq, more) => ({ type: "message", message: { id: "abcd", timestamp: 1, text: "", username: "Ann",
        color: "169080199", messageType: "human", replyTo: null, seq,
        botParams: { status: "complete", attempt: 0 }, ...more } });
      if (known) feed.apply([message(1, { text: "Rude" })]);
      const changes = feed.apply([message(2, { text: "Ruder" }), message(3, { hidden: true })]);
      return [changes.fresh.length, changes.hidden.length, feed.get("abcd").text];
    }"""
    assert modules.run("feed.js", script, known) == [0, 1, ""]
