"""What a visitor sees of the operators' rules, and how a message is reported."""

from uuid import uuid4

import pytest
from page_browser import (
    MESSAGES,
    OUTBOX,
    REFUSED,
    Json,
    Visit,
    expect_state,
    newest,
    on_wall,
    post,
    row,
    wake,
    write,
)
from playwright.sync_api import Page, expect

from conftest import StartServer
from servers import Server, until

pytest_plugins = ["page_fixtures"]

HELD = f"{OUTBOX}[data-status=held]"
REFUSED_POST = f"{OUTBOX}[data-status=refused]"
QUEUED = f"{OUTBOX}[data-status=queued]"


def moderate(server: Server, call: str, **body: object) -> Json:
    answer: Json = server.http.post(f"/api/moderation/{call}", json=body).raise_for_status().json()
    return answer


def in_review(server: Server, text: str) -> str:
    """The id of the post with this text, once the review has it."""
    found: list[str] = []

    def is_there() -> bool:
        review = server.http.get("/api/moderation").raise_for_status().json()["review"]
        found[:] = [waits["id"] for waits in review if waits["text"] == text]
        return bool(found)

    until(is_there, "the post in the review")
    return found[0]


def hold(page: Page, server: Server) -> str:
    """Post what has to wait for review; returns its text."""
    word = f"w{uuid4().hex}"
    moderate(server, "filter", phrase=word, action="hold")
    text = f"What is {word}?"
    write(page, text)
    expect(page.locator(HELD, has_text=text).locator(".note")).to_contain_text(
        "Waits for review: it appears when an operator approves it"
    )
    return text


def test_p7_a_held_post_is_shown_as_that_until_its_message_comes(server: Server, visit: Visit) -> None:
    since = newest(server)
    visitor = visit(server)
    page = visitor.open()

    text = hold(page, server)

    expect(page.locator("#announcer")).to_contain_text("Your message waits for review")
    page.reload()
    expect_state(page, "live")
    expect(page.locator(HELD)).to_contain_text(text)
    write(page, "Another one")
    expect(page.locator(MESSAGES, has_text="Another one")).to_have_count(1)
    assert [on_page for _, on_page in on_wall(server, since)] == ["Another one"]

    moderate(server, "approve", messageId=in_review(server, text))

    expect(page.locator(MESSAGES, has_text=text)).to_have_count(1)
    expect(page.locator(OUTBOX)).to_have_count(0)
    page.reload()
    expect_state(page, "live")
    expect(page.locator(MESSAGES, has_text=text)).to_have_count(1)
    expect(page.locator(OUTBOX)).to_have_count(0)
    assert visitor.texts() == [text, "Another one"]


def test_a_held_post_can_be_put_away(server: Server, visit: Visit) -> None:
    page = visit(server).open()
    text = hold(page, server)
    held = page.locator(HELD, has_text=text)
    expect(held.get_by_role("button", name="Edit")).to_have_count(0)

    held.get_by_role("button", name="Discard").click()

    expect(held).to_have_count(0)
    page.reload()
    expect_state(page, "live")
    expect(page.locator(HELD)).to_have_count(0)


@pytest.mark.parametrize(
    ("call", "rule", "reason"),
    [
        ("filter", {"phrase": "a forbidden word", "action": "refuse"}, "your message must not contain “a forbidden word”"),
        ("ban", {"address": "127.0.0.1", "seconds": 3_600}, "no posts are taken from here until"),
    ],
    ids=["a word", "a ban"],
)
def test_p8_a_refused_post_stays_with_its_reason(
    start_server: StartServer, visit: Visit, call: str, rule: Json, reason: str
) -> None:
    server = start_server()
    visitor = visit(server)
    visitor.expect_errors(*REFUSED)
    page = visitor.open()
    moderate(server, call, **rule)

    write(page, "This is a forbidden word")

    expect(page.locator(REFUSED_POST).locator(".note")).to_contain_text(f"Not posted: {reason}")
    expect(page.locator("#announcer")).to_contain_text("was not posted")
    page.get_by_role("button", name="Edit").click()
    expect(page.locator("#text")).to_have_value("This is a forbidden word")
    assert on_wall(server) == []


def test_p8_in_slow_mode_a_post_says_when_it_is_sent_and_is_sent_then(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    visitor = visit(server)
    visitor.expect_errors(*REFUSED)
    page = visitor.tab()
    page.clock.install()
    page.goto("/")
    expect_state(page, "live")
    moderate(server, "slow", seconds=3_600)

    write(page, "One")
    write(page, "Two")

    expect(page.locator(QUEUED).locator(".note")).to_contain_text("one post in 3600 s from one address now")
    moderate(server, "slow", seconds=0)
    page.clock.fast_forward("01:00:00")
    wake(page)
    expect(page.locator(OUTBOX)).to_have_count(0)
    assert [text for _, text in on_wall(server)] == ["One", "Two"]


def test_a_message_is_reported_from_its_menu(server: Server, visit: Visit) -> None:
    page = visit(server).open()
    message_id = post(server, "Something rude")
    menu = row(page, message_id).get_by_role("button", name="Copy or report what Somebody wrote")

    menu.click()
    page.get_by_role("button", name="Report", exact=True).click()

    expect(page.locator("#announcer")).to_contain_text("The message is reported to the operators")
    reports = server.http.get("/api/moderation").raise_for_status().json()["reports"]
    assert message_id in {report["messageId"] for report in reports}
    expect(page.locator("#message-menu")).to_be_hidden()


def test_p8_a_report_that_is_refused_says_why(server: Server, visit: Visit) -> None:
    visitor = visit(server)
    visitor.expect_errors(*REFUSED)
    page = visitor.open()
    message_id = post(server, "Something rude")
    problem = {"title": "Too many reports", "detail": "at most 10 reports a minute from one address"}
    page.route("**/api/report", lambda route: route.fulfill(status=429, json=problem), times=1)

    row(page, message_id).get_by_role("button", name="Copy or report what Somebody wrote").click()
    page.locator("#report").click()

    expect(page.locator("#report")).to_have_text("Not reported")
    expect(page.locator("#announcer")).to_contain_text("was not reported: at most 10 reports a minute from one address")
