"""Writing a message, and the answer to it."""

import pytest
from page_browser import MESSAGES, OUTBOX, Visit, expect_same_wall, expect_state, on_wall, row, shown, write
from playwright.sync_api import expect

from conftest import StartServer
from servers import Server

pytest_plugins = ["page_fixtures"]


def test_p4_a_post_is_shown_with_its_one_answer_below_it(start_server: StartServer, visit: Visit) -> None:
    server = start_server(command="up")
    page = visit(server).open()
    page.locator("#name").fill("Ada")
    page.locator("#entity").select_option("zen")

    write(page, "Why is space black?")

    answer = page.locator("article[data-kind=AI]")
    expect(answer).to_have_count(1)
    expect(answer.locator("header > .name")).to_have_text("Zen")
    question, reply = server.http.get("/api/comments?order=asc").json()
    mine = row(page, question["id"])
    expect(mine.locator("header > .name")).to_have_text("Ada")
    expect(mine.locator(".to")).to_have_text("to Zen")
    expect(mine.locator(".note")).to_be_hidden()
    expect(mine).to_have_attribute("data-status", "complete")
    expect(answer).to_have_attribute("data-id", reply["id"])
    assert reply["replyTo"] == question["id"]
    assert shown(page) == [[question["id"], "Why is space black?"], [reply["id"], reply["text"]]]

    answer.get_by_role("button", name="to Ada").click()
    expect(mine).to_be_focused()


def test_a_reload_keeps_the_wall_and_what_was_in_the_form(start_server: StartServer, visit: Visit) -> None:
    server = start_server(command="up")
    page = visit(server).open()
    page.locator("#name").fill("Ada")
    page.locator("#color").fill("#336699")
    page.locator("#entity").select_option("iesha")
    write(page, "Who are you?")
    expect(page.locator("article[data-kind=AI]")).to_have_count(1)
    page.locator("#text").fill("Not yet finished,\nthis")

    page.reload()

    expect_state(page, "live")
    expect_same_wall(page, server)
    expect(page.locator("#name")).to_have_value("Ada")
    expect(page.locator("#color")).to_have_value("#336699")
    expect(page.locator("#entity")).to_have_value("iesha")
    expect(page.locator("#text")).to_have_value("Not yet finished,\nthis")
    assert server.http.get("/api/comments?order=asc").json()[0]["color"] == "051102153"


def test_enter_posts_and_shift_with_enter_breaks_the_line(server: Server, visit: Visit) -> None:
    page = visit(server).open()
    text = page.locator("#text")
    text.focus()
    page.keyboard.type("One")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("Two")
    expect(page.locator("article").get_by_text("One")).to_have_count(0)

    page.keyboard.press("Enter")

    expect(text).to_have_value("")
    expect(text).to_be_focused()
    expect(page.locator(MESSAGES).last.locator(".text")).to_have_text("One\nTwo")
    assert on_wall(server)[-1][1] == "One\nTwo"


def test_only_white_space_is_not_posted(server: Server, visit: Visit) -> None:
    visitor = visit(server)
    page = visitor.open()

    write(page, " \n\t ")
    page.locator("#post").click()
    write(page, "  Something.  ")

    expect(page.locator(MESSAGES).last.locator(".text")).to_have_text("Something.")
    assert len(visitor.keys()) == 1


def test_the_button_posts_like_the_key(server: Server, visit: Visit) -> None:
    page = visit(server).open()
    page.locator("#text").fill("By mouse")

    page.locator("#post").click()

    expect(page.locator(MESSAGES).last.locator(".text")).to_have_text("By mouse")
    expect(page.locator(OUTBOX)).to_have_count(0)
    expect(page.locator("#text")).to_be_focused()


def test_enter_in_the_name_moves_to_the_text_and_posts_nothing(server: Server, visit: Visit) -> None:
    visitor = visit(server)
    page = visitor.open()
    page.locator("#text").fill("A draft")
    page.locator("#name").fill("")

    page.locator("#name").press("Enter")

    expect(page.locator("#text")).to_be_focused()
    expect(page.locator("#text")).to_have_value("A draft")
    expect(page.locator("#name")).to_have_value("Human")
    assert visitor.keys() == []


@pytest.mark.parametrize("method", ["getItem", "setItem"])
def test_a_browser_that_forbids_storage_shows_and_posts_all_the_same(method: str, server: Server, visit: Visit) -> None:
    visitor = visit(server)
    visitor.context.add_init_script(f"Storage.prototype.{method} = () => {{ throw new DOMException('no', 'SecurityError'); }};")
    page = visitor.open()

    write(page, f"Without {method}")

    expect(page.locator(MESSAGES).last).to_contain_text(f"Without {method}")
    expect(page.locator(OUTBOX)).to_have_count(0)
