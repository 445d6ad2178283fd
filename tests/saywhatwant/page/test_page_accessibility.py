"""Accessibility: contrast and roles, screen readers, the keyboard, reduced motion."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from page_browser import MESSAGES, OUTBOX, PROVISIONAL, REFUSED, Visit, answer, claim, expect_state, post, post_to, queue, write
from playwright.sync_api import Page, expect

from conftest import MakeServer, StartServer
from servers import Server, until

pytest_plugins = ["page_fixtures"]

SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 360, "height": 740}}
IMPACTS = ("serious", "critical")
COLORS = ("255255000", "000000000", "255255255", "128128128", "000000255", "255000000")


@pytest.fixture(scope="module")
def server(make_server: MakeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose leases outlast this module."""
    with make_server(tmp_path_factory.mktemp("server"), lease_seconds=3_600) as started:
        yield started


@pytest.fixture(scope="module")
def full(server: Server) -> Server:
    """A wall with a row of every kind."""
    for color in COLORS:
        post(server, f"In the colour {color}, see https://example.org/", color=color)
    answer(server, post_to(server, "zen"), "Yes. " * 400)
    failed = post_to(server, "rude")
    queue(server, "fail", failed, attempt=claim(server, failed), error="no model", retry=False)
    writing = post_to(server, "eliza")
    queue(server, "progress", writing, attempt=claim(server, writing), text="I am writ")
    post_to(server, "zen")
    thinking = post_to(server, "iesha")
    claim(server, thinking)
    return server


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_axe_finds_no_serious_fault(scheme: str, size: dict[str, int], full: Server, visit: Visit) -> None:
    visitor = visit(full, color_scheme=scheme, viewport=size, reduced_motion="reduce")
    visitor.expect_errors(*REFUSED)
    page = visitor.open()
    expect(page.locator(PROVISIONAL)).to_have_count(2)
    refuse_next(page)
    write(page, "This will be refused")
    expect(page.locator(f"{OUTBOX}[data-status=refused]")).to_be_visible()
    page.locator("#text").fill("x" * 4_990)
    assert faults(page) == []

    page.locator("#wall").evaluate("wall => wall.scrollTop = 0")
    expect(page.locator("#jump")).to_be_visible()
    assert faults(page) == []


def test_axe_finds_no_serious_fault_on_an_empty_wall(start_server: StartServer, visit: Visit) -> None:
    page = visit(start_server(), reduced_motion="reduce").open()
    expect(page.locator("#empty")).to_be_visible()

    assert faults(page) == []
    page.emulate_media(color_scheme="dark")
    assert faults(page) == []


def test_the_tab_key_reaches_every_control(full: Server, visit: Visit) -> None:
    page = visit(full).open()
    expect(page.locator(PROVISIONAL)).to_have_count(2)
    expect(page.locator("#entity option")).to_have_count(7)
    page.evaluate("document.body.tabIndex = -1; document.body.focus()")
    wanted = page.evaluate(
        """() => [...document.querySelectorAll("a[href], button:enabled, summary, input:not([type=radio]), select, textarea")]
             .filter((element) => element.checkVisibility({ visibilityProperty: true })).length"""
    )

    reached = set()
    for _ in range(wanted + 10):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                """() => {
                  const { activeElement: found } = document;
                  if (found === document.body) return "body";
                  window.numbers ??= new Map();
                  if (!window.numbers.has(found)) window.numbers.set(found, window.numbers.size);
                  const { outlineStyle, boxShadow } = getComputedStyle(found);
                  const around = found.nextElementSibling ?? found;
                  const editor = getComputedStyle(found.closest(".editor") ?? found).boxShadow;
                  const shows = [outlineStyle, getComputedStyle(around).outlineStyle, boxShadow, editor];
                  if (shows.every((style) => style === "none")) throw new Error(`no focus to be seen on ${found.outerHTML}`);
                  return `${window.numbers.get(found)} ${found.id || found.name || found.className || found.localName}`;
                }"""
            )
        )

    names = {name.split(" ", 1)[-1] for name in reached}
    assert {"skip", "filter", "wall", "quote", "more", "entity", "name", "color", "text", "post"} <= names
    assert len(reached - {"body"}) == wanted + 2, "the wall and the chips too, each once"


def test_arrow_keys_choose_a_conversation_and_the_skip_link_leads_to_the_text(full: Server, visit: Visit) -> None:
    page = visit(full).open()
    expect(page.locator("#entity option")).to_have_count(7)
    page.locator(".skip").focus()
    expect(page.locator(".skip")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#text")).to_be_focused()

    page.locator("#filter input").first.focus()
    page.keyboard.press("ArrowDown")

    expect(page.get_by_role("radio", name="Eliza")).to_be_checked()
    expect(page.locator("article[data-kind=human]")).to_have_count(1)


def test_every_control_has_a_role_and_a_name(full: Server, visit: Visit) -> None:
    page = visit(full).open()

    for role, name in (
        ("textbox", "Your message"),
        ("textbox", "Your name"),
        ("combobox", "To"),
        ("button", "Post"),
        ("log", "Messages"),
        ("heading", "Say What Want"),
        ("radio", "Everyone"),
        ("main", ""),
        ("banner", ""),
    ):
        found = page.get_by_role(role, name=name)  # type: ignore[arg-type]  # the stubs want literals
        expect(found).to_have_count(1)
        expect(found).to_be_attached()


def test_the_announcer_announces_only_what_is_new(full: Server, visit: Visit) -> None:
    page = visit(full).open()
    expect(page.locator(MESSAGES).nth(8)).to_be_attached()
    hear(page)

    first = post(full, "Something new", username="Ada")
    expect(page.locator("#announcer")).to_have_text("Ada says: Something new")
    asked = post_to(full, "zen", "And then?")
    expect(page.locator("#announcer")).to_have_text("Somebody says: And then?")
    attempt = claim(full, asked)
    queue(full, "progress", asked, attempt=attempt, text="Half a sent")
    expect(page.locator(PROVISIONAL).last).to_contain_text("Half a sent")
    queue(full, "complete", asked, attempt=attempt, reply={"text": "Nothing.", "username": "Zen"})

    expect(page.locator("#announcer")).to_have_text("Zen answers Somebody: Nothing.")
    assert first
    assert page.evaluate("window.heard") == [
        "Ada says: Something new",
        "Somebody says: And then?",
        "Zen answers Somebody: Nothing.",
    ]


def test_the_announcer_leaves_out_own_posts_and_sums_up_many(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    page = visit(server).open()
    hear(page)

    write(page, "My own")
    expect(page.locator(MESSAGES)).to_have_count(1)
    for number in range(20):
        post(server, f"Flood {number}")

    until(lambda: page.evaluate("window.heard.length") and page.evaluate("window.heard.join('|')"), "words")
    expect(page.locator(MESSAGES)).to_have_count(21)
    heard = page.evaluate("window.heard")
    assert not [words for words in heard if "My own" in words]
    assert any(words.endswith("new messages") for words in heard), heard


def test_names_stay_readable_when_the_colour_scheme_changes(full: Server, visit: Visit) -> None:
    page = visit(full, color_scheme="light", reduced_motion="reduce").open()
    expect(page.locator(PROVISIONAL)).to_have_count(2)
    inks = "rows => rows.map((row) => getComputedStyle(row.querySelector('.name')).color)"
    by_day = page.locator(MESSAGES).evaluate_all(inks)

    page.emulate_media(color_scheme="dark")

    by_night = until(lambda: changed(by_day, page.locator(MESSAGES).evaluate_all(inks)), "other colours")
    page.reload()
    expect(page.locator(PROVISIONAL)).to_have_count(2)
    assert page.locator(MESSAGES).evaluate_all(inks) == by_night


def test_reduced_motion_means_no_motion(full: Server, visit: Visit) -> None:
    page = visit(full, reduced_motion="reduce").open()
    expect(page.locator(PROVISIONAL)).to_have_count(2)

    assert page.evaluate("document.getAnimations().length") == 0


def refuse_next(page: Page) -> None:
    """Have the server refuse the next post, which the browser takes for a proper one."""
    page.route(
        "**/api/comments",
        lambda route: route.fulfill(status=422, json={"title": "Refused", "detail": "text must be kinder"}),
        times=1,
    )


def hear(page: Page) -> None:
    """Note what the announcer says from now on; it has said nothing yet."""
    expect_state(page, "live")
    assert page.locator("#announcer").inner_text() == ""
    page.evaluate(
        """() => {
          window.heard = [];
          const announcer = document.querySelector("#announcer");
          const note = () => window.heard.push(announcer.textContent);
          new MutationObserver(note).observe(announcer, { childList: true, subtree: true, characterData: true });
        }"""
    )


def faults(page: Page) -> list[str]:
    """What axe finds that is serious: the rule, and where."""
    found = Axe().run(page).response["violations"]
    return [
        f"{fault['id']}: {node['target']} {node['failureSummary']}"
        for fault in found
        if fault["impact"] in IMPACTS
        for node in fault["nodes"]
    ]


def changed(before: list[str], after: list[str]) -> list[str] | None:
    """``after``, once it is different."""
    return after if after != before else None
