"""Whom to address: what an entity is, first questions, whether anybody answers for it, and everyone without an answer."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from page_browser import (
    LOST_NETWORK,
    MESSAGES,
    OUTBOX,
    PROVISIONAL,
    REFUSED,
    Modules,
    SocketProxy,
    Visit,
    Visitor,
    claim,
    expect_state,
    on_wall,
    post_to,
    queue,
    row,
    write,
)
from playwright.sync_api import Page, Route, expect

from conftest import StartServer
from servers import Server, until

pytest_plugins = ["page_fixtures"]

REASON = "no bot answers for it at the moment"
ABOUT: dict[str, dict[str, Any]] = {
    "zen": {"about": "Calm <b>and</b> surprising.", "openers": ["Why is space black?", "Who am I?", "What is <i>now</i>?"]},
    "eliza": {"about": "A gentle listener.", "openers": ["I feel tired."]},
    "rude": {"about": "Blunt.", "openers": ["Say something nice."], "served": False, "reason": REASON},
}
SERVED: dict[str, Any] = {"served": True, "reason": None, "about": "", "openers": []}
LINK = "#u=Ada:210120040&word=space&mt=human&entity=rude&ais=X:random&priority=7&filteractive=false"
PHONE = {"width": 320, "height": 640}


class Directory:
    """The list of entities that a browser gets: the server's, with what a test adds to it."""

    def __init__(self, visitor: Visitor, **more: dict[str, Any]) -> None:
        self.more = ABOUT | more
        self.asked = 0
        self._summary = visitor.server.http.get("/api/entities").raise_for_status().json()
        visitor.context.route("**/api/entities", self._answer)

    def _answer(self, route: Route) -> None:
        self.asked += 1
        entities = [entity | SERVED | self.more.get(entity["name"], {}) for entity in self._summary["entities"]]
        route.fulfill(json=self._summary | {"entities": entities})


def test_a_bare_wall_introduces_the_entities_and_offers_three_questions(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    visitor = visit(server)
    Directory(visitor)
    page = visitor.open()

    expect(page.locator("#empty dd").filter(has_text="Calm <b>and</b> surprising.")).to_be_visible()
    questions = page.locator(".openers button")
    expect(questions).to_have_text(["I feel tired.", "Why is space black?", "Who am I?"])
    questions.nth(1).focus()
    page.keyboard.press("Enter")

    expect(page.locator("#text")).to_have_value("Why is space black?")
    expect(page.locator("#text")).to_be_focused()
    expect(page.locator("#entity")).to_have_value("zen")
    assert visitor.posts == []
    page.keyboard.press("Enter")
    expect(page.locator(MESSAGES)).to_have_count(1)
    expect(page.locator("#empty")).to_be_hidden()
    assert server.http.get("/api/comments").json()[0]["botParams"]["entity"] == "zen"


def test_the_bare_wall_of_an_entity_offers_its_own_questions(start_server: StartServer, visit: Visit) -> None:
    visitor = visit(start_server(), viewport=PHONE)
    Directory(visitor)
    page = visitor.open()

    page.get_by_role("radio", name="Zen").check()

    expect(page.locator(".openers button")).to_have_text(["Why is space black?", "Who am I?", "What is <i>now</i>?"])
    expect(page.locator("#empty dt")).to_have_text(["Zen"])
    assert page.locator(".openers i, #empty b").count() == 0
    page.locator("#text").fill("A draft that stays")
    page.get_by_role("button", name="Who am I?").click()
    expect(page.locator("#text")).to_have_value("A draft that stays\n\nWho am I?")


def test_the_form_shows_in_a_line_what_the_addressee_is(server: Server, visit: Visit) -> None:
    visitor = visit(server)
    Directory(visitor)
    page = visitor.open()
    expect(page.locator("#about")).to_be_hidden()

    page.locator("#entity").select_option("zen")

    expect(page.locator("#about")).to_have_text("Calm <b>and</b> surprising.")
    page.locator("#entity").select_option("")
    expect(page.locator("#about")).to_be_hidden()


def test_a_message_to_anyone_will_wait_when_all_are_away(server: Server, visit: Visit) -> None:
    visitor = visit(server)
    away = {"served": False, "reason": REASON}
    names = [entity["name"] for entity in server.http.get("/api/entities").json()["entities"]]
    directory = Directory(visitor, **dict.fromkeys(names, away))
    page = visitor.open()

    expect(page.locator("#about")).to_have_text("nobody answers at the moment; your message will wait")
    page.locator("#entity").select_option("*")
    expect(page.locator("#about")).to_be_hidden()
    directory.more = dict.fromkeys(names, away) | {"zen": {}}
    page.reload()
    expect(page.locator("#entity option[value=zen]")).to_have_text("Zen")
    page.locator("#entity").select_option("")
    expect(page.locator("#about")).to_be_hidden()


def test_an_entity_that_nobody_serves_is_greyed_out_with_the_reason(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    visitor = visit(server)
    Directory(visitor)
    page = visitor.open()
    chip = page.locator(".chip", has_text="Rude")
    expect(chip).to_have_text("Rude (away)")
    expect(chip.locator("span")).to_have_attribute("title", REASON)
    expect(page.locator("#entity option[value=rude]")).to_have_text("Rude (away)")
    expect(page.locator(".openers button", has_text="Say something nice.")).to_have_count(0)

    page.locator("#entity").select_option("rude")

    expect(page.locator("#about")).to_have_text(f"Blunt. · {REASON}; your message will wait")
    write(page, "I can wait")
    expect(page.locator(MESSAGES)).to_have_count(1)


def test_an_entity_whose_model_does_not_answer_is_greyed_out_too(server: Server, visit: Visit) -> None:
    visitor = visit(server)
    Directory(visitor, zen={"served": True, "reason": "its model does not answer at the moment"})
    page = visitor.open()

    expect(page.locator(".chip", has_text="Zen (away)")).to_be_visible()
    expect(page.locator(".chip", has_text="Eliza")).to_have_text("Eliza")


def test_an_entity_is_greyed_out_until_its_bot_is_there(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    page = visit(server).open()
    expect(page.locator("#entity option[value=zen]")).to_have_text("Zen (away)")

    server.http.post("/api/queue/claim", json={"workerId": "worker-1", "entities": ["zen"]}).raise_for_status()
    page.reload()

    expect(page.locator("#entity option[value=zen]")).to_have_text("Zen")
    expect(page.locator("#entity option[value=rude]")).to_have_text("Rude (away)")


def test_who_is_served_is_asked_again_each_minute_of_use_but_not_in_a_hidden_tab(server: Server, visit: Visit) -> None:
    visitor = visit(server)
    visitor.expect_errors(*LOST_NETWORK)  # the server's heartbeats go by the real clock
    directory = Directory(visitor)
    page = ticking(visitor.tab())
    expect(page.locator(".chip", has_text="Rude (away)")).to_be_visible()
    assert directory.asked == 1

    directory.more |= {"rude": {"served": True}}
    page.clock.run_for(65_000)
    page.mouse.move(10, 10)
    page.clock.run_for(10_000)

    expect(page.locator(".chip", has_text="Rude")).to_have_text("Rude")
    page.evaluate("Object.defineProperty(document, 'hidden', { get: () => window.away, configurable: true })")
    page.evaluate("window.away = true; document.dispatchEvent(new Event('visibilitychange'));")
    asked = directory.asked
    page.clock.run_for(600_000)
    assert directory.asked == asked
    directory.more |= {"zen": {"served": False, "reason": REASON}}
    page.evaluate("window.away = false; document.dispatchEvent(new Event('visibilitychange'));")
    page.clock.run_for(10_000)
    expect(page.locator(".chip", has_text="Zen")).to_have_text("Zen (away)")


USED = """async ({ Entities }) => {
  let now = 1e12;
  let asked = 0;
  const timers = new Map();
  Date.now = () => now;
  window.setTimeout = (call, ms = 0) => timers.set(timers.size + 1, { call, at: now + ms }).size;
  window.clearTimeout = (id) => timers.has(id) && timers.set(id, { at: Infinity });
  window.fetch = async (url) => {
    asked += 1;
    return { ok: true, status: 200, headers: new Headers(), text: async () => JSON.stringify({ entities: [] }) };
  };
  const pass = async (ms) => {
    const end = now + ms;
    const next = () => [...timers.values()].filter(({ at }) => at <= end).sort((one, other) => one.at - other.at)[0];
    for (let timer = next(); timer; timer = next()) {
      now = timer.at;
      timer.at = Infinity;
      timer.call();
      for (let turn = 0; turn < 100; turn += 1) await null;
    }
    now = end;
  };
  new Entities().start(() => {});
  await pass(3_600_000);
  const unused = asked;
  for (let second = 0; second < 600; second += 1) {
    dispatchEvent(new Event("pointermove"));
    await pass(1_000);
  }
  const used = asked - unused;
  await pass(3_600_000);
  return [unused, used, asked - unused - used];
}"""


def test_a_page_that_is_only_open_asks_nothing(modules: Modules) -> None:
    unused, used, afterwards = modules.run("entities.js", USED)

    assert unused == 1
    assert 8 <= used <= 10  # in ten minutes of use
    assert afterwards == 0


def test_news_of_who_is_served_do_not_move_the_readers_place(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    for number in range(40):
        post_to(server, "zen", f"Question {number}")
    visitor = visit(server)
    visitor.expect_errors(*LOST_NETWORK)
    directory = Directory(visitor)
    page = ticking(visitor.tab())
    expect(page.locator(".chip", has_text="Rude (away)")).to_be_visible()
    expect(page.locator(MESSAGES)).to_have_count(40)
    page.locator("#entity").select_option("eliza")
    page.locator("#wall").evaluate("wall => wall.scrollTop = wall.scrollHeight / 2")
    expect(page.locator("#jump")).to_be_visible()
    before = page.locator("#wall").evaluate("wall => wall.scrollTop")

    directory.more |= {"rude": {"served": True}}
    page.clock.run_for(65_000)
    page.mouse.move(10, 10)
    page.clock.run_for(5_000)

    expect(page.locator(".chip", has_text="Rude")).to_have_text("Rude")
    expect(page.locator("#jump")).to_be_visible()
    assert page.locator("#wall").evaluate("wall => wall.scrollTop") == before
    expect(page.locator("#entity")).to_have_value("eliza")


def test_who_is_served_is_asked_again_when_the_socket_is_back_but_no_storm(server: Server, visit: Visit) -> None:
    visitor = visit(server)
    directory = Directory(visitor)
    page = visitor.tab()
    sockets = SocketProxy(page)
    ticking(page)
    expect(page.locator(".chip", has_text="Rude (away)")).to_be_visible()
    page.clock.run_for(20_000)
    directory.more |= {"rude": {"served": True}}

    sockets.close(1012)
    until(lambda: passed(page, 500) and sockets.opened == 2, "another socket", every=0.03)
    expect_state(page, "live")
    page.clock.run_for(4_000)

    expect(page.locator(".chip", has_text="Rude")).to_have_text("Rude")
    asked, began = directory.asked, page.evaluate("Date.now()")
    for opened in range(3, 9):
        sockets.close(1012)
        until(lambda wanted=opened: passed(page, 500) and sockets.opened == wanted, "another socket", every=0.03)  # type: ignore[misc]
        expect_state(page, "live")
    page.clock.run_for(9_000)
    assert directory.asked <= asked + 1 + (page.evaluate("Date.now()") - began) / 10_000


def test_a_post_to_everyone_wants_no_answer_and_gets_none(start_server: StartServer, visit: Visit) -> None:
    server = start_server(command="up")
    visitor = visit(server)
    page = visitor.open()
    page.locator("#entity").select_option("*")

    write(page, "Good morning, all")

    mine = page.locator(MESSAGES)
    expect(mine).to_have_count(1)
    expect(mine.locator(".to")).to_have_text("to everyone")
    expect(mine.locator(".note")).to_be_hidden()
    expect(mine).to_have_attribute("data-status", "complete")
    assert (visitor.posts[0].post_data_json or {})["botParams"] == {"answer": False}
    page.locator("#entity").select_option("zen")
    write(page, "And you, Zen?")
    expect(page.locator("article[data-kind=AI]")).to_have_count(1)
    assert len(on_wall(server)) == 3
    page.locator("#entity").select_option("*")
    page.reload()
    expect(page.locator("#entity")).to_have_value("*")
    expect(mine.first.locator(".to")).to_have_text("to everyone")
    expect(mine.first.locator(".state")).to_be_hidden()


def test_a_refused_post_to_everyone_goes_back_into_the_form_as_that(server: Server, visit: Visit) -> None:
    visitor = visit(server)
    visitor.expect_errors(*REFUSED)
    page = visitor.open()
    refusal = {"title": "Refused", "detail": "be kinder"}
    page.route("**/api/comments", lambda route: route.fulfill(status=422, json=refusal), times=1)
    page.locator("#entity").select_option("*")
    write(page, "Listen")
    expect(page.locator(OUTBOX)).to_contain_text("be kinder")
    page.locator("#entity").select_option("zen")

    page.locator(OUTBOX).get_by_role("button", name="Edit").click()

    expect(page.locator("#entity")).to_have_value("*")
    expect(page.locator("#text")).to_have_value("Listen")


@pytest.mark.parametrize(("state", "words"), [("waking", "is waking up"), ("thinking", "is thinking")])
def test_a_message_that_is_being_answered_shows_what_its_model_does(
    state: str, words: str, start_server: StartServer, visit: Visit
) -> None:
    server = start_server()
    asked = post_to(server, "zen")
    attempt = claim(server, asked)
    page = visit(server).open()
    expect(page.locator(PROVISIONAL)).to_contain_text("is thinking")

    queue(server, "progress", asked, attempt=attempt, state=state)

    latecomer = visit(server).open()
    expect(latecomer.locator(PROVISIONAL).locator(".text")).to_have_text(words)
    expect(page.locator(PROVISIONAL).locator(".text")).to_have_text(words)
    queue(server, "progress", asked, attempt=attempt, text="Now")
    expect(page.locator(PROVISIONAL).locator(".text")).to_have_text("Now")
    queue(server, "complete", asked, attempt=attempt, reply={"text": "Now it answers", "username": "Zen"})
    expect(row(page, asked)).to_have_attribute("data-status", "complete")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("link", ["", LINK])
def test_axe_finds_no_serious_fault_on_a_view(link: str, scheme: str, start_server: StartServer, visit: Visit) -> None:
    visitor = visit(start_server(), color_scheme=scheme, viewport=PHONE, reduced_motion="reduce")
    Directory(visitor)
    page = visitor.tab()
    page.goto(f"/{link}")
    expect_state(page, "live")
    expect(page.locator("#empty")).to_be_visible()
    page.locator("#entity").select_option("rude")
    page.locator("#filters summary").click()

    faults = Axe().run(page).response["violations"]

    assert [fault["id"] for fault in faults if fault["impact"] in {"serious", "critical"}] == []


def ticking(page: Page) -> Page:
    """A tab with the wall whose clock the test moves; drawing goes by the real clock."""
    page.add_init_script("window.realFrames = [requestAnimationFrame.bind(window), cancelAnimationFrame.bind(window)];")
    page.clock.install()
    page.goto("/")
    page.evaluate("[window.requestAnimationFrame, window.cancelAnimationFrame] = window.realFrames")
    expect_state(page, "live")
    page.clock.pause_at(page.evaluate("Date.now()") / 1_000 + 1)
    return page


def passed(page: Page, ms: int) -> bool:
    """Move the tab's clock."""
    page.clock.run_for(ms)
    return True
