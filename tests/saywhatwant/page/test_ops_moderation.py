"""Moderation on the operators' page: reviews, reports, rules, the audit log, and the texts of single messages."""

import re

import pytest
from page_browser import Visit, answer, post, post_to
from playwright.sync_api import Locator, Page, expect
from test_ops_page import _violations, guarded_calls, notice, open_ops, token

from conftest import StartServer
from servers import Server

pytest_plugins = ["page_fixtures"]

EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>"


def moderate(server: Server, call: str, **body: object) -> None:
    server.http.post(f"/api/moderation/{call}", json=body).raise_for_status()


def report(server: Server, message_id: str, reason: str = "rude") -> None:
    server.http.post("/api/report", json={"messageId": message_id, "reason": reason}).raise_for_status()


def operator(server: Server) -> str:
    """An operator's token, with which the helpers call from now on."""
    given = token(server, "alice")
    guarded_calls(server, given)
    return given


def tab(page: Page, name: str) -> Locator:
    return page.get_by_role("tab", name=name)


def texts(server: Server) -> list[str]:
    return [message["text"] for message in server.http.get("/api/comments").raise_for_status().json()]


def test_a_held_post_is_shown_by_itself_and_approved_or_rejected(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    given = operator(server)
    moderate(server, "filter", phrase="casino", action="hold")
    page = open_ops(visit, server, given)
    expect(page.locator("#held-hint")).to_have_text("No post waits for review.")
    post(server, "A casino for you", username="Ann")
    post(server, "Another casino", username="Bob")
    expect(page.locator("#held li")).to_have_count(2)  # without a reload
    tab(page, "Rules").click()
    notice(page, "2 posts wait for review").get_by_role("button").click()
    expect(tab(page, "Waiting for review")).to_be_focused()
    expect(tab(page, "Waiting for review")).to_contain_text("2")
    of_ann = page.locator("#held li").filter(has_text="Ann")
    expect(of_ann).to_contain_text("held for “casino”")
    of_ann.get_by_role("button", name="Approve").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#held li")).to_have_count(1)
    expect(page.locator("#review")).to_be_focused()
    assert texts(server) == ["A casino for you"]
    of_bob = page.locator("#held li").filter(has_text="Bob")
    of_bob.get_by_role("button", name="Reject").click()
    of_bob.get_by_role("button", name="Really reject it?").click()
    expect(page.locator("#held li")).to_have_count(0)
    assert texts(server) == ["A casino for you"]


def test_a_report_leads_to_the_message_which_is_hidden_or_left_as_it_is(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    given = operator(server)
    rude, harmless = post(server, "A rude word"), post(server, "A kind word")
    report(server, rude, "it is rude")
    report(server, harmless)
    page = open_ops(visit, server, given)
    notice(page, "Visitors have reported 2 messages").get_by_role("button").click()
    first = page.locator("#reported li[data-key]").filter(has_text=rude)
    expect(first).to_contain_text("reported by 1 visitor")
    expect(first.locator(".reasons")).to_have_text("it is rude")
    first.get_by_role("button", name=f"All about {rude}").click()
    expect(page.get_by_role("dialog").locator(".words")).to_have_text("A rude word")
    page.keyboard.press("Escape")
    first.get_by_role("button", name="Hide").click()
    first.get_by_role("button", name="Really hide it from everybody?").click()
    expect(first).to_have_count(0)  # hiding ends the reports
    page.locator("#reported li[data-key]").filter(has_text=harmless).get_by_role("button", name="Dismiss").click()
    expect(page.locator("#reported-hint")).to_have_text("Nobody has reported a message.")
    assert sorted(texts(server)) == ["", "A kind word"]


def test_people_and_addresses_are_banned_with_an_end_and_the_ban_lifted(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    given = operator(server)
    moderate(server, "filter", phrase="casino", action="hold")
    post(server, "A casino", username="Mallory", color="010020030")
    page = open_ops(visit, server, given)
    page.get_by_role("button", name="Ban its author").click()
    person = page.get_by_role("form", name="Ban a person")
    expect(person.get_by_role("combobox")).to_be_focused()
    person.get_by_role("combobox").select_option("a week")
    person.get_by_label("Reason").fill("insults")
    person.get_by_role("button", name="Ban this person").click()
    ban = page.locator("#bans li")
    expect(ban).to_contain_text("Mallory 010020030")
    expect(ban).to_contain_text("by alice: insults")
    addresses = page.get_by_role("form", name="Ban addresses")
    addresses.get_by_label("Address or prefix").fill("somewhere")
    addresses.get_by_role("button", name="Ban these addresses").click()
    expect(addresses.get_by_role("status")).to_contain_text("That did not work: address")
    expect(addresses.get_by_label("Address or prefix")).to_have_value("somewhere")
    addresses.get_by_label("Address or prefix").fill("198.51.100.0/24")
    addresses.get_by_role("button", name="Ban these addresses").click()
    expect(ban).to_have_count(2)
    expect(addresses.get_by_role("status")).to_have_text("")
    ban.filter(has_text="Mallory").get_by_role("button", name="Lift").click()
    ban.filter(has_text="Mallory").get_by_role("button", name="Really lift it?").click()
    expect(ban).to_have_count(1)
    (left,) = server.http.get("/api/moderation").json()["bans"]
    assert left["address"] == "198.51.100.0/24"


def test_filters_and_slow_mode_are_set_and_the_log_says_who_did_it(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    page = open_ops(visit, server, operator(server))
    tab(page, "Rules").click()
    form = page.get_by_role("form", name="Filter a word or phrase")
    for phrase, action in (("my casino", "held for review"), ("an ugly word", "refused")):
        form.get_by_label("Word or phrase").fill(phrase)
        form.get_by_label("Posts with it are").select_option(action)
        form.get_by_role("button", name="Filter it").click()
        expect(page.locator("#filters li").filter(has_text=phrase)).to_be_visible()
    page.locator("#filters li").filter(has_text="my casino").get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Really remove it?").click()
    expect(page.locator("#filters li")).to_have_count(1)
    expect(page.locator("#filters li")).to_contain_text("Refused, by alice")
    slow = page.get_by_role("form", name="Slow mode")
    slow.get_by_label("Seconds between").fill("30")
    slow.get_by_role("button", name="Set").click()
    expect(page.locator("#slow-now")).to_have_text("One post in 30 seconds from one address.")
    expect(slow.get_by_label("Seconds between")).to_have_value("30")
    tab(page, "Audit log").click()
    expect(page.locator("#entries li")).to_have_text([re.compile("alice slow"), *[re.compile("alice (un)?filter")] * 3])


def test_the_audit_log_is_read_page_by_page_and_grows_by_itself(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    given = operator(server)
    for number in range(60):
        moderate(server, "slow", seconds=number, reason=f"no {number}")
    page = open_ops(visit, server, given)
    tab(page, "Audit log").click()
    entries = page.locator("#entries li")
    expect(entries).to_have_count(50)
    page.get_by_role("button", name="Older entries").click()
    expect(entries).to_have_count(60)
    expect(page.get_by_role("button", name="Older entries")).to_be_hidden()
    moderate(server, "slow", seconds=0, reason="the last")
    expect(entries.first).to_contain_text("the last")
    expect(entries).to_have_count(61)
    expect(entries.last).to_contain_text("no 0")


def test_a_text_is_erased_after_a_question_that_says_that_it_cannot_be_undone(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    message_id = post_to(server, "zen", "A secret address")
    answer(server, message_id, "Noted.")
    given = operator(server)
    page = open_ops(visit, server, given)
    page.get_by_label("One message, by its id").fill(message_id)
    page.get_by_role("button", name="Show").click()
    asked = page.get_by_role("dialog").locator("blockquote").first
    asked.get_by_label("Reason, for the audit log").fill("a legal request")
    asked.get_by_label(re.compile("the author.s name too")).check()
    asked.get_by_role("button", name="Erase for good").click()
    assert "A secret address" in texts(server), "it asks first"
    asked.get_by_role("button", name="Really erase it? That cannot be undone").click()
    expect(asked.locator(".words")).to_have_text("(erased for good)")
    expect(asked.get_by_role("button")).to_have_count(0)
    found = {message["id"]: message for message in server.http.get("/api/comments").json()}
    assert (found[message_id]["text"], found[message_id]["username"], found[message_id]["erased"]) == ("", "hidden", True)
    (entry, *_) = server.http.get("/api/moderation/audit").json()["entries"]
    assert (entry["action"], entry["by"], entry["reason"]) == ("erase", "alice", "a legal request")


def test_a_refusal_is_shown_where_it_was_asked_for_and_stays(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    given = operator(server)
    message_id = post(server, "A word")
    report(server, message_id)
    page = open_ops(visit, server, given)
    tab(page, "Reports").click()
    expect(page.locator("#reported li[data-key]")).to_have_count(1)
    refusal = {"type": "about:blank", "title": "No", "status": 409, "detail": "it was dismissed already"}
    page.route("**/api/moderation/dismiss", lambda route: route.fulfill(status=409, json=refusal))
    page.get_by_role("button", name="Dismiss").click()
    expect(page.locator("#reported li[data-key]").get_by_role("status")).to_have_text(
        "That did not work: it was dismissed already."
    )


def test_without_a_token_there_are_no_forms_and_no_buttons_that_change_anything(
    start_server: StartServer, visit: Visit
) -> None:
    server = start_server()
    moderate(server, "filter", phrase="casino", action="hold")
    moderate(server, "ban", address="198.51.100.0/24", seconds=3_600)
    post(server, "A casino")
    report(server, post(server, "A word"))
    page = open_ops(visit, server)
    expect(page.locator("#held li")).to_have_count(1)
    for name in ("Waiting for review", "Reports", "Rules", "Audit log"):
        tab(page, name).click()
        panel = page.locator(".panel:not([hidden])").last
        expect(panel).to_be_visible()
        expect(panel.get_by_role("button").filter(has_not_text=re.compile("^[a-z0-9]{10}$"))).to_have_count(0)
        expect(panel.get_by_role("form")).to_have_count(0)


def test_texts_of_visitors_and_operators_are_text(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    given = operator(server)
    moderate(server, "filter", phrase="roulette", action="hold", reason=EVIL)
    moderate(server, "ban", username=EVIL[:32], color="010020030", seconds=3_600, reason=EVIL)
    post(server, f"roulette {EVIL}", username=EVIL[:32])
    report(server, post(server, EVIL, username="Ann"), EVIL)
    moderate(server, "filter", phrase=EVIL, action="refuse")
    page = open_ops(visit, server, given)
    expect(page.locator("#held li")).to_contain_text(EVIL)
    for name, place in (("Reports", "#reported"), ("Rules", "#bans"), ("Rules", "#filters"), ("Audit log", "#entries")):
        tab(page, name).click()
        expect(page.locator(place)).to_contain_text(EVIL)
    assert page.locator("main img, main script").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_window(
    start_server: StartServer, visit: Visit, scheme: str, width: int
) -> None:
    server = start_server()
    given = operator(server)
    moderate(server, "filter", phrase="casino", action="hold", reason="x" * 400)
    moderate(server, "ban", username="W" * 32, color="010020030", seconds=3_600)
    post(server, f"A casino {'y' * 400}", username="W" * 32)
    report(server, post(server, "z" * 400), "w" * 100)
    page = open_ops(visit, server, given, color_scheme=scheme, viewport={"width": width, "height": 800})
    expect(page.locator("#held li")).to_have_count(1)
    for name in ("Waiting for review", "Reports", "Rules", "Audit log"):
        tab(page, name).click()
        if name == "Audit log":
            expect(page.locator("#entries li")).to_have_count(2)
        assert _violations(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
    tab(page, "Reports").click()
    page.get_by_role("button", name="All about").first.click()
    expect(page.get_by_role("dialog").locator(".words")).to_have_text("z" * 400)
    assert _violations(page) == []
