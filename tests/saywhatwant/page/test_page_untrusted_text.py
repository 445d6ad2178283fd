"""The page shows any text and name as plain text, and never interprets it."""

import re

import pytest
from page_browser import MESSAGES, Visit, answer, post, row, write
from page_texts import NAMES, TEXTS
from playwright.sync_api import Locator, Page, expect

from servers import Server

pytest_plugins = ["page_fixtures"]

WIDTHS = {"phone": 360, "desktop": 1280}
LAYOUT = """() => {
  const outer = document.querySelector("#wall .column").getBoundingClientRect();
  const boxes = [...document.querySelectorAll("#rows > *")].map((row) => row.getBoundingClientRect());
  const wall = document.querySelector("#wall");
  return {
    beside: boxes.filter(({ left, right }) => left < outer.left || right > outer.right).length,
    overlapping: boxes.filter(({ top }, index) => index && top < boxes[index - 1].bottom - 0.5).length,
    flat: boxes.filter(({ height }) => height < 16).length,
    cut: [...document.querySelectorAll("#rows .text, #rows header > .name")]
      .filter(({ scrollWidth, clientWidth }) => clientWidth && scrollWidth > clientWidth + 1)
      .map(({ textContent }) => textContent.slice(0, 20)),
    excess: Math.max(document.documentElement.scrollWidth - innerWidth, wall.scrollWidth - wall.clientWidth, 0),
  };
}"""
GOOD_LAYOUT = {"beside": 0, "overlapping": 0, "flat": 0, "cut": [], "excess": 0}
PICTURE = ("!pixel(https://evil.example/pixel.gif)", "pixel")
"""A picture in an answer is only a link."""
MARKS = re.compile(r"[\s*`_~\[\]#]")
"""What Markdown takes out of an answer's text at most."""
ELEMENTS = "part => [...part.querySelectorAll('*')].map((element) => element.localName)"


@pytest.fixture(scope="module")
def hostile(server: Server) -> dict[str, str]:
    """The ids of the messages, by what is hostile in them: all texts, all names, and each text answered and quoted."""
    ids = {f"name: {what}": post(server, f"By {what}", username=name) for what, name in NAMES.items()}
    ids |= {f"text: {what}": post(server, text) for what, text in TEXTS.items()}
    for what in NAMES:
        answer(server, ids[f"name: {what}"], f"To {what}", username=NAMES[what])
    for what, text in TEXTS.items():
        ids[f"answer: {what}"] = answer(server, ids[f"text: {what}"], text)
    return ids


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
def test_hostile_text_is_shown_as_it_is_and_within_its_row(
    width: int, server: Server, visit: Visit, hostile: dict[str, str]
) -> None:
    page = visit(server, viewport={"width": width, "height": 740}).open()
    read_all(page, len(hostile) + len(NAMES))

    for what, text in TEXTS.items():
        found = row(page, hostile[f"text: {what}"]).locator(".text")
        assert found.evaluate("part => part.textContent") == text, what
        assert set(found.evaluate(ELEMENTS)) <= {"a"}, what
        answered = row(page, hostile[f"answer: {what}"]).locator(".text")
        assert unmarked(answered.evaluate("part => part.textContent")) == unmarked(text).replace(*PICTURE), what
        assert set(answered.evaluate(ELEMENTS)) <= {"a", "p", "h2", "em", "strong", "code"}, what
    for what, name in NAMES.items():
        found = row(page, hostile[f"name: {what}"]).locator("header > .name")
        assert found.evaluate("part => part.textContent") == name, what
        assert found.evaluate(ELEMENTS) == []
    assert page.evaluate(LAYOUT) == GOOD_LAYOUT


def test_hostile_text_paints_nothing_over_its_neighbours(server: Server, visit: Visit, hostile: dict[str, str]) -> None:
    page = visit(server).open()
    read_all(page, len(hostile) + len(NAMES))

    for what in ("zalgo", "combining flood"):
        for kind, part in (("text", ".text"), ("name", "header > .name")):
            assert clips(row(page, hostile[f"{kind}: {what}"]).locator(part)), f"{kind}: {what}"


def test_a_very_long_text_folds_and_shows_all_when_asked(server: Server, visit: Visit, hostile: dict[str, str]) -> None:
    page = visit(server, viewport={"width": 360, "height": 740}).open()
    read_all(page, len(hostile) + len(NAMES))
    long = row(page, hostile["text: no space"])
    folded = height(long)
    assert folded < 740

    long.get_by_role("button", name="Show all").click()

    assert height(long) > 2 * folded
    assert page.evaluate(LAYOUT) == GOOD_LAYOUT
    long.get_by_role("button", name="Show less").click()
    assert height(long) == folded


def test_an_own_hostile_text_is_text_while_it_is_sent_and_afterwards(server: Server, visit: Visit) -> None:
    visitor = visit(server)
    page = visitor.open()
    page.locator("#name").fill(NAMES["img"])

    for text in (TEXTS["img onerror"], TEXTS["svg onload"], TEXTS["bidi"]):
        write(page, text)
        last = page.locator("article.message").last.locator(".text")
        expect(last).to_have_text(text)
        assert last.evaluate(ELEMENTS) == []

    expect(page.locator("article[data-kind=outbox]")).to_have_count(0)
    assert visitor.texts() == [TEXTS["img onerror"], TEXTS["svg onload"], TEXTS["bidi"]]


def test_web_addresses_are_the_only_links(server: Server, visit: Visit, hostile: dict[str, str]) -> None:
    plain = post(server, "See https://example.org/a_(b)?q=1&r=2#top, or (http://example.org). And HTTPS://EXAMPLE.ORG!")
    page = visit(server).open()
    read_all(page, len(hostile) + len(NAMES))

    assert links(row(page, plain)) == [
        ["https://example.org/a_(b)?q=1&r=2#top", "https://example.org/a_(b)?q=1&r=2#top"],
        ["http://example.org", "http://example.org/"],
        ["HTTPS://EXAMPLE.ORG", "https://example.org/"],
    ]
    assert [href for _, href in links(row(page, hostile["text: arabic"]))] == ["https://example.org/"]
    for what in ("javascript link", "bidi", "entities", "template", "hebrew"):
        assert links(row(page, hostile[f"text: {what}"])) == [], what
    safe = page.locator(".text a").evaluate_all(
        "all => all.every(({ href, rel, target }) => /^https?:/.test(href) && target === '_blank' && rel.includes('noopener'))"
    )
    assert safe


def read_all(page: Page, most: int) -> None:
    """Scroll to the oldest message."""
    expect(page.locator(MESSAGES).nth(40)).to_be_attached()
    page.locator("#wall").evaluate("wall => wall.scrollTop = 0")
    expect(page.locator("#older")).to_have_text("The wall begins here")
    expect(page.locator(MESSAGES).nth(most - 1)).to_be_attached()


def unmarked(text: str) -> str:
    """A text without the characters that Markdown may take out."""
    return MARKS.sub("", text)


def height(found: Locator) -> float:
    """How high an element is."""
    box = found.bounding_box()
    assert box
    return box["height"]


def links(found: Locator) -> list[list[str]]:
    """The links in a message's text: what they show, and where they go."""
    shown: list[list[str]] = found.locator(".text a").evaluate_all("all => all.map((a) => [a.textContent, a.href])")
    return shown


def clips(found: Locator) -> bool:
    """Whether nothing is painted outside of the element."""
    clipped: bool = found.evaluate(
        """part => {
          const { contain, overflowX, overflowY } = getComputedStyle(part);
          const clipping = ["clip", "hidden"];
          return contain.includes("paint") || (clipping.includes(overflowX) && clipping.includes(overflowY));
        }"""
    )
    return clipped
