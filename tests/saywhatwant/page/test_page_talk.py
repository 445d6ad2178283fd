"""One talk as a view: opened by a click, complete, alone, live, and shared by its address."""

import re

import pytest
from page_browser import (
    MESSAGES,
    PROVISIONAL,
    SocketProxy,
    Visit,
    answer,
    claim,
    expect_state,
    post,
    queue,
    row,
    shown,
    until_seen,
    write,
)
from playwright.sync_api import Page, Route, expect

from conftest import StartServer
from servers import Server

pytest_plugins = ["page_fixtures"]

ADA = {"username": "Ada", "color": "210120040"}
BOB = {"username": "Bob", "color": "040120210"}


@pytest.fixture(scope="module")
def talk(server: Server) -> list[str]:
    """The ids of a talk of Ada's with Zen, on a wall where others talk too: a long one, older than the first page."""
    ids = []
    for number in range(4):
        asked = post(server, f"Ada asks {number}", **ADA, botParams={"entity": "zen"})
        post(server, f"Bob asks {number}", **BOB, botParams={"entity": "zen"})
        ids += [asked, answer(server, asked, f"Zen answers {number}")]
    for number in range(60):
        post(server, f"In between {number}")
    waiting = post(server, "Ada asks Rude", **ADA, botParams={"entity": "rude"})
    assert waiting
    ids.append(post(server, "Ada asks again", **ADA, botParams={"entity": "zen"}))
    return ids


def test_a_click_on_a_name_shows_only_that_talk_from_its_beginning(server: Server, visit: Visit, talk: list[str]) -> None:
    page = visit(server).open()

    row(page, talk[-1]).locator("header > .name").click()

    expect(page.locator(MESSAGES)).to_have_count(len(talk))
    assert [message_id for message_id, _ in shown(page)] == talk
    expect(page.locator("#shown")).to_have_text("Ada with Zen")
    expect(page.locator("#older")).to_have_text("The talk begins here")
    expect(page).to_have_url(re.compile("#talk=[0-9a-f]{16}$"))


def test_a_click_on_the_entity_shows_the_talk_too(server: Server, visit: Visit, talk: list[str]) -> None:
    page = visit(server).open()

    row(page, talk[-1]).locator("header > .to").click()

    expect(page.locator("#shown")).to_have_text("Ada with Zen")
    expect(page.locator(MESSAGES)).to_have_count(len(talk))


def test_the_keyboard_opens_a_talk_and_back_leaves_it(server: Server, visit: Visit, talk: list[str]) -> None:
    page = visit(server).open()
    name = row(page, talk[-1]).locator("header > .name")
    name.focus()

    page.keyboard.press("Enter")

    expect(page.locator("#shown")).to_have_text("Ada with Zen")
    page.go_back()
    expect(page.locator("#view")).to_be_hidden()
    expect(page.locator(MESSAGES).nth(49)).to_be_attached()
    page.go_forward()
    expect(page.locator(MESSAGES)).to_have_count(len(talk))
    page.get_by_role("button", name="Show everything").click()
    expect(page.locator("#view")).to_be_hidden()
    expect(page).to_have_url(f"{server.url}/")


def test_the_address_of_a_talk_opens_it_elsewhere(server: Server, visit: Visit, talk: list[str]) -> None:
    page = visit(server).tab()

    page.goto(f"/#talk={conversation(server, talk[0])}")

    expect(page.locator("#shown")).to_have_text("Ada with Zen")
    assert [message_id for message_id, _ in shown(page)] == talk


def test_the_address_of_a_talk_addresses_its_entity(server: Server, visit: Visit, talk: list[str]) -> None:
    """Also when the list of entities comes after the talk."""
    visitor = visit(server)
    waiting: list[Route] = []
    visitor.context.route("**/api/entities", lambda route: waiting.append(route))  # noqa: PLW0108 - Playwright marks its handlers
    page = visitor.tab()
    page.goto(f"/#talk={conversation(server, talk[0])}")
    expect(page.locator(MESSAGES)).to_have_count(len(talk))

    for route in waiting:
        route.continue_()

    expect(page.locator("#entity")).to_have_value("zen")


def test_a_talk_stays_alone_and_live_while_others_talk(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    first = post(server, "Ada asks", **ADA, botParams={"entity": "zen"})
    page = visit(server).open()
    row(page, first).locator("header > .name").click()
    expect(page.locator("#shown")).to_have_text("Ada with Zen")

    for person in (BOB, ADA):
        for entity in ("zen", "rude"):
            post(server, f"{person['username']} asks {entity}", **person, botParams={"entity": entity})
    post(server, "To everyone, which is no talk", **ADA, botParams={"answer": False})
    post(server, "To anyone, which is no talk yet", **ADA)
    attempt = claim(server, first)
    queue(server, "progress", first, attempt=attempt, text="Half an ans")

    expect(page.locator(PROVISIONAL).locator(".text")).to_have_text("Half an ans")
    expect(page.locator(MESSAGES)).to_have_count(2)
    queue(server, "complete", first, attempt=attempt, reply={"text": "The answer", "username": "Zen"})
    expect(page.locator(MESSAGES)).to_have_count(3)
    assert [text for _, text in shown(page)] == ["Ada asks", "Ada asks zen", "The answer"]
    expect(page.locator(PROVISIONAL)).to_have_count(0)


def test_an_answer_in_a_talk_that_is_older_than_the_walls_list_is_shown(server: Server, visit: Visit) -> None:
    old = post(server, "Old and open", username="Cleo", color="090160060", botParams={"entity": "zen"})
    for number in range(60):
        post(server, f"After it {number}")
    page = visit(server).tab()
    page.goto(f"/#talk={conversation(server, old)}")
    expect_state(page, "live")
    expect(row(page, old)).to_have_attribute("data-status", "pending")

    attempt = claim(server, old)
    expect(page.locator(PROVISIONAL)).to_contain_text("is thinking")
    queue(server, "complete", old, attempt=attempt, reply={"text": "At last", "username": "Zen"})

    expect(page.locator(MESSAGES)).to_have_count(2)
    expect(row(page, old)).to_have_attribute("data-status", "complete")


def test_an_own_post_joins_its_talk_once(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    page = visit(server).open()
    be(page, "Ada")
    page.locator("#entity").select_option("zen")
    write(page, "My first question")
    expect(page.locator(MESSAGES)).to_have_count(1)
    post(server, "Somebody else's", **BOB, botParams={"entity": "zen"})
    expect(page.locator(MESSAGES)).to_have_count(2)
    page.locator("article", has_text="My first question").locator("header > .name").click()
    expect(page.locator("#shown")).to_have_text("Ada with Zen")
    expect(page.locator(MESSAGES)).to_have_count(1)

    write(page, "My second question")
    write(page, "My third question")

    expect(page.locator(MESSAGES)).to_have_count(3)
    assert [text for _, text in shown(page)] == ["My first question", "My second question", "My third question"]
    expect(page.locator("#shown")).to_have_text("Ada with Zen")


def test_a_post_that_belongs_elsewhere_leaves_the_talk(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    first = post(server, "Ada asks", **ADA, botParams={"entity": "zen"})
    page = visit(server).open()
    row(page, first).locator("header > .name").click()
    expect(page.locator("#shown")).to_have_text("Ada with Zen")

    write(page, "I am not Ada")

    expect(page.locator("#view")).to_be_hidden()
    expect(page.locator(MESSAGES)).to_have_count(2)
    expect(page.locator("article", has_text="I am not Ada")).to_be_in_viewport()


def test_a_message_to_anyone_joins_the_talk_when_an_entity_takes_it(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    open_question = post(server, "Anybody?", **ADA)
    page = visit(server).open()
    (claimed,) = server.http.post("/api/queue/claim", json={"workerId": "worker-1", "entities": ["zen"]}).json()["messages"]
    expect(page.locator(PROVISIONAL).locator("header > .name")).to_have_text("Zen")

    row(page, open_question).locator("header > .name").click()

    expect(page.locator("#shown")).to_have_text("Ada with Zen")
    expect(page).to_have_url(re.compile(f"#talk={claimed['conversation']}$"))
    queue(server, "complete", open_question, attempt=1, reply={"text": "Somebody is", "username": "Zen"})
    expect(page.locator(MESSAGES)).to_have_count(2)


def test_a_talk_whose_list_cannot_be_read_is_read_later(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    first = post(server, "Ada asks", **ADA, botParams={"entity": "zen"})
    visitor = visit(server)
    visitor.expect_errors("Failed to load resource")
    page = visitor.open()
    page.route("**/api/comments?conversation=*", lambda route: route.fulfill(status=503, json={"detail": "busy"}), times=1)

    row(page, first).locator("header > .name").click()

    expect(page.locator("#empty")).to_contain_text("This talk cannot be read: busy")
    expect(page.locator(MESSAGES)).to_have_count(1)
    expect(page.locator("#empty")).to_be_hidden()


def test_a_talk_that_is_gone_says_so(server: Server, visit: Visit) -> None:
    page = visit(server).tab()

    page.goto("/#talk=0123456789abcdef")

    expect(page.locator("#empty")).to_contain_text("This talk is no longer on the wall")


def test_looking_back_in_a_long_talk_loads_all_of_it(start_server: StartServer, visit: Visit) -> None:
    server = start_server(retention=1_000)
    ids = [post(server, f"Question {number}", **ADA, botParams={"entity": "zen"}) for number in range(130)]
    page = visit(server).tab()
    page.goto(f"/#talk={conversation(server, ids[0])}")
    expect(page.locator(MESSAGES).nth(99)).to_be_attached()

    page.locator("#wall").evaluate("wall => wall.scrollTop = 0")

    expect(page.locator("#older")).to_have_text("The talk begins here")
    assert [message_id for message_id, _ in shown(page)] == ids


def test_after_a_break_of_the_connection_a_talk_has_what_it_missed(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    first = post(server, "Ada asks", **ADA, botParams={"entity": "zen"})
    page = visit(server).tab()
    sockets = SocketProxy(page)
    page.goto(f"/#talk={conversation(server, first)}")
    expect_state(page, "live")
    expect(page.locator(MESSAGES)).to_have_count(1)
    sockets.mute()

    answer(server, first, "While you were away")
    sockets.close(1011)

    expect(page.locator(MESSAGES)).to_have_count(2)


def test_a_stubborn_answer_for_another_talk_is_not_shown(start_server: StartServer, visit: Visit) -> None:
    """A slow answer for a talk that was left does not change the one that is looked at."""
    server = start_server()
    ada = post(server, "Ada asks", **ADA, botParams={"entity": "zen"})
    bob = post(server, "Bob asks", **BOB, botParams={"entity": "zen"})
    page = visit(server).open()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(f"**/api/comments?conversation={conversation(server, ada)}*", hold)
    row(page, ada).locator("header > .name").click()
    expect(page.locator("#empty")).to_contain_text("Loading the talk")
    page.go_back()
    row(page, bob).locator("header > .name").click()
    expect(page.locator("#shown")).to_have_text("Bob with Zen")

    held[0].continue_()

    expect(page.locator(MESSAGES)).to_have_count(1)
    expect(row(page, bob)).to_be_attached()
    expect(page.locator("#shown")).to_have_text("Bob with Zen")


def conversation(server: Server, message_id: str) -> str:
    """The talk of a message."""
    messages = server.http.get("/api/comments", params={"limit": 1_000}).raise_for_status().json()
    return str(next(message["conversation"] for message in messages if message["id"] == message_id))


def be(page: Page, name: str) -> None:
    """Take a name."""
    page.locator("#name").fill(name)
    page.locator("#name").press("Enter")


def test_back_from_a_talk_or_a_filter_leads_to_what_was_read_before(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    for number in range(40):
        post(server, f"Question {number}", **ADA, botParams={"entity": "zen"})
    page = visit(server).open()
    expect(page.locator(MESSAGES)).to_have_count(40)
    page.locator("#wall").evaluate("wall => wall.scrollTop = wall.scrollHeight / 2 + 7")
    expect(page.locator("#jump")).to_be_visible()
    before = page.evaluate(IN_VIEW)

    page.get_by_role("radio", name="Eliza").check(force=True)
    expect(page.locator(MESSAGES)).to_have_count(0)
    page.go_back()
    expect(page.locator(MESSAGES)).to_have_count(40)
    assert page.evaluate(IN_VIEW) == before
    page.locator("article", has_text=before[0]).get_by_role("button", name="Ada", exact=True).click()
    expect(page.locator("#shown")).to_have_text("Ada with Zen")
    page.go_back()

    expect(page.locator("#view")).to_be_hidden()
    until_seen(page, lambda: page.evaluate(IN_VIEW) == before, "the same messages")
    post(server, "A new one")
    expect(page.locator("#jump")).to_have_text("1 new")
    assert page.evaluate(IN_VIEW) == before


IN_VIEW = """() => {
  const { top } = document.querySelector("#wall").getBoundingClientRect();
  const rows = [...document.querySelectorAll("article")];
  const first = rows.find((row) => row.getBoundingClientRect().top >= top);
  return [first.querySelector(".text").textContent, Math.round(first.getBoundingClientRect().top - top)];
}"""
