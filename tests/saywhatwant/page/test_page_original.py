"""A page of the original in a browser, on another origin than its server: what CORS lets it do."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from original_wall import ENTITIES, TAILED
from originals import Bot, Json
from playwright.sync_api import Browser, Page, expect

from conftest import StartServer
from servers import Server

pytest_plugins = ["page_fixtures"]

HUMAN = f"Human:{TAILED}"
SAGE = "Sage:080150200"


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the library names it
        """Log nothing."""


@pytest.fixture
def site() -> Iterator[str]:
    """Another site, which has the page."""
    handler = partial(QuietHandler, directory=Path(__file__).parent)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def wall(start_server: StartServer, tmp_path: Path) -> Server:
    (tmp_path / "entities.toml").write_text(ENTITIES)
    return start_server(entities=tmp_path / "entities.toml")


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


def visit(tab: Page, site: str, wall: Server, **state: str) -> None:
    given = {"u": f"{HUMAN}+{SAGE}", "mt": "ALL", "uis": HUMAN, "ais": SAGE, "priority": "5", "entity": "zen"} | state
    address = "&".join(f"{name}={value}" for name, value in given.items())
    tab.goto(f"{site}/original_page.html?api={wall.url}/original#{address}")


def answer(message: Json) -> str:
    return f"An answer to {message['text']}"


def test_p4_a_page_on_another_origin_shows_its_question_and_the_answer_once(site: str, wall: Server, tab: Page) -> None:
    visit(tab, site, wall)
    tab.evaluate("send('Why is space black?')")
    assert Bot(wall.http, "bot-1", answer).round() == 1
    for _ in range(3):
        tab.evaluate("poll()")
    rows = tab.locator("li")
    expect(rows).to_have_text(["Human: Why is space black?", "Sage: An answer to Why is space black?"])
    expect(tab.locator("[role=alert]")).to_be_empty()


def test_p8_a_page_on_another_origin_reads_why_it_was_refused(site: str, wall: Server, tab: Page) -> None:
    visit(tab, site, wall, entity="eliza")
    tab.evaluate("send('Why?')")
    expect(tab.locator("[role=alert]")).to_contain_text("alias = true")
    expect(tab.locator("li")).to_have_count(0)


def test_p8_a_page_on_another_origin_reads_that_messages_have_no_score(site: str, wall: Server, tab: Page) -> None:
    """PATCH needs a preflight that allows it; without, the browser would not send it."""
    visit(tab, site, wall)
    message_id = tab.evaluate("send('Why?')")
    assert tab.evaluate("(id) => score(id)", message_id) is False
    expect(tab.locator("[role=alert]")).to_have_text("eqScore: is not kept here: messages have no score")
