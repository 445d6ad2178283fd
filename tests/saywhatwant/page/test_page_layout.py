"""Nothing of the page runs out of its window: panels, many entities, and what a long link asks for."""

from typing import Any

import pytest
from page_browser import Visit, Visitor, expect_state
from playwright.sync_api import Page, Route, expect

from conftest import StartServer
from servers import Server

pytest_plugins = ["page_fixtures"]

LARGE, LAPTOP, LOW = {"width": 1440, "height": 900}, {"width": 1100, "height": 800}, {"width": 1100, "height": 480}
PHONE, ON_ITS_SIDE = {"width": 320, "height": 640}, {"width": 740, "height": 360}
ENTITY = {"color": "070140180", "about": "Answers.", "openers": ["Why?"], "served": True}
LINK = (
    "#mt=human&u=Ada:210120040+Bob:070140180&word=space+timelessness+constellation+star&-word=rude"
    "&entity=zen&ais=Somebody:random&priority=7&nom=20&model=enormous&video=1"
)


@pytest.mark.parametrize(
    "size", [LARGE, LAPTOP, LOW, PHONE, ON_ITS_SIDE], ids=["large", "laptop", "low", "phone", "on-its-side"]
)
@pytest.mark.parametrize("entities", [5, 40])
def test_panels_and_tools_are_inside_the_window(size: dict[str, int], entities: int, server: Server, visit: Visit) -> None:
    visitor = visit(server, viewport=size)
    many(visitor, entities)
    page = visitor.open()
    expect(page.locator(".chip")).to_have_count(entities + 1)

    for panel in ("filters", "more"):
        page.locator(f"#{panel} > summary").click()
        inside(page, f"#{panel} > .panel", size)
        page.keyboard.press("Escape")
    for control in ("#filters > summary", "#share", "#more > summary", "#connection", "#entity", "#name", "#post"):
        inside(page, control, size)
        assert page.locator(control).evaluate(IS_ON_TOP), control


def test_the_last_of_many_entities_can_be_chosen(server: Server, visit: Visit) -> None:
    visitor = visit(server, viewport=LAPTOP)
    many(visitor, 40)
    page = visitor.open()

    page.get_by_role("radio", name="Entity 39").check()

    inside(page, ".chip:last-child", LAPTOP)
    inside(page, ".wordmark", LAPTOP)


def test_buttons_that_undo_a_long_link_stay_in_view_on_a_small_phone(server: Server, visit: Visit) -> None:
    page = visit(server, viewport=PHONE).tab()
    page.goto(f"/{LINK}")
    expect_state(page, "live")

    for button in ("#pause", "#whole", "#ask-nothing"):
        assert page.locator(button).evaluate(IS_ON_TOP), button


def test_a_bare_wall_that_is_scrolled_offers_no_newest_message(start_server: StartServer, visit: Visit) -> None:
    visitor = visit(start_server(), viewport={"width": 320, "height": 480})
    many(visitor, 10)
    page = visitor.open()
    expect(page.locator("#empty dl")).to_be_attached()

    page.locator("#wall").evaluate(SCROLL)

    assert page.locator("#wall").evaluate("wall => wall.scrollTop") > 0
    assert page.locator("#jump").is_hidden()


SCROLL = """
    wall => {
      wall.scrollTop = 30;
      return new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    }
"""
IS_ON_TOP = """
    element => {
      const { x, y, width, height } = element.getBoundingClientRect();
      return element.contains(document.elementFromPoint(x + width / 2, y + height / 2));
    }
"""


def many(visitor: Visitor, count: int) -> None:
    """Let the server have ``count`` entities."""
    summary = visitor.server.http.get("/api/entities").raise_for_status().json()
    entities: list[dict[str, Any]] = [
        ENTITY | {"name": f"entity-{number}", "displayName": f"Entity {number}"} for number in range(count)
    ]

    def answer(route: Route) -> None:
        route.fulfill(json=summary | {"entities": entities})

    visitor.context.route("**/api/entities", answer)


def inside(page: Page, selector: str, size: dict[str, int]) -> None:
    box = page.locator(selector).bounding_box()
    assert box
    assert box["x"] >= 0, box
    assert box["y"] >= 0, box
    assert box["x"] + box["width"] <= size["width"], box
    assert box["y"] + box["height"] <= size["height"], box
