"""An answer that comes while the tab is hidden: a notification, a sound, both off until the visitor asks for them."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from page_browser import MESSAGES, Json, Visit, Visitor, answer, claim, on_wall, post, queue, row, write
from playwright.sync_api import Page, expect

from servers import Server, until

pytest_plugins = ["page_fixtures"]

BROWSER = """
  window.asked = 0;
  window.shown = [];
  window.notes = [];
  window.contexts = [];
  window.Notification = class {
    static permission = PERMISSION;
    static requestPermission() {
      asked += 1;
      Notification.permission = ANSWER;
      return Promise.resolve(ANSWER);
    }
    constructor(title, { body, tag }) {
      if (FAILS) throw new TypeError("Illegal constructor");
      this.listeners = [];
      this.said = { title, body, tag, closed: false, click: () => this.listeners.forEach((listener) => listener()) };
      shown.push(this.said);
    }
    addEventListener(type, listener) { this.listeners.push(listener); }
    close() { this.said.closed = true; }
  };
  const part = () => ({ connect() {}, gain: { setValueAtTime() {}, exponentialRampToValueAtTime() {} }, frequency: {} });
  window.AudioContext = class {
    constructor() { contexts.push(this); }
    currentTime = 0;
    resume() {}
    createGain() { return part(); }
    createOscillator() { return { ...part(), start: (at) => notes.push(at), stop() {} }; }
  };
  Object.defineProperty(document, "hidden", { get: () => Boolean(window.away), configurable: true });
"""
"""A browser that records what it is asked for, and is hidden when a test says so."""


def visitor_of(
    visit: Visit, server: Server, permission: str = "default", answer: str = "granted", *, fails: bool = False, **options: Any
) -> Visitor:
    visitor = visit(server, **options)
    script = (
        BROWSER.replace("PERMISSION", repr(permission)).replace("ANSWER", repr(answer)).replace("FAILS", str(fails).lower())
    )
    visitor.context.add_init_script(script)
    return visitor


def choose(page: Page, label: str) -> None:
    page.locator("#more > summary").click()
    page.get_by_label(label).click()
    page.keyboard.press("Escape")


def hide(page: Page, *, away: bool) -> None:
    page.evaluate("away => { window.away = away; document.dispatchEvent(new Event('visibilitychange')); }", away)


def ask(page: Page, server: Server, text: str) -> str:
    """Ask Zen as the page's visitor; the id of the question."""
    page.locator("#entity").select_option("zen")
    write(page, text)
    expect(page.locator(MESSAGES, has_text=text)).to_have_count(1)
    return next(message_id for message_id, said in reversed(on_wall(server)) if said == text)


def shown(page: Page) -> list[Json]:
    found: list[Json] = page.evaluate("shown.map(({ title, body, tag }) => ({ title, body, tag }))")
    return found


def test_nothing_is_on_and_nothing_is_asked_until_the_visitor_asks(server: Server, visit: Visit) -> None:
    page = visitor_of(visit, server).open()
    question = ask(page, server, "Is it off?")
    hide(page, away=True)
    answer(server, question, "Yes")

    expect(page).to_have_title("(1) Say What Want")
    assert page.evaluate("[asked, shown, notes, contexts.length]") == [0, [], [], 0]
    hide(page, away=False)
    assert not page.locator("#notify").is_checked()
    assert not page.locator("#sound").is_checked()


def test_the_notification_of_an_answer_that_is_hidden_is_closed(server: Server, visit: Visit) -> None:
    page = visitor_of(visit, server).open()
    choose(page, "show a notification")
    question = ask(page, server, "Will you be hidden?")
    hide(page, away=True)
    reply = answer(server, question, "A rude answer")
    expect(page).to_have_title("(1) Say What Want")
    assert page.evaluate("shown.map(({ closed }) => closed)") == [False]

    server.http.post("/api/moderation/hide", json={"messageId": reply}).raise_for_status()

    page.wait_for_function("shown[0].closed")


def test_an_answer_to_a_hidden_tab_is_notified_and_a_click_leads_to_it(server: Server, visit: Visit) -> None:
    page = visitor_of(visit, server).open()
    choose(page, "show a notification")
    question = ask(page, server, "Will you tell me?")
    assert page.evaluate("asked") == 1
    hide(page, away=True)

    reply = answer(server, question, "**Yes**, see [this](https://example.org/)")
    post(server, "Somebody else's message")

    expect(page).to_have_title("(2) Say What Want")
    assert shown(page) == [{"title": "Zen answers", "body": "Yes, see this", "tag": reply}]
    assert page.evaluate("notes") == [], "a notification alone makes no sound"
    hide(page, away=False)
    page.evaluate("shown[0].click()")
    expect(row(page, reply)).to_be_focused()


def test_a_sound_is_made_when_it_is_chosen_and_at_each_answer(server: Server, visit: Visit) -> None:
    page = visitor_of(visit, server).open()
    choose(page, "play a sound")
    assert page.evaluate("notes.length") == 2, "so that one knows it"
    question = ask(page, server, "Can I hear you?")
    hide(page, away=True)

    answer(server, question, "Yes")

    expect(page).to_have_title("(1) Say What Want")
    assert page.evaluate("[notes.length, shown, asked]") == [4, [], 0]


def test_a_visible_tab_gets_neither_and_strangers_answers_are_no_news(server: Server, visit: Visit) -> None:
    page = visitor_of(visit, server, "granted").open()
    choose(page, "show a notification")
    choose(page, "play a sound")
    reply = answer(server, ask(page, server, "Am I looking?"), "Yes")
    expect(row(page, reply)).to_be_visible()
    assert page.evaluate("[notes.length, shown]") == [2, []]

    hide(page, away=True)
    answer(server, post(server, "A stranger's question", botParams={"entity": "zen"}), "For a stranger")

    expect(page).to_have_title("(2) Say What Want")
    assert page.evaluate("[notes.length, shown]") == [2, []]


def test_a_question_that_gets_no_answer_is_notified_too(server: Server, visit: Visit) -> None:
    page = visitor_of(visit, server).open()
    choose(page, "show a notification")
    question = ask(page, server, "Will this fail?")
    hide(page, away=True)

    queue(server, "fail", question, attempt=claim(server, question), error="no model", retry=False)

    until(lambda: page.evaluate("shown.length"), "the notification")  # the page forbids what wait_for_function does
    assert shown(page) == [{"title": "No answer", "body": "To: Will this fail?", "tag": question}]


def test_the_choice_is_kept_and_an_answer_after_a_reload_is_notified(server: Server, visit: Visit) -> None:
    page = visitor_of(visit, server, "granted").open()
    choose(page, "show a notification")
    choose(page, "play a sound")
    question = ask(page, server, "Still there?")
    page.reload()
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    assert page.locator("#notify").is_checked()
    assert page.evaluate("contexts.length") == 0, "no sound is prepared before the page is touched"
    page.locator("#text").press("a")
    hide(page, away=True)

    answer(server, question, "Still here")

    until(lambda: page.evaluate("shown.length"), "the notification")  # the page forbids what wait_for_function does
    assert page.evaluate("[shown[0].body, notes.length, asked]") == ["Still here", 2, 0]


def test_what_the_browser_does_not_allow_is_off_again_and_says_why(server: Server, visit: Visit) -> None:
    page = visitor_of(visit, server, answer="denied").open()
    page.locator("#more > summary").click()
    page.get_by_label("show a notification").click()

    expect(page.locator("#notices-hint")).to_contain_text("does not allow it")
    expect(page.locator("#notify")).not_to_be_checked()
    violations = Axe().run(page).response["violations"]
    assert [violation["id"] for violation in violations if violation["impact"] in {"serious", "critical"}] == []
    # As after somebody took the permission back.
    page.evaluate("localStorage.setItem('saywhatwant.notify', 'true')")
    page.reload()
    expect(page.locator("#notify")).not_to_be_checked()


def test_a_browser_that_refuses_the_notification_itself_breaks_nothing(server: Server, visit: Visit) -> None:
    page = visitor_of(visit, server, "granted", fails=True).open()
    choose(page, "show a notification")
    question = ask(page, server, "On a phone?")
    hide(page, away=True)

    reply = answer(server, question, "Yes")

    expect(page).to_have_title("(1) Say What Want")
    hide(page, away=False)
    expect(row(page, reply)).to_be_visible()
    assert not page.locator("#notify").is_checked()
